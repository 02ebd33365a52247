"""Pack a published store for sharing: its activations as compact Parquet, its tables, its dataset and its SAE.

Row-major batches and other forms of the same activations are left out: `features.zarr` is what they would give.
"""

import shutil
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.distributions import owners
from loaders.errors import BadInput, StoreDamaged
from loaders.faults import file_faults
from loaders.manifest import NAME, file_sha256, read_manifest
from loaders.seal import KEY as SEAL
from loaders.seal import is_intact, sealed
from loaders.usage import PARTS, tree_bytes
from loaders.workspace import Workspace
from precompute.disk import require_space
from precompute.feature_blocks import BLOCK_NNZ, FeatureBlocks
from precompute.pack_source import ACTIVATIONS, BLOCK, COMPRESSED, FORMAT, LIST, VERSION, is_safe
from precompute.progress import Progress, Step
from precompute.publish import write_json

ARRAYS = ("indptr", "indices", "data")
SHARDS = tuple(f"features.zarr/{name}/c/0" for name in ARRAYS)
"""What the Parquet file stands for; everything else is packed as it is."""
LEFT_OUT = tuple(f"{folder}/" for folder, part in PARTS.items() if part != "csc")
AS_THEY_ARE = (".parquet", ".safetensors", ".json")
SCHEMA = pa.schema([("feature_id", pa.uint32()), ("sample", pa.uint32()), ("value", pa.float32())])
LEVEL = 3  # of zstd; 9 saves half a per cent more and takes twice as long
SAE_FILES = ("cfg.json", "sae_weights.safetensors")


class Packed(NamedTuple):
    """Where the pack is; its bytes beside those of what it restores, and the same for the activations alone."""

    path: Path
    bytes: int
    restored: int
    activations: int
    restored_activations: int


def pack(workspace: Workspace, store_id: str, target: Path, tar: bool, with_sae: bool, progress: Progress) -> Packed:
    """Write the pack to `target`, a directory or one .tar, under a temporary name first.

    Raises BadInput where the target exists, StoreDamaged where any file to be packed is not what was published.
    """
    if target.exists():
        raise BadInput(f"'{target}' exists already. Choose another place with --out, or remove it.")
    store_dir = workspace.store_dir(store_id)
    manifest = packed_manifest(read_manifest(store_dir, "store"))
    dataset_dir = workspace.dataset_dir(manifest["dataset"])
    dataset = read_manifest(dataset_dir, "dataset")
    if dataset["fingerprint"] != manifest["fingerprints"]["dataset"]:
        raise StoreDamaged(f"Store '{store_id}' was made from another version of dataset '{dataset['id']}'.")
    sources = _sources("store", store_dir, manifest) | _sources("dataset", dataset_dir, dataset)
    sae_dir = workspace.sae_dir(manifest["sae"])
    sources |= {f"sae/{name}": sae_dir / name for name in SAE_FILES if with_sae and (sae_dir / name).exists()}
    restored = sum(path.stat().st_size for path in sources.values())
    require_space(target, restored, f"the pack of '{store_id}'")
    target.parent.mkdir(parents=True, exist_ok=True)
    with progress.step(f"pack {store_id}", restored, "bytes") as bar, _Writer(target, tar) as writer:
        for name, path in sources.items():
            if name.removeprefix("store/") not in SHARDS:
                writer.add(name, path)
                bar.advance(path.stat().st_size)
        write_activations(store_dir, writer.prepare(ACTIVATIONS), store_id, bar)
        writer.keep(ACTIVATIONS)
        write_json(writer.prepare("store/" + NAME), manifest)
        writer.keep("store/" + NAME)
        writer.finish()
    shards = [store_dir / name for name in SHARDS if name in manifest["files"]]
    whole = sum(path.stat().st_size for path in shards)
    return Packed(target, tree_bytes(target), restored, writer.files[ACTIVATIONS]["bytes"], whole)


def packed_manifest(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest of the store that a pack restores: without the files that are left out, everything else as it was."""
    if SEAL in manifest and not is_intact(manifest):
        raise StoreDamaged(f"The manifest of '{manifest['id']}' was altered: its checksum differs. It is not packed.")
    files = {name: entry for name, entry in manifest["files"].items() if not name.startswith(LEFT_OUT)}
    if "features.zarr/zarr.json" not in files:
        raise BadInput(f"Store '{manifest['id']}' has no transposed activations to pack. Run `loupe transpose`.")
    return sealed({**manifest, "files": files})


def _sources(kind: str, directory: Path, manifest: dict[str, Any]) -> dict[str, Path]:
    """Path of every listed file by its name in the pack; all are hashed, and the dataset's manifest is among them."""
    faults = file_faults(directory, manifest, verify=True)
    if faults:
        raise StoreDamaged(f"'{faults[0].file}' {faults[0].what}. Rebuild it before packing.")
    names = [*manifest["files"], *([NAME] if kind == "dataset" else [])]
    if unsafe := [name for name in names if not is_safe(name)]:
        raise BadInput(f"File '{unsafe[0]}' of '{directory.name}' has a name that cannot be packed. Rename it.")
    return {f"{kind}/{name}": directory / name for name in names}


def write_activations(store_dir: Path, path: Path, store_id: str, bar: Step, most: int = BLOCK_NNZ) -> None:
    """Write all activations as one Parquet table, feature by feature, in row groups of whole features and at most `most`
    rows (a feature with more has several of its own): columns feature_id, sample (ascending, delta-encoded) and value
    (float32, byte streams split)."""
    features = FeatureBlocks.open(store_dir)
    metadata = {"store": store_id, "samples": str(features.samples), "features": str(features.features)}
    options: dict[str, Any] = {
        "compression": "zstd",
        "compression_level": LEVEL,
        "use_dictionary": ["feature_id"],
        "column_encoding": {"sample": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT"},
        "write_statistics": ["feature_id"],
    }
    with pq.ParquetWriter(path, SCHEMA.with_metadata(metadata), **options) as writer:
        for block in features.blocks(most):
            for start in range(0, len(block.data), most):
                indices, values = (array[start : start + most] for array in (block.indices, block.data))
                is_one = block.last - block.first == 1
                ids = np.zeros(len(values), np.int64) if is_one else owners(block.indptr)
                columns = [(ids + block.first).astype(np.uint32), np.asarray(indices), np.asarray(values, np.float32)]
                writer.write_table(pa.table(columns, schema=writer.schema), row_group_size=most)
                bar.advance(8 * len(values))


class _Writer:
    """Puts files into a directory one by one, or into a tar as each is finished; `files` is their list. What is not
    finished at the end is removed."""

    def __init__(self, target: Path, tar: bool) -> None:
        self._directory = target.with_name(f".{target.name}.partial")
        self._tar_path = target.with_name(f".{target.name}.tar.partial")
        self._remove()
        self._directory.mkdir()
        self._tar = tarfile.TarFile(self._tar_path, "w") if tar else None
        self._target, self.files = target, dict[str, dict[str, Any]]()

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *error: object) -> None:
        if self._tar:
            self._tar.close()
        self._remove()

    def prepare(self, name: str) -> Path:
        """Where to write a file of the pack."""
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add(self, name: str, source: Path) -> None:
        """Copy a file as it is, or compressed where it is not already."""
        is_plain = source.suffix in AS_THEY_ARE
        packed = name if is_plain else name + COMPRESSED
        with open(source, "rb") as reader, open(self.prepare(packed), "wb") as file:
            if is_plain:
                shutil.copyfileobj(reader, file)
            else:
                with pa.CompressedOutputStream(file, "zstd") as compressed:
                    shutil.copyfileobj(reader, compressed, BLOCK)
        self.keep(packed)

    def keep(self, name: str) -> None:
        """Enter a finished file in the list."""
        path = self._directory / name
        self.files[name] = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        self._to_tar(name)

    def finish(self) -> None:
        """Write the list and give the pack its name."""
        write_json(self._directory / LIST, sealed({"format": FORMAT, "version": VERSION, "files": self.files}))
        self._to_tar(LIST)
        if self._tar:
            self._tar.close()
            self._tar_path.rename(self._target)
        else:
            self._directory.rename(self._target)

    def _to_tar(self, name: str) -> None:
        if self._tar:
            member = tarfile.TarInfo(name)
            member.size = (self._directory / name).stat().st_size
            with open(self._directory / name, "rb") as file:
                self._tar.addfile(member, file)
            (self._directory / name).unlink()

    def _remove(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        self._tar_path.unlink(missing_ok=True)
