"""The verbs that judge an SAE: what they answer, their exit codes, and that docs/commands.md describes them."""

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from loaders.workspace import Workspace
from loupe import run_checks
from loupe.cli import main
from precompute import grammar_dataset, grammar_model
from precompute.loss_recovered import held_out_contexts, measure_loss_recovered
from precompute.models import load_model
from precompute.progress import Progress
from precompute.row_stages import RowStages
from precompute.sae_files import load_sae, write_sae
from precompute.saes.sae import Sae

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
SECTIONS = dict(re.findall(r"^## [^\n]*`loupe ([a-z-]+)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
LOOSE = ["--max-fvu", "0.9", "--max-dead-share", "0.9", "--max-rare-share", "0.9"]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def grammar(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A random causal model in `models/`, contexts of the grammar, and an SAE of random weights."""
    workspace = Workspace(tmp_path_factory.mktemp("grammar"))
    grammar_dataset.run(grammar_dataset.Config(tokens=3_000, held_out=0.3), workspace, Progress())
    folder = workspace.models_dir() / "tiny"
    grammar_model.build_model(grammar_model.Config(layers=2, width=16, heads=2)).save_pretrained(folder)
    grammar_model.build_tokenizer().save_pretrained(folder)
    generator = torch.Generator().manual_seed(0)
    w_enc = torch.randn(32, 16, generator=generator)
    sae = Sae("standard", w_enc, w_enc / 40, torch.zeros(16), {"b_enc": torch.zeros(32)})
    about = {
        "model_id": "tiny",
        "model_name": "/elsewhere/tiny",
        "dataset": "grammar",
        "hook_name": "transformer.h.0",
        "fingerprints": {"model": load_model(folder).fingerprint},
    }
    write_sae(workspace.sae_dir("random"), sae, about)
    return workspace


def ask(capsys: Captured, workspace: Workspace, *words: str, code: int = 0) -> dict[str, Any]:
    assert main([*words, "--workspace", str(workspace.root), "--json"]) == code
    answer = json.loads(capsys.readouterr().out)
    assert isinstance(answer, dict)
    return answer


def refuse(capsys: Captured, workspace: Workspace, *words: str) -> str:
    assert main([*words, "--workspace", str(workspace.root)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.splitlines()[-1]


def test_loss_recovered_is_what_the_function_measures_and_is_kept(grammar: Workspace, capsys: Captured) -> None:
    answer = ask(capsys, grammar, "loss-recovered", "random", "--contexts", "8")
    sae, cfg = load_sae(grammar.sae_dir("random"))
    dataset = grammar.dataset("grammar")
    loaded = load_model(grammar.models_dir() / "tiny")
    wanted = measure_loss_recovered(loaded, "transformer.h.0", sae, dataset, held_out_contexts(dataset, 8))
    assert wanted is not None and answer["ce_spliced"] == pytest.approx(wanted.ce_spliced) != answer["ce_clean"]
    assert (answer["tokens"], answer["contexts"], answer["model"]) == (wanted.tokens, 8, "tiny")
    kept = json.loads((grammar.sae_dir("random") / "loss_recovered.json").read_text())
    assert kept == answer and kept["fingerprints"]["sae"] == cfg["metadata"]["fingerprints"]["sae"]
    assert main(["loss-recovered", "random", "--contexts", "5", "--workspace", str(grammar.root)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and said[0].startswith("loss recovered at transformer.h.0 of tiny: ")
    assert "of 5 held-out contexts of grammar" in said[1]


def test_loss_is_recovered_behind_the_stages_that_the_sae_was_added_with(grammar: Workspace, capsys: Captured) -> None:
    sae, cfg = load_sae(grammar.sae_dir("random"))
    loaded, dataset = load_model(grammar.models_dir() / "tiny"), grammar.dataset("grammar")
    stages = RowStages([{"stage": "layer_norm"}])
    write_sae(grammar.sae_dir("normed"), sae, {**cfg["metadata"], "input_stages": stages.stages})
    answer = ask(capsys, grammar, "loss-recovered", "normed", "--contexts", "8")
    chosen = held_out_contexts(dataset, 8)
    wanted = measure_loss_recovered(loaded, "transformer.h.0", sae, dataset, chosen, stages=stages)
    plain = measure_loss_recovered(loaded, "transformer.h.0", sae, dataset, chosen)
    assert wanted is not None and plain is not None
    assert answer["ce_spliced"] == pytest.approx(wanted.ce_spliced) != pytest.approx(plain.ce_spliced)
    standardise = {"stage": "standardise", "by": "layer", "eps": 1e-5}
    write_sae(grammar.sae_dir("standardised"), sae, {**cfg["metadata"], "input_stages": [standardise]})
    assert "cannot be put back into the model" in refuse(capsys, grammar, "loss-recovered", "standardised")


def test_what_has_no_loss_is_refused_in_one_sentence(
    grammar: Workspace, workspace: Workspace, capsys: Captured
) -> None:
    said = refuse(capsys, workspace, "loss-recovered", "tiny-l0")
    assert (
        said
        == "loupe: The SAE's model has no output head, so it predicts nothing: loss recovered is not defined for it."
    )
    assert "at least 1: found 0" in refuse(capsys, grammar, "loss-recovered", "random", "--batch-tokens", "0")
    assert "must be at least 1" in refuse(capsys, grammar, "loss-recovered", "random", "--contexts", "0")
    assert "no finished SAE" in refuse(capsys, grammar, "loss-recovered", "gone")
    assert "Hook point 'h.0' does not exist" in refuse(capsys, grammar, "loss-recovered", "random", "--hook", "h.0")


def test_another_model_and_an_sae_that_names_none_are_refused(
    grammar: Workspace, tmp_path: Path, capsys: Captured
) -> None:
    shutil.copytree(grammar.root, tmp_path / "w")
    own = Workspace(tmp_path / "w")
    cfg = json.loads((own.sae_dir("random") / "cfg.json").read_text())
    cfg["metadata"]["fingerprints"]["model"] = "0" * 64
    (own.sae_dir("random") / "cfg.json").write_text(json.dumps(cfg))
    said = refuse(capsys, own, "loss-recovered", "random")
    assert said.startswith("loupe: SAE 'random' belongs to another model than 'tiny' (other weights).")
    for key in ("model_id", "model_name"):
        del cfg["metadata"][key]
    (own.sae_dir("random") / "cfg.json").write_text(json.dumps(cfg))
    assert "does not say its model. Give --model." in refuse(capsys, own, "loss-recovered", "random")


def test_check_run_ends_with_0_only_if_no_check_failed(workspace: Workspace, capsys: Captured) -> None:
    answer = ask(capsys, workspace, "check-run", "tiny-l0", *LOOSE)
    assert answer["passed"] is True and {check["passed"] for check in answer["checks"]} == {True, None}
    answer = ask(capsys, workspace, "check-run", "tiny-l0", *LOOSE[2:], "--max-fvu", "0.00001", code=1)
    assert answer["passed"] is False
    assert [check["name"] for check in answer["checks"] if check["passed"] is False] == ["fvu"]


def test_check_run_prints_a_line_for_each_check(workspace: Workspace, capsys: Captured) -> None:
    assert main(["check-run", "tiny-l0", "--workspace", str(workspace.root), *LOOSE, "--max-fvu", "0"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line[:4] for line in lines] == ["FAIL", "pass", "  --", "  --", "pass", "pass", "  --", "pass", "pass"]
    assert "(at most 0)" in lines[0] and "held-out rows" in lines[0]


def test_bounds_may_come_from_a_file(workspace: Workspace, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "bounds.toml").write_text("max_fvu = 0\nmax_dead_share = 1\nmax_rare_share = 1\n")
    words = ["check-run", "tiny-l0", "--config", str(tmp_path / "bounds.toml")]
    assert ask(capsys, workspace, *words, code=1)["checks"][0]["bound"] == 0
    assert ask(capsys, workspace, *words, "--max-fvu", "0.9")["checks"][0]["bound"] == 0.9


def test_the_commands_are_described(grammar: Workspace, workspace: Workspace, capsys: Captured) -> None:
    verbs = argparse.ArgumentParser().add_subparsers(dest="verb")
    run_checks.add_verbs(verbs)
    for verb, own in verbs.choices.items():
        options = {word for action in own._actions for word in action.option_strings if word.startswith("--")}
        for option in options - {"--help", "--workspace", "--json", "--config"}:
            assert f"`{option}" in SECTIONS[verb], f"{option} of {verb}"
    found = {
        "loss-recovered": ask(capsys, grammar, "loss-recovered", "random", "--contexts", "2"),
        "check-run": ask(capsys, workspace, "check-run", "tiny-l0", *LOOSE),
    }
    for verb, answer in found.items():
        keys = {*answer, *(key for check in answer.get("checks", []) for key in check)}
        names = {check["name"] for check in answer.get("checks", [])}
        assert {key for key in keys | names if f"`{key}`" not in SECTIONS[verb]} == set()
