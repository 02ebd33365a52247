"""The verbs that care for stores: what they print, what they refuse, and how they exit."""

import argparse
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loaders.errors import BadInput, LoupeError, StoreNotFound
from loaders.workspace import Workspace
from loupe import stores
from loupe.store_words import size_in_words
from precompute.lock import WorkspaceBusy, hold_workspace

STORE = "tiny-l0@texts"
ROOT = Path(__file__).parent.parent.parent
ASK = """
import argparse, sys
from loupe import stores
parser = argparse.ArgumentParser()
stores.add_verbs(parser.add_subparsers(dest="verb"))
parsed = parser.parse_args(sys.argv[1:])
sys.exit(parsed.call(parsed))
"""


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    stores.add_verbs(parser.add_subparsers(dest="verb", required=True))
    parsed = parser.parse_args([str(word) for word in words])
    return int(parsed.call(parsed))


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Path:
    for kind in ("stores", "datasets", "saes", "layers"):
        shutil.copytree(workspace.root / kind, tmp_path / "w" / kind)
    return tmp_path / "w"


def test_inspect_takes_an_id_or_a_directory_and_exits_with_0_when_all_is_well(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("inspect", STORE, "--workspace", workspace.root, "--verify") == 0
    by_id = capsys.readouterr().out
    assert run("inspect", workspace.store_dir(STORE), "--verify") == 0
    assert capsys.readouterr().out == by_id
    for said in (STORE, "128 features", "table neighbours", "top 15", "Whole: every file has its published sha256."):
        assert said in by_id


def test_inspect_exits_with_1_and_names_what_is_wrong(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copied / "stores" / STORE / "tables/map.parquet").unlink()
    (copied / "datasets/texts/vocab.json").write_text("[]")
    assert run("inspect", STORE, "--workspace", copied) == 1
    said = capsys.readouterr().out
    assert "2 at fault:" in said
    assert "  stores/tiny-l0@texts/tables/map.parquet is missing" in said
    assert "  datasets/texts/vocab.json has 2 bytes instead of" in said
    assert run("inspect", STORE, "--workspace", copied, "--json") == 1
    assert len(json.loads(capsys.readouterr().out)["faults"]) == 2


def test_inspect_shows_a_store_without_a_manifest(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copied / "stores" / STORE / "manifest.json").unlink()
    assert run("inspect", STORE, "--workspace", copied, "--verify") == 1
    assert "manifest.json is missing: this store has not been published" in capsys.readouterr().out


@pytest.mark.parametrize("store", ["../../etc", "/etc", "nothing/here", "stores/..", "..@..", "a", "a@b", "x\0y@z"])
def test_what_is_no_store_is_refused(workspace: Workspace, store: str) -> None:
    with pytest.raises((BadInput, StoreNotFound)):
        run("inspect", store, "--workspace", workspace.root)


def test_du_prints_every_kind_and_one_total(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("du", "--workspace", workspace.root) == 0
    said = capsys.readouterr().out
    names = (
        "datasets/texts",
        "models/tiny",
        "activations/tiny/texts/encoder.layer.0",
        "saes/tiny-l0",
        f"stores/{STORE}",
        "layers/tiny",
    )
    assert all(f"\n{name} " in f"\n{said}" for name in names)
    assert run("du", "--workspace", workspace.root, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert f"total {size_in_words(report['total'])}" in " ".join(said.split())


def test_rm_without_a_terminal_wants_yes_and_says_that_labels_stay(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadInput, match="no terminal to confirm it on"):
        run("rm", "layers/tiny", "--workspace", copied)
    assert (copied / "layers/tiny").exists()
    assert run("rm", "layers/tiny", "--workspace", copied, "--yes") == 0
    assert "Labels stay" in capsys.readouterr().out
    assert not (copied / "layers/tiny").exists()


@pytest.mark.parametrize(("answer", "is_removed"), [("y\n", True), ("\n", False), ("n\n", False)])
def test_rm_asks_on_a_terminal(copied: Path, answer: str, is_removed: bool) -> None:
    here, there = pty.openpty()
    command = [sys.executable, "-c", ASK, "rm", "layers/tiny", "--workspace", str(copied)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=there, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.write(here, answer.encode())
    process.wait(timeout=60)
    os.close(here)
    os.close(there)
    assert (copied / "layers/tiny").exists() != is_removed


def test_rm_keeps_what_others_need_unless_forced(copied: Path) -> None:
    with pytest.raises(LoupeError, match=f"'saes/tiny-l0' is needed by stores/{STORE}"):
        run("rm", "saes/tiny-l0", "--workspace", copied, "--yes")
    assert run("rm", "saes/tiny-l0", "--workspace", copied, "--yes", "--force") == 0
    assert Workspace(copied).sae_ids() == ["tiny-l1"]
    assert Workspace(copied).open_store(STORE)


def test_gc_lists_first_and_removes_when_told(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = copied / "stores" / STORE / "features.zarr.tmp"
    left.mkdir()
    (left / "zarr.json").write_text("{}")
    assert run("gc", "--workspace", copied, "--batches") == 0
    said = capsys.readouterr().out
    assert f"stores/{STORE}/features.zarr.tmp  2 B" in said and f"stores/{STORE}/activations  " in said
    assert "Nothing was removed: add --yes." in said
    assert left.exists()
    assert run("gc", "--workspace", copied, "--yes", "--batches") == 0
    assert not left.exists() and not (copied / "stores" / STORE / "activations").exists()
    assert run("inspect", STORE, "--workspace", copied, "--verify") == 0


def test_migrate_says_what_is_up_to_date(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("migrate", "--workspace", workspace.root) == 0
    assert capsys.readouterr().out.splitlines() == [f"{s} is up to date (version 1)" for s in workspace.store_ids()]


def test_pack_and_unpack_by_command(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("pack", STORE, "--workspace", workspace.root, "--tar") == 0
    assert f"{tmp_path / STORE}.loupe.tar  " in capsys.readouterr().out
    assert run("unpack", f"{STORE}.loupe.tar", "--workspace", "new") == 0
    assert Workspace(tmp_path / "new").store_ids() == [STORE]
    assert run("inspect", STORE, "--workspace", "new", "--verify") == 0
    with pytest.raises(BadInput, match="There is no pack at 'gone'"):
        run("unpack", "gone", "--workspace", "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "words", [["rm", "layers/tiny", "--yes"], ["gc", "--yes"], ["migrate"], ["unpack", "."]], ids=lambda words: words[0]
)
def test_verbs_that_write_wait_for_nobody(copied: Path, words: list[str]) -> None:
    with hold_workspace(copied), pytest.raises(WorkspaceBusy, match="is working on"):
        run(*words, "--workspace", copied)


@pytest.mark.parametrize(
    "words", [["du"], ["gc"], ["inspect", STORE], ["rm", "layers/x", "--yes"], ["migrate"], ["unpack", "."]]
)
def test_an_object_store_is_refused(words: list[str]) -> None:
    with pytest.raises(BadInput, match="works on a local workspace; 's3://bucket/w' is an object store"):
        run(*words, "--workspace", "s3://bucket/w")


def test_a_workspace_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no workspace at"):
        run("du", "--workspace", tmp_path / "gone")


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (1000, "0.98 KiB"), (68_713_590, "65.5 MiB"), (2**40, "1.00 TiB")]
)
def test_sizes_have_three_digits_and_a_unit(size: int, words: str) -> None:
    assert size_in_words(size) == words


def test_every_verb_and_every_option_is_documented() -> None:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb")
    stores.add_verbs(verbs)
    guide = (ROOT / "docs/stores.md").read_text()
    for name, verb in verbs.choices.items():
        assert f"`loupe {name}`" in guide
        for action in verb._actions:
            assert all(option in guide for option in action.option_strings if option not in ("-h", "--help")), name
