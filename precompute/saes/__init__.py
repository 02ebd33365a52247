"""SAE architectures: one file each, chosen by name."""

from precompute.saes import batch_topk, gated, jumprelu, matryoshka, standard, topk

ARCHITECTURES = {
    "standard": standard,
    "topk": topk,
    "batch_topk": batch_topk,
    "matryoshka": matryoshka,
    "jumprelu": jumprelu,
    "gated": gated,
}
"""Those that can be trained: each module has `begin`, `make_step` and `finish`, which gives one of `INFERENCE`."""

BY_K = ("topk", "batch_topk", "matryoshka")
"""Those whose active latents are counted: they train all-sparse."""

INFERENCE = {"gated": gated, "jumprelu": jumprelu, "standard": standard, "topk": topk}
"""Those that can be read, harvested and exported: each module has `encode_sparse` and the names of its `BIASES`."""
