"""Runs in the environment of sae-lens; the commands are those of exchange.py.

SAELens itself leaves the scale and the whitening of a checkpoint to its caller: `load` applies its own ActivationScaler."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from exchange import D_IN, D_SAE, K, Loaded, Peer, randomise, run
from sae_lens import SAE
from sae_lens.registry import get_sae_class, get_sae_training_class
from sae_lens.saes.sae import SAEMetadata, TrainingSAE
from sae_lens.training.activation_scaler import ActivationScaler
from safetensors.torch import load_file, save_file
from torch import Tensor

HEADS = 4
SCALER = "activation_scaler.json"
WEIGHTS = "sae_weights.safetensors"
TRAINED_ONLY = ("batchtopk", "matryoshka_batchtopk")  # of which SAELens has no class for inference
SAID = {"model_name": "gpt2", "hook_name": "blocks.3.hook_resid_pre", "prepend_bos": False}


def made(architecture: str, **settings: Any) -> Any:
    """An SAE of the class for inference, with random weights."""
    sae_class, config_class = get_sae_class(architecture)
    settings = {"d_in": D_IN, "d_sae": D_SAE, "metadata": SAEMetadata(**SAID)} | settings
    return randomise(sae_class(config_class(**settings | ({"k": K} if architecture in ("topk", "abstopk") else {}))))


def trained(architecture: str, threshold: float | None = None, **settings: Any) -> Any:
    """An SAE of the class for training, with random weights."""
    sae_class, config_class = get_sae_training_class(architecture)
    sae = randomise(sae_class(config_class(d_in=D_IN, d_sae=D_SAE, **settings)))
    if threshold is not None:
        sae.topk_threshold.fill_(threshold)
    return sae


def batch_trained(architecture: str, **settings: Any) -> Any:
    widths = {"matryoshka_widths": [D_SAE // 4, D_SAE // 2, D_SAE]} if architecture.startswith("matryoshka") else {}
    return trained(architecture, threshold=0.8, k=K, **widths, **settings)


def save(architecture: str, **settings: Any) -> Callable[[Path], None]:
    return lambda path: made(architecture, **settings).save_model(path)


def save_scaled(architecture: str, **settings: Any) -> Callable[[Path], None]:
    """As a checkpoint lies in the middle of a training whose constant is not folded yet."""

    def write(path: Path) -> None:
        made(architecture, normalize_activations="expected_average_only_in", **settings).save_model(path)
        scaler = ActivationScaler()
        scaler.estimate_scaling_factor(D_IN, iter(lambda: 3 * torch.randn(64, D_IN), None), 4)
        scaler.save(str(path / SCALER))

    return write


def save_whitened(architecture: str, **settings: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        made(architecture, normalize_activations="covariance_whitening", **settings).save_model(path)
        mixing, scaler = torch.randn(D_IN, D_IN) / D_IN**0.5 + torch.eye(D_IN), ActivationScaler()
        scaler.estimate_whitening(D_IN, iter(lambda: torch.randn(512, D_IN) @ mixing + 0.3, None), 4)
        scaler.save(str(path / SCALER))

    return write


def save_before_v6(name: str, **settings: Any) -> Callable[[Path], None]:
    """The flat config of versions 3 to 5, without a version in it."""

    def write(path: Path) -> None:
        made(name).save_model(path)
        flat = {"d_in": D_IN, "d_sae": D_SAE, "dtype": "float32", "device": "cpu", "normalize_activations": "none"}
        flat |= {"model_name": "gpt2", "hook_point": "blocks.3.hook_resid_pre", "apply_b_dec_to_input": True}
        (path / "cfg.json").write_text(json.dumps(flat | settings))

    return write


def save_logarithm(path: Path) -> None:
    """A JumpReLU checkpoint as older versions trained it: the logarithm of the threshold."""
    made("jumprelu").save_model(path)
    tensors = load_file(path / WEIGHTS)
    save_file({"log_threshold": tensors.pop("threshold").log(), **tensors}, path / WEIGHTS)


def load(directory: Path) -> Loaded:
    config = json.loads((directory / "cfg.json").read_text())
    if config.get("architecture") in TRAINED_ONLY or "log_threshold" in load_file(directory / WEIGHTS):
        with tempfile.TemporaryDirectory() as inference:
            TrainingSAE.load_from_disk(directory, device="cpu", dtype="float32").save_inference_model(inference)
            sae: Any = SAE.load_from_disk(inference)
    else:
        sae = SAE.load_from_disk(directory, device="cpu", dtype="float32")
    said = {key: sae.cfg.metadata.get(key) for key in SAID}
    if config.get("reshape_activations") == "hook_z":
        return Loaded(lambda x: sae.encode(_heads(x)), lambda x: sae(_heads(x)).flatten(1), said)
    scaler = ActivationScaler()
    if (directory / SCALER).exists():
        scaler.load(directory / SCALER)
    return Loaded(lambda x: sae.encode(scaler.scale(x)), lambda x: scaler.unscale(sae(scaler.scale(x))), said)


def _heads(rows: Tensor) -> Tensor:
    return rows.view(len(rows), HEADS, -1)


INFERENCE = ("topk", "standard", "jumprelu", "gated")
NORMS = ("layer_norm", "constant_norm_rescale")
ALSO = {
    "topk_ranked": save("topk", rescale_acts_by_decoder_norm=True),
    "topk_ranked_scaled": save_scaled("topk", rescale_acts_by_decoder_norm=True),
    "topk_ranked_whitened": save_whitened("topk", rescale_acts_by_decoder_norm=True),
    "standard_scaled_uncentred": save_scaled("standard", apply_b_dec_to_input=False),
    "gated_whitened_uncentred": save_whitened("gated", apply_b_dec_to_input=False),
    "jumprelu_logarithm": save_logarithm,
    "standard_hook_z": save(
        "standard", reshape_activations="hook_z", metadata=SAEMetadata(**SAID | {"hook_name": "blocks.3.attn.hook_z"})
    ),
    "topk_before_v6": save_before_v6("topk", activation_fn_str="topk", activation_fn_kwargs={"k": K}),
    "gated_before_v6": save_before_v6("gated", architecture="gated", normalize_activations=False),
    "batchtopk": lambda path: batch_trained("batchtopk").save_inference_model(path),
    "matryoshka": lambda path: batch_trained("matryoshka_batchtopk").save_inference_model(path),
    "batchtopk_free_decoder": lambda path: batch_trained(
        "batchtopk", rescale_acts_by_decoder_norm=False
    ).save_inference_model(path),
    "batchtopk_checkpoint": lambda path: batch_trained("batchtopk").save_model(path),
    "matryoshka_checkpoint": lambda path: batch_trained("matryoshka_batchtopk").save_model(path),
    "topk_checkpoint": lambda path: trained("topk", k=K).save_model(path),
    "topk_from_training": lambda path: trained("topk", k=K).save_inference_model(path),
    "jumprelu_checkpoint": lambda path: trained("jumprelu").save_model(path),
}
CASES = {
    **{name: save(name) for name in INFERENCE},
    **{f"{name}_uncentred": save(name, apply_b_dec_to_input=False) for name in INFERENCE},
    **{f"{name}_scaled": save_scaled(name) for name in INFERENCE},
    **{f"{name}_whitened": save_whitened(name) for name in INFERENCE},
    **{f"{name}_{norm}": save(name, normalize_activations=norm) for name in INFERENCE for norm in NORMS},
    **{f"{name}_bfloat16": save(name, dtype="bfloat16") for name in INFERENCE},
    **{f"{name}_float16": save(name, dtype="float16") for name in INFERENCE},
    **ALSO,
}
REFUSED = {
    **{name: save(name) for name in ("abstopk", "matching_pursuit")},
    **{
        name: save(name, d_out=D_IN, apply_b_dec_to_input=False)
        for name in ("transcoder", "skip_transcoder", "jumprelu_transcoder")
    },
}

if __name__ == "__main__":
    run(Peer(("sae-lens", "torch"), CASES, REFUSED, load))
