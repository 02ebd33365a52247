"""Whether what arrived from a hub is what it says it is, and something that a workspace can open, before it becomes visible."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from loaders.csc import CscLoader
from loaders.dataset import Dataset
from loaders.errors import LoupeError, StoreDamaged
from loaders.hub_presence import fingerprint_of
from loaders.hub_schema import Artifact, Content
from loaders.layers import LayerSet
from loaders.manifest import NAME, check_files, read_manifest
from loaders.raw import open_group_attributes
from loaders.sae import SaeRecord
from loaders.seal import KEY as SEAL
from loaders.seal import is_intact

MANIFESTS = {"datasets": "dataset", "stores": "store", "layers": "layers"}


class Arrived(NamedTuple):
    """One directory of an artifact, where nobody sees it yet; every file has the sha256 that the artifact states."""

    artifact: Artifact
    content: Content
    directory: Path


def require_sound(arrived: Arrived, there: Mapping[str, str]) -> None:
    """Raise StoreDamaged for what is whole, byte for byte, and yet contradicts itself or cannot be opened.

    `there`: fingerprints by place of all that comes along.
    """
    try:
        if arrived.content.folder == "saes":
            _require_sae(arrived)
        else:
            _require_published(arrived, there)
    except (LoupeError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StoreDamaged(
            f"'{arrived.content.place}' of '{arrived.artifact.reference}' is refused: {reason}"
        ) from error


def _require_sae(arrived: Arrived) -> None:
    record = SaeRecord.open(arrived.directory)
    stated = record.metadata["fingerprints"]["sae"]
    has_weights = (arrived.directory / "sae_weights.safetensors").exists()
    if stated != arrived.content.fingerprint or (has_weights and record.fingerprint() != stated):
        raise ValueError("its weights or settings do not have the fingerprint that it states.")


def _require_published(arrived: Arrived, there: Mapping[str, str]) -> None:
    content, directory = arrived.content, arrived.directory
    manifest = read_manifest(directory, MANIFESTS[content.folder])
    if (SEAL in manifest or content.folder == "stores") and not is_intact(manifest):
        raise ValueError("the checksum of its manifest does not fit.")
    listed, sent = manifest["files"], arrived.artifact.files_of(content)
    if {*listed, NAME} != set(sent) or any(listed[name]["sha256"] != sent[name].sha256 for name in listed):
        raise ValueError("its manifest lists other files.")
    if manifest["id"] != content.id:
        raise ValueError(f"it calls itself '{str(manifest['id'])[:80]}'.")
    check_files(directory, manifest)
    if fingerprint_of(directory, content.folder) != content.fingerprint:
        raise ValueError("it does not have the fingerprint that it states.")
    if content.folder == "datasets":
        Dataset.open(directory)
    elif content.folder == "stores":
        _require_store(arrived, manifest)
    else:
        _require_set(arrived, there)
    for name, entry in listed.items():
        if isinstance(written := entry.get("mtime_ns"), int) and 0 <= written < 2**62:
            os.utime(directory / name, ns=(written, written))  # so that the next publication need not hash it again


def _require_store(arrived: Arrived, manifest: dict[str, Any]) -> None:
    sae, _, dataset = arrived.content.id.partition("@")
    if (manifest["sae"], manifest["dataset"]) != (sae, dataset):
        raise ValueError("it names another SAE or dataset than its id.")
    artifact, prints = arrived.artifact, manifest["fingerprints"]
    stated = {each.id: each.fingerprint for each in artifact.saes}.get(sae)
    if artifact.dataset is None or (artifact.dataset.fingerprint, stated) != (prints["dataset"], prints["sae"]):
        raise ValueError("its SAE or dataset is not the one that the artifact names.")
    shape = open_group_attributes(arrived.directory / "features.zarr")["shape"]
    features = CscLoader(arrived.directory).features
    if shape != [manifest["samples"], manifest["features"]] or features != manifest["features"]:
        raise ValueError(f"its activations have the shape {shape}.")


def _require_set(arrived: Arrived, there: Mapping[str, str]) -> None:
    """The members of a set must come along."""
    for member in LayerSet.open(arrived.directory).manifest["members"]:
        if there.get(f"stores/{member['store']}") != member["fingerprint"]:
            raise ValueError(f"its member '{str(member['store'])[:80]}' does not come along.")
