"""What an artifact says of its parts: the model, the dataset, and each SAE with its hook point, sizes and quality."""

from typing import Any

from loaders.errors import BadInput
from loaders.hub_presence import stated_fingerprint
from loaders.hub_schema import Data, Model, Sae
from precompute.hub_parts import Part


def describe_model(parts: list[Part]) -> Model | None:
    """The model of the SAEs and stores; raises BadInput where they are of several."""
    found = {}
    for part in parts:
        about = part.document.get("metadata") if part.content.folder == "saes" else part.document
        if part.content.folder in ("saes", "stores") and isinstance(about, dict):
            prints = about.get("fingerprints") or {}
            name = about.get("model_id") or about.get("model_name") or about.get("model") or "unknown"
            if name not in found or prints.get("model"):
                found[str(name)] = prints.get("model") or None
    if len(found) > 1:
        raise BadInput(f"These are of several models ({', '.join(sorted(found))}). Share them one by one.")
    return next((Model(name=name, fingerprint=fingerprint) for name, fingerprint in found.items()), None)


def describe_dataset(parts: list[Part]) -> Data | None:
    """The dataset that the stores were read over, that is shared, or that an SAE was trained on."""
    for part in reversed(parts):
        if part.content.folder == "datasets":
            return Data(id=part.content.id, fingerprint=part.content.fingerprint)
    metadata = parts[-1].document.get("metadata") or {}
    fingerprint = (metadata.get("fingerprints") or {}).get("dataset")
    if metadata.get("dataset") and fingerprint:
        return Data(id=str(metadata["dataset"]), fingerprint=fingerprint)
    return None


def describe_saes(parts: list[Part]) -> tuple[Sae, ...]:
    """The SAEs in layer order, with the quality that was measured on a store where there is one."""
    records = {part.content.id: part.document for part in parts if part.content.folder == "saes"}
    found: dict[str, tuple[int, Sae]] = {}
    for part in parts:
        if part.content.folder == "stores":
            manifest, cfg = part.document, records.get(part.document["sae"], {})
            found[manifest["sae"]] = _described(
                manifest["sae"], manifest["fingerprints"]["sae"], manifest, cfg, manifest["features"]
            )
    for sae_id, cfg in records.items():
        if sae_id not in found:
            about = cfg.get("metadata") or {}
            fingerprint = str(stated_fingerprint(cfg, "saes"))
            found[sae_id] = _described(
                sae_id, fingerprint, {**about, "hook": about.get("hook_name")}, cfg, cfg.get("d_sae")
            )
    return tuple(sae for _, sae in sorted(found.values(), key=lambda each: (each[0], each[1].id)))


def _described(
    sae: str, fingerprint: str, about: dict[str, Any], cfg: dict[str, Any], features: Any
) -> tuple[int, Sae]:
    figures = {
        key: float(value)
        for key, value in (about.get("quality") or {}).items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")
    }
    described = Sae(
        id=sae,
        fingerprint=fingerprint,
        hook=str(about.get("hook") or ""),
        architecture=str(cfg.get("architecture") or "unknown"),
        d_in=cfg.get("d_in"),
        features=int(features or 0),
        quality=figures,
    )
    return int(about.get("layer_index") or 0), described
