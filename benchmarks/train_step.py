"""Milliseconds per training step of a top-k SAE, and in units of the encoder's dense product.

The product, the all-sparse gradients, the whole all-sparse step and a plain dense autograd step run in turn, so that
whatever else the machine does falls on all of them alike; medians are reported."""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.result import write_result
from precompute.saes import topk
from precompute.saes.sae import Sae
from precompute.saes.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--features", type=int, default=3072)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    seconds = measure(options.batch, options.width, options.features, options.k, options.rounds)
    figures = {
        **vars(options),
        "milliseconds": {name: round(1000 * value, 2) for name, value in seconds.items()},
        "encode_products": {name: round(value / seconds["encode_product"], 2) for name, value in seconds.items()},
    }
    write_result("train_step", figures)


def measure(batch: int, width: int, features: int, k: int, rounds: int) -> dict[str, float]:
    """Median seconds of each variant over interleaved rounds, after two rounds of warm-up."""
    generator = torch.Generator().manual_seed(0)
    x, nothing = torch.randn(batch, width, generator=generator), torch.arange(0)
    settings = Settings(width, features, k, batch)
    sae, dense = topk.begin(settings, generator), topk.begin(settings, generator)
    step, out = topk.make_step(settings), torch.empty(batch, features)
    sparse_adam = torch.optim.Adam(list(sae.parameters.values()), lr=1e-3, fused=True)
    dense_adam = torch.optim.Adam(list(dense.parameters.values()), lr=1e-3, fused=True)
    variants: dict[str, Callable[[], object]] = {
        "encode_product": lambda: torch.addmm(sae.biases["b_enc"], x, sae.w_enc.t(), out=out),
        "sparse_gradients": lambda: step(sae, x, nothing),
        "sparse_step": lambda: update(sparse_adam, sae, step(sae, x, nothing).gradients),
        "dense_autograd_step": lambda: update(dense_adam, dense, dense_gradients(dense, x, k)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 2):
        for name, variant in variants.items():
            started = time.perf_counter()
            variant()
            if number >= 2:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}


def dense_gradients(sae: Sae, x: torch.Tensor, k: int) -> dict[str, torch.Tensor]:
    """The same gradients by autograd over dense codes."""
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in sae.parameters.items()}
    pre = (x - leaves["b_dec"]) @ leaves["w_enc"].t() + leaves["b_enc"]
    values, indices = torch.topk(pre, k, dim=1)
    codes = torch.zeros_like(pre).scatter(1, indices, values.relu())
    loss = (codes @ leaves["w_dec"] + leaves["b_dec"] - x).square().mean()
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


def update(adam: torch.optim.Adam, sae: Sae, gradients: dict[str, torch.Tensor]) -> None:
    """One Adam step and the projection of the decoder, the same for both ways of making gradients."""
    gradients["w_dec"].sub_(sae.w_dec * (gradients["w_dec"] * sae.w_dec).sum(1, keepdim=True))
    for name, weight in sae.parameters.items():
        weight.grad = gradients[name]
    adam.step()
    sae.w_dec.div_(torch.linalg.vector_norm(sae.w_dec, dim=1, keepdim=True))


if __name__ == "__main__":
    main()
