"""Every architecture finds the directions that its rows are made of, and is exported as what it computes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from precompute.fvu import measure_sae
from precompute.progress import Progress
from precompute.sae_files import load_sae
from precompute.saes import ARCHITECTURES, gated, jumprelu, standard
from precompute.saes.dense_step import DenseStep
from precompute.saes.sae import decode
from precompute.saes.settings import Settings
from precompute.train import Config, run

CONFIG = Config(
    sae_id="planted",
    model_id="planted",
    dataset_id="words",
    hook="hidden",
    k=3,
    expansion=4,
    levels=3,
    steps=500,
    batch=512,
    lr=1e-2,
    threads=2,
    evaluate_every=500,
)
STORED_AS = {"batch_topk": "jumprelu", "matryoshka": "jumprelu"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_planted_directions_are_recovered_at_a_sparse_code(planted, name):
    directory = run(replace(CONFIG, architecture=name), planted.workspace, Progress())
    sae, cfg = load_sae(directory)
    assert sae.architecture == STORED_AS.get(name, name)
    cosines = planted.atoms @ sae.w_dec.numpy().T
    assert (cosines.max(axis=1) > 0.9).mean() > 0.9
    quality = cfg["metadata"]["quality"]
    assert quality["fvu"] < 0.2 and 2 < quality["l0"] < 12
    rows = torch.from_numpy(planted.rows[planted.is_held_out].astype(np.float32))
    found = measure_sae(sae, [rows])
    assert (found.fvu, found.l0) == pytest.approx((quality["fvu"], quality["l0"]), rel=1e-4)
    torch.testing.assert_close(sae.w_dec.norm(dim=1), torch.ones(sae.d_sae), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["batch_topk", "matryoshka"])
def test_a_threshold_keeps_k_latents_on_average(planted, name):
    directory = run(replace(CONFIG, architecture=name, steps=50), planted.workspace, Progress())
    sae, cfg = load_sae(directory)
    assert cfg["metadata"]["quality"]["l0"] == pytest.approx(3, rel=0.1)
    assert len(set(sae.biases["threshold"].tolist())) == 1


def test_a_prefix_of_a_matryoshka_sae_is_an_sae(planted):
    def of_prefix(name):
        directory = run(replace(CONFIG, sae_id=name, architecture=name, expansion=8), planted.workspace, Progress())
        sae, _ = load_sae(directory)
        width = sae.d_sae // 4
        kept = {key: bias[:width] for key, bias in sae.biases.items()}
        part = replace(sae, w_enc=sae.w_enc[:width], w_dec=sae.w_dec[:width], biases=kept)
        return measure_sae(part, [torch.from_numpy(planted.rows[planted.is_held_out].astype(np.float32))]).fvu

    assert of_prefix("matryoshka") < 0.5 * of_prefix("batch_topk")


def test_the_sparsity_coefficient_trades_l0_for_reconstruction(planted):
    def quality(sparsity):
        config = replace(CONFIG, sae_id=f"s{sparsity:g}", architecture="standard", sparsity=sparsity, steps=200)
        return json.loads((run(config, planted.workspace, Progress()) / "cfg.json").read_text())["metadata"]["quality"]

    weak, strong = quality(0.1), quality(1.0)
    assert strong["l0"] < weak["l0"] and strong["fvu"] > weak["fvu"]


@pytest.mark.parametrize("module", [standard, gated, jumprelu])
def test_the_dense_losses_are_what_their_formulas_say(module):
    generator = torch.Generator().manual_seed(0)
    settings = Settings(8, 24, 3, 16, sparsity=0.7, bandwidth=0.5)
    sae = module.begin(settings, generator)
    for tensor in sae.parameters.values():
        tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator))
    x = torch.randn(16, 8, generator=generator)
    result = DenseStep(settings, module.losses, "")(sae, x, torch.arange(0))
    finished = module.finish(sae, x)
    codes = module.encode_sparse(finished, x)
    mse = float((decode(finished, codes) - x).square().mean())
    gate = (x - sae.b_dec) @ sae.w_enc.t() + sae.biases.get("b_enc", sae.biases.get("b_gate"))
    sparsity = {standard: gate.relu().sum(), gated: gate.relu().sum(), jumprelu: torch.tensor(len(codes.indices))}[
        module
    ]
    extra = float((gate.relu() @ sae.w_dec + sae.b_dec - x).square().mean()) if module is gated else 0.0
    assert result.mse == pytest.approx(mse, rel=1e-4)
    assert result.loss == pytest.approx(mse + 0.7 * float(sparsity) / x.numel() + extra, rel=1e-4)


def test_the_jump_has_the_papers_straight_through_gradients():
    pre = torch.tensor([[0.4, 0.9, 1.1, 3.0]], requires_grad=True)
    threshold = torch.ones(4, requires_grad=True)
    codes, active = jumprelu.Jump.apply(pre, threshold, 0.5)
    assert codes.tolist() == [[0.0, 0.0, pytest.approx(1.1), 3.0]] and active.tolist() == [[0, 0, 1, 1]]
    (2 * codes.sum() + 5 * active.sum()).backward()
    assert pre.grad.tolist() == [[0, 0, 2, 2]]
    assert threshold.grad.tolist() == [0, -(1 * 2 + 5) / 0.5, -(1 * 2 + 5) / 0.5, 0]
