"""Settings of a step come from its defaults, a preset, a file and the options; the later wins, field by field."""

import argparse
import importlib
from dataclasses import dataclass, fields
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from loaders.errors import BadInput
from loupe.arguments import add_options, make_config
from loupe.cli import STEPS, main
from precompute import train, train_config

Captured = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Settings:
    """A required and three optional fields."""

    sae_id: str
    """Id of the SAE."""
    steps: int = 1
    """Optimiser steps."""
    hooks: tuple[str, ...] = ("default",)
    inputs: bool = False


PRESETS = {"quick": {"steps": 2, "hooks": ("preset",), "inputs": True}, "empty": {}}
FILE = {"steps": "steps = 3", "hooks": 'hooks = ["file", "two"]', "inputs": "inputs = false", "sae_id": 'sae_id = "f"'}
OPTION = {
    "steps": ["--steps", "4"],
    "hooks": ["--hooks", "option"],
    "inputs": ["--inputs"],
    "sae_id": ["--sae-id", "o"],
}
VALUES = {  # by field: default, preset, file, option
    "steps": (1, 2, 3, 4),
    "hooks": (("default",), ("preset",), ("file", "two"), ("option",)),
    "inputs": (False, True, False, True),
    "sae_id": (None, None, "f", "o"),
}


@cache
def parser(has_presets: bool) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    add_options(made.add_subparsers(dest="verb").add_parser("train"), Settings, PRESETS if has_presets else None)
    return made


def parse(words: list[str], presets: dict[str, dict[str, object]] | None = PRESETS) -> Settings:
    made = make_config(Settings, parser(bool(presets)).parse_args(["train", *words]), presets)
    assert isinstance(made, Settings)
    return made


@pytest.mark.parametrize("section", ["", "[train]\n"])
@pytest.mark.parametrize("preset", [None, "quick", "empty"])
def test_options_override_the_file_which_overrides_the_preset_which_overrides_defaults(
    tmp_path: Path, preset: str | None, section: str
) -> None:
    """Every subset of the fields in the file, crossed with every subset among the options."""
    path = tmp_path / "run.toml"
    for in_file, among_options in product(product([False, True], repeat=4), repeat=2):
        file = [name for name, is_in in zip(FILE, in_file, strict=True) if is_in]
        options = [name for name, is_in in zip(FILE, among_options, strict=True) if is_in]
        path.write_text(section + "".join(f"{FILE[name]}\n" for name in file))
        words = [word for name in options for word in OPTION[name]]
        words += ["--preset", preset] if preset else []
        words += ["--config", str(path)]
        if "sae_id" not in file + options:
            with pytest.raises(BadInput, match="`loupe train` needs --sae-id: give"):
                parse(words)
            continue
        made = parse(words)
        for name, (default, of_preset, of_file, option) in VALUES.items():
            expected = default if preset != "quick" else of_preset
            expected = of_file if name in file else expected
            assert getattr(made, name) == (option if name in options else expected), (name, file, options)


def test_a_preset_works_without_a_file_and_a_switch_can_be_turned_off_again() -> None:
    assert parse(["--sae-id", "a", "--preset", "quick"]) == Settings("a", 2, ("preset",), True)
    assert parse(["--sae-id", "a", "--preset", "quick", "--no-inputs"]).inputs is False
    assert parse(["--sae-id", "a"], presets=None) == Settings("a")


def test_a_step_without_presets_has_no_such_option(capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        parse(["--sae-id", "a", "--preset", "quick"], presets=None)
    with pytest.raises(SystemExit):
        parse(["--sae-id", "a", "--preset", "fast"])
    assert "invalid choice: 'fast'" in capsys.readouterr().err


def test_a_files_mistake_is_one_sentence_of_the_command(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "run.toml"
    path.write_text('sae_id = "a"\nexpansoin = 8\n')
    assert main(["train", "--workspace", str(tmp_path), "--config", str(path)]) == 2
    said = f"loupe: '{path}', line 2: 'expansoin' is no setting of `loupe train`. The nearest is 'expansion'.\n"
    assert capsys.readouterr().err == said


def test_train_says_which_settings_it_still_needs(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "run.toml"
    path.write_text('model_id = "m"\nhook = "h"\n')
    assert main(["train", "--workspace", str(tmp_path), "--config", str(path), "--preset", "quick"]) == 2
    assert capsys.readouterr().err.startswith("loupe: `loupe train` needs --sae-id, --dataset-id: give them as options")


@pytest.mark.parametrize("preset", sorted(train.PRESETS))
def test_every_preset_of_training_is_settings_that_a_run_can_have(preset: str) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser.add_subparsers(dest="verb").add_parser("train"), train.Config, train.PRESETS)
    words = ["--sae-id", "a", "--model-id", "b", "--dataset-id", "c", "--hook", "d", "--preset", preset]
    made = make_config(train.Config, parser.parse_args(["train", *words]), train.PRESETS)
    train_config.check(made)
    assert {name: getattr(made, name) for name in train.PRESETS[preset]} == train.PRESETS[preset]


@pytest.mark.parametrize("verb", sorted(STEPS))
def test_every_step_reads_settings_from_a_file(verb: str, capsys: Captured) -> None:
    config = importlib.import_module(STEPS[verb][0]).Config
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and "--config FILE" in said
    taken = {"config_file", "preset_name", "workspace", "verb", "call"}
    assert not taken & {field.name for field in fields(config)}
