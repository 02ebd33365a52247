"""What the scripts that run in the peers' own environments share: commands, random weights, and the files that go to and fro.

python PEER_compat.py write DIR      DIR/cases/<case>: a checkpoint, rows.npy, and what the peer's own code makes of them;
                                     DIR/refused/<case>: a checkpoint of a kind that Loupe must refuse
python PEER_compat.py rebuild DIR    reads every checkpoint DIR/<case>, and writes what it makes of its rows.npy
python PEER_compat.py versions       prints the packages' versions as JSON"""

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

D_IN, D_SAE, K, ROWS = 64, 256, 16, 1_000
NEAR = 1e-5  # share of its length by which a row is moved to see whether any latent would change its mind


class Loaded(NamedTuple):
    """A checkpoint as the peer computes it, in float32."""

    encode: Callable[[Tensor], Tensor]  # (rows, D_IN) -> dense codes (rows, D_SAE)
    rebuild: Callable[[Tensor], Tensor]  # (rows, D_IN) -> (rows, D_IN)
    said: dict[str, object] = {}  # what the package found on model and hook point


class Peer(NamedTuple):
    """What a script does with its package."""

    packages: tuple[str, ...]
    cases: dict[str, Callable[[Path], None]]  # each writes a checkpoint with the package's own code
    refused: dict[str, Callable[[Path], None]]
    load: Callable[[Path], Loaded]


@torch.no_grad()
def randomise(module: torch.nn.Module) -> torch.nn.Module:
    """Random weights, biases of both signs, positive thresholds; decoder rows of norms between 1/3 and 3."""
    norms = torch.rand(D_SAE).mul(2).sub(1).mul(np.log(3)).exp()
    for name, tensor in module.named_parameters():
        tensor.copy_(torch.randn_like(tensor.float()) * (0.3 if tensor.ndim == 1 else D_IN**-0.5))
        if name == "threshold":
            tensor.abs_()
        if name in ("W_dec", "decoder.weight"):
            tensor.mul_(norms[:, None] if tensor.shape == (D_SAE, D_IN) else norms)
    return module


def _decided_rows(encode: Callable[[Tensor], Tensor]) -> Tensor:
    """Rows of which no latent opens or closes by rounding: their active latents stay the same when they are moved a little."""
    rows = torch.randn(2 * ROWS, D_IN)
    is_active, is_decided = encode(rows) > 0, torch.ones(len(rows), dtype=torch.bool)
    for _ in range(4):
        moved = rows + NEAR * rows.norm(dim=1, keepdim=True) * torch.nn.functional.normalize(torch.randn_like(rows))
        is_decided &= ((encode(moved) > 0) == is_active).all(1)
    if int(is_decided.sum()) < ROWS:
        raise RuntimeError(f"only {int(is_decided.sum())} of {len(rows)} rows are decided")
    return rows[is_decided][:ROWS]


def _write(peer: Peer, root: Path) -> None:
    for kind, makers in (("cases", peer.cases), ("refused", peer.refused)):
        for name, make in makers.items():
            torch.manual_seed(0)
            (root / kind / name).mkdir(parents=True)
            make(root / kind / name)
    for name in peer.cases:
        np.save(root / "cases" / name / "rows.npy", _decided_rows(peer.load(root / "cases" / name).encode).numpy())
    _rebuild(peer, root / "cases")


def _rebuild(peer: Peer, root: Path) -> None:
    for directory in sorted(path.parent for path in root.glob("*/rows.npy")):
        loaded, rows = peer.load(directory), torch.from_numpy(np.load(directory / "rows.npy"))
        np.save(directory / "rebuilt.npy", loaded.rebuild(rows).numpy())
        np.save(directory / "codes.npy", loaded.encode(rows).numpy())
        (directory / "said.json").write_text(json.dumps(loaded.said))


@torch.no_grad()
def run(peer: Peer) -> None:
    """Do what the command line asks for."""
    command, *paths = sys.argv[1:]
    if command == "versions":
        print(json.dumps({package: version(package) for package in peer.packages}))
    else:
        {"write": _write, "rebuild": _rebuild}[command](peer, Path(*paths))
