"""Put a checked SAE into the workspace, with everything that its conventions say, in one rename."""

import hashlib
import json
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
from precompute.sae_files import load_sae, write_imported

ORIGIN = "origin"  # in the SAE's metadata: where it came from, and what it was called there


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
    """Write `saes/<id>/` and return it; kept where the very same SAE is there, read in the same way.

    The SAE's fingerprint covers its stages, so that labels made of one reading are not shown on another. Raises BadInput
    where the id belongs to another SAE.
    """
    target = workspace.sae_dir(sae_id)
    about = _about(conventions, reading, origin, found)
    if (target / "cfg.json").exists():
        _require_same(target, about)
        return target
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
        write_imported(made, take_shift(sae, reading.shift), cfg["metadata"])
    _describe(made, about, loaded)
    shutil.rmtree(target, ignore_errors=True)  # what a stopped run left without cfg.json
    made.replace(target)
    shutil.rmtree(partial)
    return target


def _about(conventions: Conventions, reading: Reading, origin: Origin, found: Check) -> dict[str, Any]:
    weights = next(path for name in WEIGHTS if (path := conventions.found.path / name).is_file())
    return {
        KEY: reading.stages,
        ORIGIN: {
            "reference": origin.reference,
            "name": conventions.found.name,
            "model": conventions.model,
            "hook": conventions.hook,
            "processing": sorted(conventions.processing),
            "sha256": file_sha256(weights.resolve()),
            "reads": reading.place.hook,
            "first_token": conventions.prepend_bos,
            "published_l0": conventions.l0,
        },
        "checked": {
            "fvu": found.fvu,
            "l0": found.l0,
            "rows": found.rows,
            "scale": found.scale,
            "forced": origin.forced,
        },
    }


def _require_same(target: Path, about: dict[str, Any]) -> None:
    metadata = SaeRecord.open(target).metadata
    there = metadata.get(ORIGIN) if isinstance(metadata.get(ORIGIN), dict) else {}
    same = all(there.get(key) == about[ORIGIN][key] for key in ("sha256", "reads", "processing"))
    if not same or metadata.get(KEY, []) != about[KEY]:
        raise BadInput(
            f"SAE '{target.name}' exists already and is another one, or reads the model otherwise. Choose another id with"
            f" --sae-id, or `loupe rm saes/{target.name}`."
        )


def _describe(directory: Path, about: dict[str, Any], loaded: LoadedModel) -> None:
    """Add what import does not know to cfg.json, written whole."""
    cfg = SaeRecord.open(directory).cfg
    metadata = cfg["metadata"]
    fingerprints = {"model": loaded.fingerprint, **metadata["fingerprints"]}
    if about[KEY]:
        stages = json.dumps(about[KEY], sort_keys=True)
        fingerprints["sae"] = hashlib.sha256(f"{fingerprints['sae']} {stages}".encode()).hexdigest()
    cfg["metadata"] = {**metadata, **about, "model_name": loaded.name, "fingerprints": fingerprints}
    write_json(directory / "cfg.json", cfg)
