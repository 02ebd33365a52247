"""What a checkpoint of another library says of how its SAE is to be used: model, hook point, contexts, processing, norms."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from loaders.errors import BadInput
from precompute.add_sources import Found
from precompute.formats import dictionary_learning, format_of, gemma_scope, saelens, sparsify
from precompute.formats.raw import read_json, read_safetensors, read_sidecar
from precompute.row_stages import KEY, ROW_NORMS, RowStages

PROCESSING = ("center_writing_weights", "fold_ln", "fold_value_biases")
HARMLESS = ("center_unembed", "n_devices", "device", "device_map", "dtype", "torch_dtype", "default_prepend_bos")
RENAMED = {"hook_point": "hook_name", "hook_point_head_index": "hook_head_index", "activation_fn_str": "activation_fn"}
TRANSFORMER_LENS = "HookedTransformer"
ABOUT = (  # keys that SAELens kept beside the others before version 6
    "model_name",
    "hook_name",
    "model_class_name",
    "hook_head_index",
    "model_from_pretrained_kwargs",
    "prepend_bos",
    "exclude_special_tokens",
    "context_size",
    "seqpos_slice",
    "dataset_path",
    "sae_lens_version",
    "hook_name_out",
)


@dataclass(frozen=True)
class Conventions:
    """What one checkpoint says; None where it does not."""

    found: Found
    model: str | None = None
    hook: str | None = None
    prepend_bos: bool | None = None  # None: as the model's tokenizer does it
    context_size: int | None = None
    processing: frozenset[str] = frozenset()  # of PROCESSING, done to the model's weights before the SAE was trained
    row_norm: str | None = None  # of ROW_NORMS
    owes_scale: bool = False  # rows are scaled by a constant that the files do not hold
    l0: float | None = None  # active latents per token, as published
    stages: tuple[dict[str, Any], ...] | None = None  # of an SAE that was added to a workspace before
    cfg: dict[str, Any] = field(default_factory=dict)  # SAELens alone: its config as version 6 writes it


def read_conventions(found: Found) -> Conventions:
    """Raises BadInput for transcoders and for conventions that Loupe does not compute."""
    readers = {
        saelens.NAME: _saelens,
        gemma_scope.NAME: _gemma_scope,
        sparsify.NAME: _sparsify,
        dictionary_learning.NAME: _dictionary_learning,
    }
    return _with_sidecar(readers[format_of(found.path)](found))


def _with_sidecar(said: Conventions) -> Conventions:
    """What an export of Loupe kept beside a format without a place for it goes before what the format says."""
    kept = read_sidecar(said.found.path)
    return replace(
        said,
        model=_text(kept.get("model_name")) or said.model,
        hook=_text(kept.get("hook_name")) or said.hook,
        stages=tuple(RowStages.of(kept).stages) if KEY in kept else said.stages,
    )


@contextmanager
def as_plain_checkpoint(conventions: Conventions) -> Iterator[Path]:
    """A folder with the checkpoint: its own, or, of SAELens, one with the config that its release and version 6 make of it;
    its tensors are links."""
    if not conventions.cfg:
        yield conventions.found.path
        return
    with TemporaryDirectory(prefix="loupe-add-") as directory:
        for name in (saelens.WEIGHTS, saelens.SCALER, saelens.WHITENING):
            if (conventions.found.path / name).is_file():
                Path(directory, name).symlink_to((conventions.found.path / name).resolve())
        Path(directory, "cfg.json").write_text(json.dumps(conventions.cfg))
        yield Path(directory)


def saelens_v6(cfg: dict[str, Any]) -> dict[str, Any]:
    """SAELens's config in the form of version 6, of one that any version wrote."""
    about = cfg.get("metadata")
    if isinstance(about, dict):
        return dict(cfg)
    named = {RENAMED.get(key, key): value for key, value in cfg.items()}
    made = {key: value for key, value in named.items() if key not in ABOUT}
    made["metadata"] = {"prepend_bos": True, **{key: named[key] for key in ABOUT if key in named}}
    arguments = _object(named.get("activation_fn_kwargs"))
    if named.get("activation_fn") == "topk" and "k" in arguments:
        made |= {"architecture": "topk", "k": arguments["k"]}
    norm = named.get("normalize_activations")
    if norm is None or isinstance(norm, bool):
        norm = "expected_average_only_in" if norm else "none"
    made["normalize_activations"] = norm
    if "hook_z" in str(named.get("hook_name", "")):
        made.setdefault("reshape_activations", "hook_z")
    return made


def _saelens(found: Found) -> Conventions:
    cfg = saelens_v6(read_json(found.path / "cfg.json"))
    overrides = dict(found.overrides)
    corrected = {key: overrides.pop(key) for key in list(overrides) if key in ABOUT}
    cfg = {**cfg, **overrides, "metadata": {**cfg["metadata"], **corrected}}
    about: dict[str, Any] = cfg["metadata"]
    _refuse_other_kinds(found, cfg, about)
    norm = cfg.get("normalize_activations") or "none"
    if norm not in ("none", "expected_average_only_in", "covariance_whitening", *ROW_NORMS):
        raise BadInput(f"'{_title(found)}' normalises its rows by '{norm}', which Loupe does not compute.")
    scaler = read_json(found.path / saelens.SCALER) if (found.path / saelens.SCALER).is_file() else {}
    reads_lens = (about.get("model_class_name") or TRANSFORMER_LENS) == TRANSFORMER_LENS
    return Conventions(
        found,
        model=_text(about.get("model_name")),
        hook=_text(about.get("hook_name")),
        prepend_bos=_flag(about.get("prepend_bos")),
        context_size=_count(about.get("context_size")),
        processing=_processing(found, about) if reads_lens else frozenset(),
        row_norm=norm if norm in ROW_NORMS else None,
        owes_scale=norm == "expected_average_only_in" and not isinstance(scaler.get("scaling_factor"), int | float),
        l0=_published_l0(found.path, cfg),
        stages=tuple(RowStages.of(about).stages) if KEY in about else None,
        cfg=cfg,
    )


def _refuse_other_kinds(found: Found, cfg: dict[str, Any], about: dict[str, Any]) -> None:
    out = about.get("hook_name_out")
    kind = str(cfg.get("architecture", "standard"))
    if (
        "transcoder" in kind
        or (out and out != about.get("hook_name"))
        or cfg.get("d_out") not in (None, cfg.get("d_in"))
    ):
        raise BadInput(
            f"'{_title(found)}' is a transcoder: it reads {about.get('hook_name') or 'one place'} and predicts"
            f" {out or 'another'}. Loupe shows SAEs, which rebuild what they read."
        )
    if about.get("hook_head_index") is not None:
        raise BadInput(
            f"'{_title(found)}' reads head {about['hook_head_index']} alone; Loupe captures all heads of a layer together."
        )


def _processing(found: Found, about: dict[str, Any]) -> frozenset[str]:
    """What SAELens did to TransformerLens's model: nothing (`from_pretrained_no_processing`) but what is asked for."""
    asked = _object(about.get("model_from_pretrained_kwargs"))
    wanted = {key for key, value in asked.items() if value not in (None, False)}
    if unknown := sorted(wanted - {*PROCESSING, *HARMLESS}):
        raise BadInput(
            f"'{_title(found)}' was trained on a model loaded with {', '.join(f'{key}={asked[key]}' for key in unknown)},"
            " which Loupe does not repeat."
        )
    return frozenset(wanted & set(PROCESSING))


def _published_l0(path: Path, cfg: dict[str, Any]) -> float | None:
    """k of a top-k SAE; else what SAELens's log10 firing frequencies add up to."""
    if cfg.get("architecture") == "topk":
        return float(cfg["k"]) if _count(cfg.get("k")) else None
    if not (path / "sparsity.safetensors").is_file():
        return None
    logs = read_safetensors(path / "sparsity.safetensors").get("sparsity")
    total = float(torch.pow(10.0, logs.double()).sum()) if logs is not None else 0.0
    return total if 0 < total < float("inf") else None


def _gemma_scope(found: Found) -> Conventions:
    """All from the names of folders, as Google publishes them: `gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82`."""
    words = found.path.absolute().as_posix()
    layer, l0 = re.search(r"layer_(\d+)", words), re.search(r"average_l0_(\d+)", words)
    release = re.search(r"gemma-scope-(\d+b)-(pt|it)-(res|mlp|att|transcoders)", words)
    place = release[3] if release else next((word for word in ("mlp", "att") if f"/{word}" in words), "res")
    hooks = {"res": "hook_resid_post", "mlp": "hook_mlp_out", "att": "attn.hook_z", "transcoders": "hook_mlp_out"}
    hook = f"blocks.{layer[1]}.{hooks[place]}" if layer else None
    return Conventions(
        found,
        model=f"google/gemma-2-{release[1]}" + ("-it" if release[2] == "it" else "") if release else None,
        hook="hook_embed" if "/embedding" in words else hook,
        prepend_bos=True,
        context_size=1024,
        l0=float(l0[1]) if l0 else None,
    )


def _sparsify(found: Found) -> Conventions:
    """The folder is named as the hook point; `config.json` of the run may lie beside the folders."""
    cfg = read_json(found.path / "cfg.json")
    above = found.path.parent / "config.json"
    run = read_json(above) if above.is_file() else {}
    if cfg.get("transcode") or cfg.get("skip_connection"):
        raise BadInput(
            f"'{_title(found)}' is a transcoder: it predicts what {found.path.name} hands on from what it receives. Loupe shows"
            " SAEs, which rebuild what they read."
        )
    k = _count(cfg.get("k"))
    return Conventions(
        found,
        model=_text(run.get("model")),
        hook=found.path.name,
        context_size=_count(run.get("ctx_len")),
        l0=float(k) if k else None,
    )


def _dictionary_learning(found: Found) -> Conventions:
    """`trainer` names layer and submodule (the residual stream behind the layer, if none); `buffer` says input or output."""
    cfg = read_json(found.path / "config.json")
    trainer, buffer = _object(cfg.get("trainer")), _object(cfg.get("buffer"))
    layer, submodule = _count(trainer.get("layer"), 0), _text(trainer.get("submodule_name"))
    hook = None if layer is None else f"resid_post_layer_{layer}"
    if submodule:
        hook = submodule if re.search(r"\d", submodule) or layer is None else f"{submodule}_layer_{layer}"
    if buffer.get("io") == "in_and_out":
        raise BadInput(f"'{_title(found)}' is a transcoder: it predicts a module's output from its input.")
    if hook and buffer.get("io") == "in":
        hook += ".input"
    k = _count(trainer.get("k"))
    return Conventions(
        found,
        model=_text(trainer.get("lm_name")),
        hook=hook,
        context_size=_count(buffer.get("ctx_len")),
        l0=float(k) if k else None,
    )


def _title(found: Found) -> str:
    return found.name or found.path.name


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _count(value: Any, least: int = 1) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= least else None
