"""`loupe add` from the command line: one verb from an SAE and a text to a store, in words and in JSON."""

import argparse
import json
import signal
from pathlib import Path

import pytest

from loaders.workspace import Workspace
from loupe import add
from loupe.cli import main
from tests.precompute.add_reference import write_model, write_sae, write_texts

PAGE = (Path(__file__).parents[2] / "docs" / "add.md").read_text()


@pytest.fixture(autouse=True)
def own_signals():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("add")
    write_model(made / "model")
    write_texts(made / "texts.jsonl")
    write_sae(made / "good", made / "model", "blocks.1.hook_resid_pre", exact=True)
    write_sae(made / "bad", made / "model", "blocks.1.hook_resid_pre")
    return made


def call(folder, *words):
    return main(["add", *words, "--text", str(folder / "texts.jsonl"), "--workspace", str(folder / "workspace")])


def test_one_verb_makes_a_store_of_an_sae_and_a_text(folder, capsys):
    assert call(folder, str(folder / "good"), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    [store] = said["stores"]
    assert store["store"] == "good@texts" and store["hook"] == "transformer.h.1.input" and store["fvu"] < 1e-6
    assert store["checked"]["rows"] == store["samples"]
    assert Workspace(folder / "workspace").store_ids() == ["good@texts"]
    keys = {*said, *store, *store["checked"]}
    assert {key for key in keys if f"`{key}`" not in PAGE} == set()
    assert call(folder, str(folder / "good")) == 0
    assert capsys.readouterr().out.startswith("good@texts  transformer.h.1.input  FVU 0.0000  L0 16.0")


def test_an_implausible_sae_is_one_sentence_and_exit_code_2(folder, capsys):
    assert call(folder, str(folder / "bad")) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("loupe:")]
    assert len(said) == 1 and "does not look right" in said[0] and "--force goes on" in said[0]
    assert call(folder, str(folder / "bad"), "--force") == 0
    assert Workspace(folder / "workspace").sae("bad").metadata["checked"]["forced"] is True


def test_a_url_cannot_be_added_to(capsys, folder):
    words = ["add", str(folder / "good"), "--text", "t.jsonl", "--workspace", "s3://bucket/workspace"]
    assert main(words) == 2
    assert "can only be read" in capsys.readouterr().err


def test_every_option_is_described():
    verbs = argparse.ArgumentParser().add_subparsers()
    add.add_verbs(verbs)
    options = {word for action in verbs.choices["add"]._actions for word in action.option_strings}
    assert {word for word in options if f"{word}`" not in PAGE and f"`{word} " not in PAGE} <= {
        "-h",
        "--help",
        "--workspace",
    }
