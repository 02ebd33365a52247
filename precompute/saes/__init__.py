"""SAE architectures: one file each, chosen by name."""

from precompute.saes import topk

ARCHITECTURES = {"topk": topk}
