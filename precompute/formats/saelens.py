"""SAELens v6: a folder of `cfg.json` and `sae_weights.safetensors`; also the layout of a workspace's own SAEs."""

from pathlib import Path
from typing import Any

from loaders.errors import BadInput
from precompute.formats.raw import Raw, read_json, read_safetensors, saelens_names, write_safetensors
from precompute.publish import write_json
from precompute.saes import INFERENCE
from precompute.saes.sae import Sae

NAME = "saelens"
WEIGHTS = "sae_weights.safetensors"
SCALER = "activation_scaler.json"
SAVED_AS_JUMPRELU = ("batchtopk", "matryoshka_batchtopk")


def is_it(path: Path) -> bool:
    return (path / "cfg.json").is_file() and (path / WEIGHTS).is_file()


def read(path: Path) -> Raw:
    """Raises BadInput for what Loupe does not compute: other architectures, layer norm, hook_z, norms of each row."""
    cfg = read_json(path / "cfg.json")
    architecture = cfg.get("architecture", "standard")
    if architecture in SAVED_AS_JUMPRELU:
        raise BadInput(f"SAELens saves {architecture} SAEs for inference as jumprelu; save it so and import that.")
    if architecture not in INFERENCE:
        raise BadInput(f"Architecture '{architecture}' is none of {', '.join(INFERENCE)}, which Loupe computes.")
    if cfg.get("reshape_activations", "none") != "none":
        raise BadInput(f"The SAE reshapes activations ({cfg['reshape_activations']}); Loupe reads rows as they are.")
    return Raw(
        NAME,
        architecture,
        read_safetensors(path / WEIGHTS),
        cfg.get("k"),
        takes_b_dec=bool(cfg.get("apply_b_dec_to_input", True)),
        scale=_scale(path, cfg),
        ranks_by_norm=bool(cfg.get("rescale_acts_by_decoder_norm", False)),
        metadata=dict(cfg.get("metadata") or {}),
        stated=(cfg.get("d_in"), cfg.get("d_sae")),
    )


def write(directory: Path, sae: Sae) -> None:
    write_safetensors(directory / WEIGHTS, saelens_names(sae))
    write_json(directory / "cfg.json", {**config(sae), "metadata": dict(sae.extra)})


def config(sae: Sae) -> dict[str, Any]:
    """cfg.json but for `metadata`: raw inputs, nothing left to apply."""
    return {
        "architecture": sae.architecture,
        "d_in": sae.d_in,
        "d_sae": sae.d_sae,
        **({"k": sae.k, "rescale_acts_by_decoder_norm": False} if sae.architecture == "topk" else {}),
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
    }


def _scale(path: Path, cfg: dict[str, Any]) -> float | None:
    """The constant that rows are multiplied by; None where SAELens estimates it on data and did not write it."""
    normalisation = cfg.get("normalize_activations", "none")
    if normalisation in ("none", None):
        return 1.0
    if normalisation != "expected_average_only_in":
        raise BadInput(
            f"The SAE normalises each row ({normalisation}), which weights cannot hold. Import one without it."
        )
    factor = read_json(path / SCALER).get("scaling_factor") if (path / SCALER).is_file() else None
    return float(factor) if isinstance(factor, int | float) else None
