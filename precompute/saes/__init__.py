"""SAE architectures: one file each, chosen by name."""

from precompute.saes import gated, jumprelu, standard, topk

ARCHITECTURES = {"topk": topk}
"""Those that can be trained."""

INFERENCE = {"gated": gated, "jumprelu": jumprelu, "standard": standard, "topk": topk}
"""Those that can be read, harvested and exported: each module has `encode_sparse` and the names of its `BIASES`."""
