"""Where a model runs, in which numbers and with whose code: chosen by name, recorded, and never mixed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute import dataset
from precompute.activations import Activations
from precompute.capture import PLAN, Config, run
from precompute.devices import choose_device, choose_dtype, product_dtype
from precompute.models import hook_points, load_model, measure_modules
from precompute.progress import Progress

HOOK = "encoder.layer.1"
OWN_CODE = "from transformers import BertConfig\nclass Own(BertConfig):\n    model_type = 'own-code'\n"
OWN_MODEL = (
    "from transformers import BertModel\nfrom .own_config import Own\n"
    "class OwnModel(BertModel):\n    config_class = Own\n"
)


@pytest.fixture
def workspace(tmp_path: Path, encoder: Path) -> Workspace:
    made = Workspace(tmp_path)
    settings = dataset.Config(id="texts", model=str(encoder), context_length=24, tokens=None)
    dataset.run(settings, made, Progress(), ["the cats sat on a mat.", "a mat, the cat"] * 4)
    return made


@pytest.fixture
def config(encoder: Path) -> Config:
    return Config(model=str(encoder), dataset="texts", hooks=(HOOK,))


@pytest.fixture
def own_code(encoder: Path, tmp_path: Path) -> Path:
    """The encoder as a model whose type only its own Python files know."""
    folder = shutil.copytree(encoder, tmp_path / "own-model")
    (folder / "own_config.py").write_text(OWN_CODE)
    (folder / "own_model.py").write_text(OWN_MODEL)
    cfg = json.loads((folder / "config.json").read_text())
    cfg |= {"model_type": "own-code", "architectures": ["OwnModel"]}
    cfg["auto_map"] = {"AutoConfig": "own_config.Own", "AutoModel": "own_model.OwnModel"}
    (folder / "config.json").write_text(json.dumps(cfg))
    return folder


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cpu:0", "", "CPU"])
def test_an_unknown_device_is_refused(name: str):
    with pytest.raises(BadInput, match=r"is unknown\. Choose cpu, cuda, cuda:<number>, mps or auto"):
        choose_device(name)


def test_an_absent_device_is_refused_in_one_sentence():
    absent = f"cuda:{torch.cuda.device_count() + 5}"
    with pytest.raises(BadInput, match=f"'{absent}' was asked for; this machine has "):
        choose_device(absent)


def test_auto_is_a_device_that_is_there():
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_device("auto").type == expected


def test_an_unknown_dtype_is_refused(encoder: Path):
    assert choose_dtype("bfloat16") is torch.bfloat16
    with pytest.raises(BadInput, match=r"'int8' is unknown\. Choose float32, bfloat16, float16"):
        load_model(encoder, dtype="int8")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_capture_in_fewer_bits_is_close_and_recorded(workspace: Workspace, config: Config, dtype: str):
    exact = Activations.open(run(config, workspace, Progress()) / HOOK)
    whole = exact.load().copy()
    assert exact.manifest["computed_in"] == "float32" and exact.manifest["computed_on"] == "cpu"
    assert exact.manifest["trust_remote_code"] is False
    shutil.rmtree(exact.path)
    rounded = Activations.open(run(replace(config, dtype=dtype), workspace, Progress()) / HOOK)
    assert rounded.manifest["computed_in"] == dtype
    assert not np.array_equal(rounded.load(), whole)
    np.testing.assert_allclose(rounded.load(), whole, atol=0.1)


def test_other_numbers_are_refused_for_finished_and_for_begun_activations(workspace: Workspace, config: Config):
    folder = run(config, workspace, Progress()) / HOOK
    before = (folder / "shard_0000.npy").stat().st_mtime_ns
    for _ in range(2):
        with pytest.raises(BadInput, match=r"computed_in float32 instead of bfloat16\. Ask for the same again"):
            run(replace(config, dtype="bfloat16"), workspace, Progress())
        (folder / "manifest.json").unlink(missing_ok=True)
    assert (folder / "shard_0000.npy").stat().st_mtime_ns == before


def test_a_capture_begun_before_these_were_recorded_resumes(workspace: Workspace, config: Config):
    folder = run(config, workspace, Progress()) / HOOK
    plan = json.loads((folder / PLAN).read_text())
    for key in ("computed_on", "computed_in", "trust_remote_code"):
        del plan[key]
    (folder / PLAN).write_text(json.dumps(plan))
    (folder / "manifest.json").unlink()
    before = (folder / "shard_0000.npy").stat().st_mtime_ns
    run(config, workspace, Progress())
    assert (folder / "shard_0000.npy").stat().st_mtime_ns == before


def test_a_models_own_code_only_runs_when_asked_for(
    own_code: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    with pytest.raises(BadInput, match=r"comes with code of its own.*--trust-remote-code"):
        load_model(own_code)
    trusted = load_model(own_code, trust_remote_code=True)
    assert type(trusted.model).__name__ == "OwnModel"
    assert trusted.fingerprint == load_model(encoder).fingerprint


def test_measured_shapes_agree_with_the_hook_points(encoder: Path):
    model = load_model(encoder).model
    measured = {each.name: each for each in measure_modules(model)}
    assert measured["pooler"].shape == (1, 24) and not measured["pooler"].has_hidden_states
    assert measured[HOOK].shape == (1, 3, 24) and measured[HOOK].has_hidden_states
    assert [point.name for point in hook_points(model)] == [n for n, each in measured.items() if each.has_hidden_states]


def test_a_product_is_taken_in_bfloat16_where_that_is_native_and_never_in_float16():
    cpu = torch.device("cpu")
    assert product_dtype("float32", cpu) == torch.float32 and product_dtype("bfloat16", cpu) == torch.bfloat16
    native = torch.cpu._is_avx512_bf16_supported()
    assert product_dtype("auto", cpu) == (torch.bfloat16 if native else torch.float32)
    assert product_dtype("auto", torch.device("mps")) == torch.float32
    for name in ("float16", "magic"):
        with pytest.raises(BadInput, match=name):
            product_dtype(name, cpu)
