"""Put a checked SAE into the workspace, with everything that its conventions say, in one rename."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from loaders.errors import BadInput
from loaders.manifest import file_sha256
from loaders.sae import SaeRecord
from loaders.workspace import Workspace
from precompute.add_check import Check
from precompute.add_conventions import Conventions, as_plain_checkpoint
from precompute.add_place import Reading, take_shift
from precompute.add_sources import WEIGHTS
from precompute.import_sae import Config, import_sae
from precompute.models import LoadedModel
from precompute.publish import write_json
from precompute.row_stages import KEY
from precompute.sae_files import load_sae, write_sae
from precompute.sae_origin import ORIGIN


class Origin(NamedTuple):
    """`reference`: as the user named it; `forced`: brought although it did not look right."""

    reference: str
    set_id: str | None
    layer_index: int
    forced: bool


def bring(
    workspace: Workspace,
    sae_id: str,
    conventions: Conventions,
    reading: Reading,
    loaded: LoadedModel,
    origin: Origin,
    found: Check,
) -> Path:
    """Write `saes/<id>/` and return it; kept where it is there (`require_same` tells whether it is the same).

    The SAE's fingerprint covers its stages, so that labels made of one reading are not shown on another.
    """
    target = workspace.sae_dir(sae_id)
    if (target / "cfg.json").exists():
        return target
    about = {
        KEY: reading.stages,
        ORIGIN: _origin(conventions, reading, origin.reference),
        "checked": {**found._asdict(), "forced": origin.forced},
    }
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with as_plain_checkpoint(conventions) as folder:
        options = Config(
            path=str(folder),
            sae_id=sae_id,
            model_id=loaded.model_id,
            hook=reading.place.hook,
            set_id=origin.set_id,
            layer_index=origin.layer_index,
            scale=found.scale,
        )
        made = import_sae(options, Workspace(partial))
    if reading.shift is not None:
        sae, cfg = load_sae(made)
        write_sae(made, take_shift(sae, reading.shift), cfg["metadata"])
    _describe(made, about, loaded, origin.set_id)
    shutil.rmtree(target, ignore_errors=True)  # what a stopped run left without cfg.json
    made.replace(target)
    shutil.rmtree(partial)
    return target


def require_same(workspace: Workspace, sae_id: str, conventions: Conventions, reading: Reading) -> None:
    """Raise BadInput where the id belongs to another SAE, or to this one read in another way."""
    target = workspace.sae_dir(sae_id)
    if not (target / "cfg.json").exists():
        return
    metadata = SaeRecord.open(target).metadata
    there, here = metadata.get(ORIGIN), _origin(conventions, reading, "")
    same = isinstance(there, dict) and all(there.get(key) == here[key] for key in ("sha256", "reads", "processing"))
    if not same or metadata.get(KEY, []) != reading.stages:
        raise BadInput(
            f"SAE '{target.name}' exists already and is another one, or reads the model otherwise. Choose another id with"
            f" --sae-id, or `loupe rm saes/{target.name}`."
        )


def _origin(conventions: Conventions, reading: Reading, reference: str) -> dict[str, Any]:
    weights = next(path for name in WEIGHTS if (path := conventions.found.path / name).is_file())
    return {
        "reference": reference,
        "name": conventions.found.name,
        "model": conventions.model,
        "hook": reading.name,
        "processing": sorted(conventions.processing),
        "sha256": file_sha256(weights.resolve()),
        "reads": reading.place.hook,
        "first_token": conventions.prepend_bos,
        "published_l0": conventions.l0,
    }


def _describe(directory: Path, about: dict[str, Any], loaded: LoadedModel, set_id: str | None) -> None:
    """Add what import does not know to cfg.json, written whole."""
    cfg = SaeRecord.open(directory).cfg
    metadata = cfg["metadata"]
    fingerprints = {"model": loaded.fingerprint, **metadata["fingerprints"]}
    cfg["metadata"] = {**metadata, **about, "model_name": loaded.name, "set": set_id, "fingerprints": fingerprints}
    fingerprints["sae"] = SaeRecord(directory, cfg).fingerprint()
    write_json(directory / "cfg.json", cfg)
