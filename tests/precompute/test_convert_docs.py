"""The guide's worked example runs as it stands."""

import argparse
import dataclasses
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from loaders.workspace import Workspace
from loupe import arguments
from precompute import convert
from precompute.progress import Progress
from precompute.sources.source import KINDS

GUIDE = (Path(__file__).parents[2] / "docs" / "convert.md").read_text()
BLOCKS = re.findall(r"```(python|bash)\n(.*?)```", GUIDE, re.S)
TABLES = ("stats", "idf")


def run_command(line):
    verb, *options = shlex.split(line)[1:]
    step = import_module(f"precompute.{'tables.' if verb in TABLES else ''}{verb}")
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace")
    arguments.add_options(parser, step.Config)
    parsed = parser.parse_args(options)
    step.run(arguments.make_config(step.Config, parsed), Workspace(parsed.workspace), Progress())


def test_the_worked_example_of_the_guide_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    assert [kind for kind, _ in BLOCKS[:3]] == ["python", "bash", "python"]
    for kind, text in BLOCKS[:3]:
        if kind == "python":
            exec(text, names)
        else:
            for line in text.strip().splitlines():
                run_command(line)


@pytest.mark.parametrize("option", re.findall(r"`(--[a-z-]+)", GUIDE))
def test_every_option_that_the_guide_names_is_one(option):
    fields = {field.name.replace("_", "-") for field in dataclasses.fields(convert.Config)}
    assert option.removeprefix("--") in fields


@pytest.mark.parametrize("suffix", re.findall(r"`(\.[a-z0-9]+)`", GUIDE))
def test_every_kind_of_file_that_the_guide_names_is_read(suffix):
    assert suffix in KINDS
