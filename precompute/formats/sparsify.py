"""EleutherAI sparsify: `{hookpoint}/cfg.json` and `sae.safetensors`, top-k SAEs.

    f = topk(ReLU((x - b_dec) encoder.weight^T + encoder.bias))        x_hat = f W_dec + b_dec

`normalize_decoder` only says how it was trained: the weights in the file are those that are used."""

import re
from pathlib import Path

from loaders.errors import BadInput
from precompute.formats.raw import (
    Raw,
    read_json,
    read_safetensors,
    read_sidecar,
    refuse_architecture,
    turned,
    whole_number,
    write_safetensors,
    write_sidecar,
)
from precompute.publish import write_json
from precompute.saes.sae import Sae

NAME = "sparsify"
WEIGHTS = "sae.safetensors"
DEFAULT_K = 32  # of a config that does not say it


def is_it(path: Path) -> bool:
    return (path / "cfg.json").is_file() and (path / WEIGHTS).is_file()


def read(path: Path) -> Raw:
    """Raises BadInput for transcoders, skip connections, multi-topk and other activations."""
    cfg, found = read_json(path / "cfg.json"), read_safetensors(path / WEIGHTS)
    for key, what in (("transcode", "is a transcoder"), ("skip_connection", "has a skip connection")):
        if cfg.get(key) or (key == "skip_connection" and "W_skip" in found):
            raise BadInput(f"'{path.name}' {what}; Loupe reads SAEs, which rebuild their own input.")
    if cfg.get("multi_topk"):
        raise BadInput(
            f"'{path.name}' was trained with multi_topk: sparsify's encode keeps k latents and its forward pass 4 k. Set"
            " multi_topk to false in its cfg.json to read it with k."
        )
    if cfg.get("activation", "topk") != "topk":
        raise BadInput(f"'{path.name}' has the activation '{cfg['activation']}'; Loupe computes topk in this format.")
    names = {"encoder.bias": "b_enc", "W_dec": "W_dec", "b_dec": "b_dec"}
    tensors = {name: found[key] for key, name in names.items() if key in found}
    if "encoder.weight" in found:
        tensors["W_enc"] = turned(found["encoder.weight"])
    stated = (cfg.get("d_in"), cfg.get("num_latents") or None)
    place = path.parent if re.fullmatch(r"seed\d+", path.name) else path  # a run of several seeds has a folder for each
    said = {"normalize_decoder": cfg.get("normalize_decoder", True), "hook_name": place.name}
    return Raw(
        NAME,
        "topk",
        tensors,
        whole_number(cfg.get("k", DEFAULT_K)),
        metadata=said | read_sidecar(path),
        stated=stated,
        unused=tuple(name for name in found if name not in (*names, "encoder.weight")),
    )


def write(directory: Path, sae: Sae) -> None:
    refuse_architecture(sae, "sparsify", ("topk",))
    norms = sae.w_dec.norm(dim=1)
    tensors = {
        "encoder.weight": sae.w_enc.contiguous(),
        "encoder.bias": sae.biases["b_enc"],
        "W_dec": sae.w_dec.contiguous(),
        "b_dec": sae.b_dec,
    }
    write_safetensors(directory / WEIGHTS, tensors)
    write_sidecar(directory, sae)
    cfg = {
        "activation": "topk",
        "expansion_factor": max(sae.d_sae // sae.d_in, 1),
        "normalize_decoder": bool(((norms - 1).abs() < 1e-3).all()),
        "num_latents": sae.d_sae,
        "k": sae.k,
        "multi_topk": False,
        "skip_connection": False,
        "transcode": False,
        "d_in": sae.d_in,
    }
    write_json(directory / "cfg.json", cfg)
