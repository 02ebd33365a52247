"""Runs in the environment of eai-sparsify; the commands are those of exchange.py."""

from pathlib import Path
from typing import Any

import torch
from exchange import D_IN, D_SAE, K, Loaded, Peer, randomise, run
from sparsify import SparseCoder, SparseCoderConfig
from torch import Tensor


def save(path: Path, dtype: torch.dtype = torch.float32, **settings: Any) -> None:
    coder = SparseCoder(D_IN, SparseCoderConfig(**{"num_latents": D_SAE, "k": K} | settings))
    randomise(coder)
    if coder.cfg.normalize_decoder:
        coder.set_decoder_norm_to_unit_norm()
    coder.to(dtype).save_to_disk(path)


def load(directory: Path) -> Loaded:
    coder = SparseCoder.load_from_disk(directory).float()

    def encode(rows: Tensor) -> Tensor:
        coded = coder.encode(rows)
        return torch.zeros(len(rows), coder.num_latents).scatter_(1, coded.top_indices, coded.top_acts)

    return Loaded(encode, lambda rows: coder(rows).sae_out)


CASES = {
    "topk": lambda path: save(path),
    "topk_free_decoder": lambda path: save(path, normalize_decoder=False),
    "topk_by_expansion": lambda path: save(path, num_latents=0, expansion_factor=D_SAE // D_IN),
    "topk_bfloat16": lambda path: save(path, torch.bfloat16, normalize_decoder=False),
    "topk_float16": lambda path: save(path, torch.float16),
}
REFUSED = {
    "groupmax": lambda path: save(path, activation="groupmax"),
    "multi_topk": lambda path: save(path, multi_topk=True),
    "skip_connection": lambda path: save(path, skip_connection=True),
    "transcode": lambda path: save(path, transcode=True),
}

if __name__ == "__main__":
    run(Peer(("eai-sparsify", "torch"), CASES, REFUSED, load))
