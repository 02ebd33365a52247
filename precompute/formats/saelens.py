"""SAELens v6: a folder of `cfg.json` and `sae_weights.safetensors`; also the layout of a workspace's own SAEs.

Read too: the flat `cfg.json` of versions 3 to 5, and checkpoints of a training, whose scale or whitening is not folded yet."""

from pathlib import Path
from typing import Any

from torch import Tensor

from loaders.errors import BadInput
from precompute.formats.raw import Raw, read_json, read_safetensors, saelens_names, whole_number, write_safetensors
from precompute.publish import write_json
from precompute.row_stages import KEY, ROW_NORMS, RowStages
from precompute.saes import INFERENCE
from precompute.saes.sae import Sae

NAME = "saelens"
WEIGHTS = "sae_weights.safetensors"
SCALER = "activation_scaler.json"
WHITENING = "activation_whitening.safetensors"
LAYOUT_VERSION = "6.0.0"  # without a version SAELens takes a config for one of before 6, and drops its metadata
BATCH_TRAINED = ("batchtopk", "matryoshka_batchtopk")  # in a training's checkpoint; the finished SAE is a jumprelu one
BASE = ("W_enc", "W_dec", "b_dec")
SAID = (
    *("model_name", "hook_name", "hook_head_index", "model_class_name", "model_from_pretrained_kwargs", "prepend_bos"),
    *("context_size", "seqpos_slice", "dataset_path", "neuronpedia_id", "sae_lens_training_version"),
)  # what version 6 moved into the metadata
SCALING_FACTORS = ("scaling_factor", "finetuning_scaling_factor")  # of versions before 6


def is_it(path: Path) -> bool:
    return (path / "cfg.json").is_file() and (path / WEIGHTS).is_file()


def read(path: Path) -> Raw:
    """Raises BadInput for what Loupe does not compute: other architectures, transcoders, reshaping."""
    cfg, tensors = _modern(read_json(path / "cfg.json")), read_safetensors(path / WEIGHTS)
    architecture, metadata = cfg.get("architecture", "standard"), cfg.get("metadata") or {}
    if "transcoder" in str(architecture):
        raise BadInput(
            f"'{path.name}' is a transcoder ({architecture}); Loupe reads SAEs, which rebuild their own input."
        )
    if architecture not in (*INFERENCE, *BATCH_TRAINED):
        raise BadInput(f"Architecture '{architecture}' is none of {', '.join(INFERENCE)}, which Loupe computes.")
    if not isinstance(metadata, dict):
        raise BadInput(f"'{path / 'cfg.json'}' has a metadata that is no object. Get the checkpoint again.")
    if cfg.get("reshape_activations", "none") not in ("none", "hook_z"):  # hook_z: heads side by side, as rows are here
        raise BadInput(f"The SAE reshapes activations ({cfg['reshape_activations']}); Loupe reads rows as they are.")
    is_ranked = architecture in ("topk", *BATCH_TRAINED) and bool(cfg.get("rescale_acts_by_decoder_norm", False))
    if architecture in BATCH_TRAINED:
        architecture, tensors = "jumprelu", _with_thresholds(tensors)
    if architecture == "jumprelu" and "log_threshold" in tensors:
        tensors.setdefault("threshold", tensors.pop("log_threshold").exp())
    _drop_scaling_factors(tensors)
    return Raw(
        NAME,
        architecture,
        tensors,
        whole_number(cfg.get("k")) if architecture == "topk" else None,
        takes_b_dec=bool(cfg.get("apply_b_dec_to_input", True)),
        scale=_scale(path, cfg),
        unit_rows=is_ranked,
        whitening=_whitening(path, cfg),
        metadata=_with_stages(metadata, cfg.get("normalize_activations")),
        stated=(cfg.get("d_in"), cfg.get("d_sae")),
        stated_dtype=str(cfg.get("dtype", "float32")).removeprefix("torch."),
        unused=tuple(name for name in tensors if name not in (*BASE, *INFERENCE[architecture].BIASES)),
    )


def write(directory: Path, sae: Sae) -> None:
    """The SAE in SAELens's own words: norms of each row, and heads of a hook point `hook_z` as TransformerLens has them."""
    norms = [stage["stage"] for stage in RowStages.of(sae.extra).stages if stage["stage"] in ROW_NORMS]
    reads_heads = str(sae.extra.get("hook_name")).endswith("hook_z")
    said = {
        "normalize_activations": norms[0] if norms else "none",
        "reshape_activations": "hook_z" if reads_heads else "none",
    }
    write_safetensors(directory / WEIGHTS, saelens_names(sae))
    write_json(directory / "cfg.json", {**config(sae), **said, "metadata": dict(sae.extra)})


def config(sae: Sae) -> dict[str, Any]:
    """cfg.json of a workspace but for `metadata`: nothing left to apply but the stages that the metadata list."""
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
    normalisation = cfg.get("normalize_activations")
    if normalisation in (None, "none", "covariance_whitening", *ROW_NORMS):
        return 1.0
    if normalisation != "expected_average_only_in":
        raise BadInput(
            f"The SAE prepares rows in a way that Loupe does not know ({normalisation}). Import one without it."
        )
    factor = read_json(path / SCALER).get("scaling_factor") if (path / SCALER).is_file() else None
    return float(factor) if isinstance(factor, int | float) and not isinstance(factor, bool) else None


def _with_stages(metadata: dict[str, Any], normalisation: Any) -> dict[str, Any]:
    """The metadata with a norm of each row among the stages, the last of them; exports of Loupe list it already."""
    stages = RowStages.of(metadata).stages
    norms = [stage["stage"] for stage in stages if stage["stage"] in ROW_NORMS]
    if normalisation not in ROW_NORMS or norms == [normalisation]:
        return dict(metadata)
    if norms:
        raise BadInput(f"The SAE's config says {normalisation}, its metadata {', '.join(norms)}. Correct one of them.")
    return {**metadata, KEY: [*stages, {"stage": normalisation}]}


def _whitening(path: Path, cfg: dict[str, Any]) -> dict[str, Tensor] | None:
    if cfg.get("normalize_activations") != "covariance_whitening":
        return None
    if not (path / WHITENING).is_file():
        raise BadInput(
            f"The SAE reads whitened activations and '{WHITENING}' is not beside it. Import the finished SAE."
        )
    return read_safetensors(path / WHITENING)


def _with_thresholds(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint of batch top-k training in the form of the finished SAE: its one threshold for every latent."""
    threshold = tensors.pop("topk_threshold", None)
    if threshold is not None and threshold.numel() == 1 and "b_enc" in tensors:
        tensors["threshold"] = threshold.float().expand(tensors["b_enc"].shape)
    return tensors


def _drop_scaling_factors(tensors: dict[str, Tensor]) -> None:
    """Versions before 6 could scale codes after the encoder; ones do nothing, others are not computed by version 6 either."""
    for name in SCALING_FACTORS:
        if name in tensors and not bool((tensors.pop(name) == 1).all()):
            raise BadInput(
                f"The SAE scales its codes by '{name}', which Loupe does not compute. Fold it into W_dec first."
            )


def _modern(cfg: dict[str, Any]) -> dict[str, Any]:
    """The config as version 6 would write it: before, model and hook point lay beside the sizes, and k in the arguments of
    the activation function."""
    if "metadata" in cfg:
        return cfg
    renamed = {
        "hook_point": "hook_name",
        "hook_point_head_index": "hook_head_index",
        "activation_fn_str": "activation_fn",
    }
    flat = {"prepend_bos": True, **{renamed.get(name, name): value for name, value in cfg.items()}}
    activation, arguments = flat.get("activation_fn") or "relu", flat.get("activation_fn_kwargs")
    if activation == "topk":
        flat |= {"architecture": "topk", "k": arguments.get("k") if isinstance(arguments, dict) else None}
    elif activation != "relu":
        raise BadInput(f"The SAE has the activation '{activation}'; Loupe computes relu and topk of SAELens before 6.")
    if isinstance(flat.get("normalize_activations"), bool):
        flat["normalize_activations"] = "expected_average_only_in" if flat["normalize_activations"] else "none"
    return {**flat, "metadata": {name: flat[name] for name in SAID if flat.get(name) is not None}}
