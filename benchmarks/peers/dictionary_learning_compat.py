"""Runs in the environment of dictionary-learning; the commands are those of exchange.py."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from dictionary_learning.dictionary import AutoEncoder, AutoEncoderNew, GatedAutoEncoder, JumpReluAutoEncoder
from dictionary_learning.trainers.batch_top_k import BatchTopKSAE
from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE
from dictionary_learning.trainers.top_k import AutoEncoderTopK
from dictionary_learning.utils import load_dictionary
from exchange import D_IN, D_SAE, K, Loaded, Peer, randomise, run

GROUPS = [D_SAE // 4, D_SAE // 4, D_SAE // 2]


def save(path: Path, made: Any, threshold: float | None = None, dtype: torch.dtype = torch.float32) -> None:
    """ae.pt and config.json, as trainSAE writes them after the last step."""
    randomise(made)
    if threshold is not None:
        made.threshold.fill_(threshold)
    state = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in made.state_dict().items()
    }
    torch.save(state, path / "ae.pt")
    trainer = {
        "dict_class": type(made).__name__,
        "activation_dim": D_IN,
        "dict_size": D_SAE,
        "layer": 3,
        "lm_name": "m",
    }
    if hasattr(made, "k"):
        trainer["k"] = int(made.k)
    (path / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {"ctx_len": 128}}))


def load(directory: Path) -> Loaded:
    dictionary, config = load_dictionary(str(directory), device="cpu")
    return Loaded(dictionary.encode, dictionary, {key: config["trainer"][key] for key in ("lm_name", "layer")})


def unknown(dict_class: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        save(path, AutoEncoder(D_IN, D_SAE))
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps(config | {"trainer": {"dict_class": dict_class}}))

    return write


CASES = {
    "AutoEncoder": lambda path: save(path, AutoEncoder(D_IN, D_SAE)),
    "AutoEncoder_bfloat16": lambda path: save(path, AutoEncoder(D_IN, D_SAE), dtype=torch.bfloat16),
    "AutoEncoderNew": lambda path: save(path, AutoEncoderNew(D_IN, D_SAE)),
    "GatedAutoEncoder": lambda path: save(path, GatedAutoEncoder(D_IN, D_SAE)),
    "GatedAutoEncoder_float16": lambda path: save(path, GatedAutoEncoder(D_IN, D_SAE), dtype=torch.float16),
    "AutoEncoderTopK": lambda path: save(path, AutoEncoderTopK(D_IN, D_SAE, K), 0.8),
    "BatchTopKSAE": lambda path: save(path, BatchTopKSAE(D_IN, D_SAE, K), 0.8),
    "BatchTopKSAE_untrained_threshold": lambda path: save(path, BatchTopKSAE(D_IN, D_SAE, K)),
    "MatryoshkaBatchTopKSAE": lambda path: save(path, MatryoshkaBatchTopKSAE(D_IN, D_SAE, K, GROUPS), 0.8),
    "JumpReluAutoEncoder": lambda path: save(path, JumpReluAutoEncoder(D_IN, D_SAE)),
    "JumpReluAutoEncoder_bfloat16": lambda path: save(path, JumpReluAutoEncoder(D_IN, D_SAE), dtype=torch.bfloat16),
}
REFUSED = {"IdentityDict": unknown("IdentityDict"), "CrossCoder": unknown("CrossCoder")}

if __name__ == "__main__":
    run(Peer(("dictionary-learning", "torch"), CASES, REFUSED, load))
