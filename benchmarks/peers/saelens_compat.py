"""Runs in SAELens's own environment: `reconstruct` folders in its layout with its own code, or `write` what it saves.

python saelens_compat.py write DIR      one folder per architecture, random weights, and rows.npy, rebuilt.npy in each
python saelens_compat.py rebuild DIR    reads every folder below DIR, and writes rebuilt.npy from its rows.npy"""

import sys
from pathlib import Path

import numpy as np
import torch
from sae_lens import (
    SAE,
    GatedSAE,
    GatedSAEConfig,
    JumpReLUSAE,
    JumpReLUSAEConfig,
    StandardSAE,
    StandardSAEConfig,
    TopKSAE,
    TopKSAEConfig,
)

D_IN, D_SAE = 64, 256
MADE = {
    "topk": lambda: TopKSAE(TopKSAEConfig(d_in=D_IN, d_sae=D_SAE, k=16)),
    "topk_ranked": lambda: TopKSAE(TopKSAEConfig(d_in=D_IN, d_sae=D_SAE, k=16, rescale_acts_by_decoder_norm=True)),
    "standard": lambda: StandardSAE(StandardSAEConfig(d_in=D_IN, d_sae=D_SAE)),
    "standard_uncentred": lambda: StandardSAE(StandardSAEConfig(d_in=D_IN, d_sae=D_SAE, apply_b_dec_to_input=False)),
    "jumprelu": lambda: JumpReLUSAE(JumpReLUSAEConfig(d_in=D_IN, d_sae=D_SAE)),
    "gated": lambda: GatedSAE(GatedSAEConfig(d_in=D_IN, d_sae=D_SAE)),
}


@torch.no_grad()
def write(root: Path) -> None:
    torch.manual_seed(0)
    for name, make in MADE.items():
        sae = make()
        for tensor in sae.parameters():
            tensor.copy_(torch.randn_like(tensor) * (0.3 if tensor.ndim == 1 else 0.125))
        if name == "jumprelu":
            sae.threshold.abs_()
        sae.save_model(root / name)
        np.save(root / name / "rows.npy", torch.randn(1_000, D_IN).numpy())
    rebuild(root)


@torch.no_grad()
def rebuild(root: Path) -> None:
    for directory in sorted(path.parent for path in root.glob("*/rows.npy")):
        sae = SAE.load_from_disk(directory, device="cpu")
        np.save(directory / "rebuilt.npy", sae(torch.from_numpy(np.load(directory / "rows.npy"))).numpy())


if __name__ == "__main__":
    {"write": write, "rebuild": rebuild}[sys.argv[1]](Path(sys.argv[2]))
