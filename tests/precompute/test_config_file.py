"""Files of settings are read as the step's own types or refused with the file, the line and the key."""

import math
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders.errors import BadInput
from precompute import capture, train_config
from precompute.config_file import field_type, read_config, write_config


@dataclass(frozen=True)
class Settings:
    """One field of each kind."""

    name: str
    steps: int = 800
    lr: float = 0.5
    inputs: bool = False
    hooks: tuple[str, ...] = ("a", "b")
    sizes: tuple[int, ...] = ()
    device: str | None = None
    kind: Literal["quick", "slow"] = "quick"
    mapping: dict[str, int] | None = None


def read(tmp_path: Path, text: str) -> dict[str, object]:
    (tmp_path / "run.toml").write_text(text, encoding="utf-8")
    return read_config(tmp_path / "run.toml", Settings, "train")


def refuse(tmp_path: Path, text: str) -> str:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(f"'{tmp_path / 'run.toml'}'")
    return str(caught.value).removeprefix(f"'{tmp_path / 'run.toml'}'")


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    text = 'name = "x"\nsteps = 1_000\nlr = 3\ninputs = true\nhooks = ["h.1",\n "h.2"]\nsizes = []\nkind = "slow"\n'
    values = read(tmp_path, text)
    wanted = {
        "name": "x",
        "steps": 1000,
        "lr": 3.0,
        "inputs": True,
        "hooks": ("h.1", "h.2"),
        "sizes": (),
        "kind": "slow",
    }
    assert values == wanted and type(values["lr"]) is float


def test_settings_may_stand_in_the_steps_own_table_or_before_it(tmp_path: Path) -> None:
    assert read(tmp_path, "steps = 3\n[train]\nlr = 0.25\n") == {"steps": 3, "lr": 0.25}
    assert read(tmp_path, "") == {}
    said = refuse(tmp_path, "steps = 3\n\n[train]\nsteps = 4\n")
    assert said == ", line 4: 'steps' stands outside of [train] too. Give it once."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lr = 1\n\nstepz = 3\n", ", line 3: 'stepz' is no setting of `loupe train`. The nearest is 'steps'."),
        ("[train]\nHooks = []\n", ", line 2: 'Hooks' is no setting of `loupe train`. The nearest is 'hooks'."),
        ("'q q' = 1\n", ", line 1: 'q q' is no setting of `loupe train`. The nearest is "),
        ("mapping = 3\n", ", line 1: 'mapping' is no setting of `loupe train`. The nearest is "),
        ('steps = "many"\n', ', line 1: steps must be a whole number: found "many".'),
        ("# a\nsteps = 1.5\n", ", line 2: steps must be a whole number: found 1.5."),
        ("steps = true\n", ", line 1: steps must be a whole number: found true."),
        ("lr = true\n", ", line 1: lr must be a number: found true."),
        ("inputs = 1\n", ", line 1: inputs must be true or false: found 1."),
        ("name = 3\n", ", line 1: name must be a text in quotes: found 3."),
        ("name = 2020-01-01\n", ", line 1: name must be a text in quotes: found 2020-01-01."),
        ('hooks = "a"\n', ', line 1: hooks must be a list, each a text in quotes: found "a".'),
        ("sizes = [1, 2.5]\n", ", line 1: sizes must be a list, each a whole number: found [1, 2.5]."),
        ("sizes = [[1]]\n", ", line 1: sizes must be a list, each a whole number: found [[1]]."),
        ('kind = "none"\n', ", line 1: kind must be one of 'quick', 'slow': found \"none\"."),
        ("lr = 1\n[harvest]\nsteps = 3\n", ", line 2: there is a table 'harvest'; only [train] may be one."),
        ("[train.steps]\na = 3\n", ", line 1: there is a table 'steps'; only [train] may be one."),
        ("steps.a = 3\n", ", line 1: there is a table 'steps'; only [train] may be one."),
        ("[[train]]\nsteps = 3\n", ", line 1: 'train' is no setting of `loupe train`."),
        ("steps = \n", " is not valid TOML: Invalid value (at line 1, column 9)."),
        ("steps = 1\nsteps = 2\n", " is not valid TOML: Cannot overwrite a value (at line 2, column 10)."),
        ("a = " + "[" * 5000, " is not valid TOML: "),
        ("steps = " + "1" * 5000, " is not valid TOML: "),
        ("lr = 1" + "0" * 400, ", line 1: lr must be a number: found 1000"),
    ],
)
def test_what_cannot_be_a_setting_is_refused_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    assert refuse(tmp_path, text).startswith(sentence)


def test_the_line_is_the_keys_and_not_that_of_a_text_that_looks_like_it(tmp_path: Path) -> None:
    text = 'name = """\nsteps = 1\n"""\n# steps = 2\n\nsteps = "x"\n'
    assert refuse(tmp_path, text).startswith(", line 6: steps")
    text = 'lr = "x"\n[train]\nsteps = 1\n'
    assert refuse(tmp_path, text).startswith(", line 1: lr")
    assert refuse(tmp_path, 'train.steps = "x"\n').startswith(", line 1: steps")
    assert refuse(tmp_path, '"steps" = "x"\n').startswith(", line 1: steps")
    assert refuse(tmp_path, "[train]\nlr = 1\n  steps = [\n1]\n").startswith(", line 3: steps")


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no file of settings at"):
        read_config(tmp_path / "gone.toml", Settings, "train")
    (tmp_path / "run.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(BadInput, match="is not UTF-8 text"):
        read_config(tmp_path / "run.toml", Settings, "train")
    (tmp_path / "run.toml").write_bytes(b"#" * (1 << 20 | 1))
    with pytest.raises(BadInput, match="1,048,577 bytes: too many"):
        read_config(tmp_path / "run.toml", Settings, "train")


texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
settings = st.builds(
    Settings,
    name=texts,
    steps=st.integers(-(2**63), 2**63 - 1),
    lr=st.floats(allow_nan=False),
    inputs=st.booleans(),
    hooks=st.lists(texts, max_size=3).map(tuple),
    sizes=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    device=st.none() | texts,
    kind=st.sampled_from(["quick", "slow"]),
)


@given(settings)
def test_what_was_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, config: Settings) -> None:
    path = tmp_path_factory.getbasetemp() / "written.toml"
    write_config(path, config)
    assert Settings(**read_config(path, Settings, "train")) == config


def test_a_run_can_be_repeated_by_its_file(tmp_path: Path) -> None:
    config = train_config.Config("a", "b", "c", "transformer.h.5", lr=1e-3, clip=math.inf, seed=7)
    path = tmp_path / "saes" / "a" / "run.toml"
    write_config(path, config)
    assert train_config.Config(**read_config(path, train_config.Config, "train")) == config
    assert [each.name for each in path.parent.iterdir()] == ["run.toml"]
    assert set(tomllib.loads(path.read_text())) <= {field.name for field in fields(config)}
    write_config(path, other := capture.Config(hooks=("x", "y"), inputs=True))
    assert capture.Config(**read_config(path, capture.Config, "capture")) == other


def test_a_value_that_no_file_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"Setting 'mapping' is \{'a': 1\}, which a file of settings cannot hold"):
        write_config(tmp_path / "run.toml", Settings("x", mapping={"a": 1}))
    assert not list(tmp_path.iterdir())


def test_types_that_only_code_can_pass_are_known_as_such() -> None:
    for hint in (dict[str, int], Path, int | str, tuple[tuple[int, ...], ...], tuple, list[int], object):
        assert field_type(hint) is None
    found = field_type(tuple[float, ...] | None)
    assert found is not None and (found.kind, found.is_many, found.may_be_none) == (float, True, True)
