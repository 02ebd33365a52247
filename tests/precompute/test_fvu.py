"""What a measurement computes, and that it computes where the SAE lies. No other device is at hand in the tests: `meta`
tensors stand for one. They hold no values, so what is copied from there arrives as ones; that the two meet in no operation
is checked at each."""

from typing import Any

import pytest
import torch
from torch.fx.experimental import _config as symbolic
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from precompute import fvu
from precompute.fvu import measure_sae
from precompute.processes import Processes
from precompute.progress import Progress
from precompute.row_sources import open_source
from precompute.row_stages import RowStages
from precompute.run_record import RunRecord
from precompute.saes import INFERENCE
from precompute.saes.dense_step import with_parameters
from precompute.saes.sae import Sae, decode, initial
from precompute.train import Config
from precompute.trainer import Trainer
from precompute.training_session import Session

ROWS, D_IN, D_SAE = 300, 8, 24


class OtherDevice(TorchDispatchMode):
    """Lets `meta` be a device: copies from it are ones, and an operation on tensors of two devices is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.products: list[torch.device] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = func._schema.name, kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if name == "aten::_to_copy" and tensors[0].is_meta and kwargs["device"].type == "cpu":
            return torch.ones(tensors[0].shape, dtype=kwargs.get("dtype") or tensors[0].dtype)
        if len({tensor.device for tensor in tensors if tensor.ndim}) > 1 and "copy" not in name:
            raise AssertionError(f"{name} is given tensors of two devices")
        if name in ("aten::mm", "aten::addmm"):
            self.products.append(tensors[0].device)
        if name == "aten::bincount":  # has no kernel there
            return tensors[0].new_empty(args[2])
        return func(*args, **kwargs)


@pytest.fixture
def other_device():
    with symbolic.patch(meta_nonzero_assume_all_nonzero=True):
        yield OtherDevice()


def sae_of(architecture: str) -> Sae:
    generator = torch.Generator().manual_seed(1)
    w_enc, w_dec, b_dec = initial(D_IN, D_SAE, generator)
    biases = {name: 0.3 * torch.rand(D_SAE, generator=generator) for name in INFERENCE[architecture].BIASES}
    return Sae(architecture, w_enc, w_dec, b_dec + 0.1, biases, 4 if architecture == "topk" else None)


def elsewhere(sae: Sae) -> Sae:
    return with_parameters(sae, {name: tensor.to("meta") for name, tensor in sae.parameters.items()})


@pytest.mark.parametrize("architecture", INFERENCE)
def test_the_fvu_is_that_of_its_definition_however_the_rows_are_cut(architecture, monkeypatch):
    sae, rows = sae_of(architecture), 3 + torch.randn(ROWS, D_IN, generator=torch.Generator().manual_seed(2))
    codes = INFERENCE[architecture].encode_sparse(sae, rows)
    residual = (decode(sae, codes) - rows).double().square().sum()
    wanted = float(residual / (rows - rows.mean(0)).double().square().sum())
    monkeypatch.setattr(fvu, "ENCODED", 50 * D_SAE)
    found = measure_sae(sae, rows.split(110))
    assert found.fvu == pytest.approx(wanted, rel=1e-5)
    assert (found.l0, found.rows) == (len(codes.indices) / ROWS, ROWS)
    assert torch.equal(found.fired, torch.bincount(codes.indices, minlength=D_SAE))


@pytest.mark.parametrize("architecture", INFERENCE)
def test_an_sae_is_measured_on_its_own_device_in_parts(architecture, other_device, monkeypatch):
    monkeypatch.setattr(fvu, "ENCODED", 50 * D_SAE)
    with other_device:
        found = measure_sae(elsewhere(sae_of(architecture)), [torch.ones(ROWS, D_IN)])
    assert found.rows == ROWS and found.fired.device.type == "cpu"
    assert [device.type for device in other_device.products] == ["meta"] * (ROWS // 50)


@pytest.mark.parametrize("stage", ["layer_norm", "constant_norm_rescale", "centre"])
def test_stages_are_undone_where_the_weights_lie(other_device, stage):
    with other_device:
        found = measure_sae(elsewhere(sae_of("topk")), [torch.ones(ROWS, D_IN)], RowStages([{"stage": stage}]))
    assert found.rows == ROWS and {device.type for device in other_device.products} == {"meta"}


@pytest.mark.parametrize("architecture", ["topk", "batch_topk", "jumprelu"])
def test_a_run_measures_on_the_device_that_it_trains_on(planted, other_device, architecture):
    config = Config("a", "planted", "words", "hidden", architecture=architecture, k=3, expansion=2, steps=2, batch=64)
    rows = open_source([config], planted.workspace).rows("hidden", 64)
    directory = planted.workspace.sae_dir("a")
    with Progress().step("train", total=2, unit="steps") as bar:
        session = Session(config, directory, rows, RunRecord(None, "a"), Processes(), bar)
        session.advance()
        session.trainer.weights = elsewhere(session.trainer.weights)
        with other_device:
            measured = measure_sae(session.folded(), [rows.checked])
    assert measured.rows == len(rows.checked)
    assert {device.type for device in other_device.products} == {"meta"}


def test_a_finished_sae_is_copied_nowhere():
    trainer = Trainer(Config("a", "planted", "words", "hidden", k=3, expansion=2, batch=64), D_IN)
    assert trainer.finished(torch.zeros(1, D_IN)).w_dec.data_ptr() == trainer.weights.w_dec.data_ptr()
