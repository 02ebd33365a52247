"""Which models a workspace knows and where they are read; which modules a model has."""

import json
import math
from pathlib import Path
from typing import Any

from loaders.errors import LoupeError
from loaders.manifest import is_published, read_manifest
from loaders.workspace import Workspace, slug

UNKNOWN = "unknown"


def list_models(workspace: Workspace) -> dict[str, Any]:
    """Models by id, each with the hook points at which activations, SAEs or stores of it exist, and their widths.

    Models are those of activations, SAEs and stores, and the folders of `models/`; what cannot be read is left out.
    """
    models: dict[str, dict[str, Any]] = {}
    for folder in _folders(workspace.models_dir()):
        if (folder / "config.json").is_file():
            _model(models, slug(folder.name), None)
    for manifest in _activations(workspace):
        hook = f"{manifest['hook']}.input" if manifest.get("inputs") else manifest["hook"]
        use = _hook(_model(models, manifest.get("model_id"), manifest), hook)
        use["width"] = manifest["width"]
        use["datasets"].append(manifest["dataset"])
    for sae_id in workspace.sae_ids():
        try:
            cfg = workspace.sae(sae_id).cfg
        except LoupeError:
            continue
        about = cfg.get("metadata") or {}
        use = _hook(_model(models, about.get("model_id"), about), about.get("hook_name") or UNKNOWN)
        use["width"] = use["width"] or cfg.get("d_in")
        architecture = cfg.get("architecture") or UNKNOWN
        use["saes"].append({"sae": sae_id, "architecture": architecture, "features": int(cfg.get("d_sae") or 0)})
    for store_id, manifest in workspace.manifests().items():
        use = _hook(_model(models, manifest.get("model_id"), manifest), manifest["hook"] or UNKNOWN)
        use["stores"].append(store_id)
    found = [{**model, "hooks": list(model["hooks"].values())} for _, model in sorted(models.items())]
    return {"models": found}


def _model(models: dict[str, dict[str, Any]], model_id: str | None, about: dict[str, Any] | None) -> dict[str, Any]:
    model = models.setdefault(
        model_id or UNKNOWN, {"model_id": model_id or UNKNOWN, "names": [], "fingerprints": [], "hooks": {}}
    )
    found = about or {}
    name, fingerprint = found.get("model") or found.get("model_name"), (found.get("fingerprints") or {}).get("model")
    for value, known in ((name, model["names"]), (fingerprint, model["fingerprints"])):
        if value and value not in known:
            known.append(value)
    return model


def _hook(model: dict[str, Any], hook: str) -> dict[str, Any]:
    new: dict[str, Any] = {"hook": hook, "width": None, "datasets": [], "saes": [], "stores": []}
    use: dict[str, Any] = model["hooks"].setdefault(hook, new)
    return use


def _activations(workspace: Workspace) -> list[dict[str, Any]]:
    found = []
    for model in _folders(workspace.root / "activations"):
        for dataset in _folders(model):
            for directory in filter(is_published, _folders(dataset)):
                try:
                    found.append(read_manifest(directory, "activations"))
                except LoupeError:  # capturing again says what is wrong with it
                    continue
    return found


def _folders(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []


def list_hooks(workspace: Workspace, name: str, inputs: bool, trust_remote_code: bool) -> dict[str, Any]:
    """Every module of a model with its class and the shape that it hands on (or receives), from one pass of 3 tokens.

    `name`: minilm, a hub id, a folder, or the name of a folder in the workspace's `models/`. Raises BadInput.
    """
    from precompute.models import PROBE_TOKENS, load_model, measure_modules

    own = workspace.models_dir() / name
    is_own = "/" not in name and not Path(name).is_dir() and (own / "config.json").is_file()
    model = load_model(own if is_own else name, trust_remote_code=trust_remote_code).model
    modules = [
        {"hook": each.name, "class": each.module, "shape": list(each.shape), "can_capture": each.has_hidden_states}
        for each in measure_modules(model, inputs)
    ]
    return {"model": name, "class": type(model).__name__, "inputs": inputs, "tokens": PROBE_TOKENS, "modules": modules}


def as_json(report: dict[str, Any]) -> str:
    """One JSON object; numbers that JSON has no word for (NaN, infinities) are null."""
    return json.dumps(_finite(report), indent=1, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
