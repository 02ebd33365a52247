"""The dense layout holds every value, in whole shards, and goes on where it was cut off."""

import json
import shutil

import numpy as np
import pytest
import zarr

from analysis.distributions import owners
from loaders.errors import BadInput, StoreNotFound
from loaders.manifest import file_sha256
from precompute import dense
from precompute.feature_blocks import FeatureBlocks
from precompute.progress import Progress
from precompute.raw import create_group, write_raw

SAMPLES = 40


@pytest.fixture
def store_dir(tmp_path, monkeypatch):
    """11 features by 40 samples, three features to a shard; features 4 and 10 never fire."""
    monkeypatch.setattr(dense, "SHARD_BYTES", 3 * 4 * SAMPLES)
    generator = np.random.default_rng(0)
    values = (generator.random((11, SAMPLES)) * (generator.random((11, SAMPLES)) < 0.3)).astype(np.float32)
    values[[4, 10]] = 0
    return write_csc(tmp_path / "sae@words", values)


def write_csc(directory, values):
    features, indices = np.nonzero(values)
    group = create_group(
        directory / "features.zarr",
        {"encoding-type": "csc_matrix", "encoding-version": "0.1.0", "shape": values.T.shape},
    )
    write_raw(group, "indptr", np.searchsorted(features, np.arange(len(values) + 1)).astype(np.int64))
    write_raw(group, "indices", indices.astype(np.uint32))
    write_raw(group, "data", values[features, indices])
    return directory


def dense_of(store_dir):
    found = FeatureBlocks.open(store_dir)
    values = np.zeros((found.features, found.samples), np.float32)
    for block in found.blocks():
        values[block.first + owners(block.indptr), block.indices] = block.data
    return values


def hashes(directory):
    return {path.relative_to(directory): file_sha256(path) for path in directory.rglob("*") if path.is_file()}


def write(store_dir, memory=2**20):
    return dense.write(store_dir, memory, Progress())


def test_zarr_reads_every_value_from_one_chunk_row_per_feature(store_dir):
    array = zarr.open_array(write(store_dir), mode="r")
    assert (array.dtype, array.chunks, array.shards) == (np.dtype(np.float32), (1, SAMPLES), (3, SAMPLES))
    assert np.array_equal(array[:], dense_of(store_dir))


def test_shards_of_features_that_never_fire_are_stored_too(tmp_path):
    path = write(write_csc(tmp_path / "sae@words", np.zeros((2, 5), np.float32)))
    assert (path / "c" / "0" / "0").exists()


def test_a_run_that_was_cut_off_goes_on_at_its_shard_and_writes_the_same_bytes(store_dir):
    path = write(store_dir)
    wanted, unfinished = hashes(path), store_dir / "transposed.zarr.tmp"
    path.rename(unfinished)
    (unfinished / "c" / "3" / "0").unlink()
    stamp = (unfinished / "c" / "2" / "0").stat().st_mtime_ns
    note = {"source": FeatureBlocks.open(store_dir).fingerprint(), "done": 9}
    (unfinished / "unfinished.json").write_text(json.dumps(note))
    assert hashes(write(store_dir)) == wanted
    assert (path / "c" / "2" / "0").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("note", [None, '{"source": "another", "done": 9}', '{"sou'])
def test_a_leftover_that_is_not_known_to_be_of_these_activations_is_written_anew(store_dir, note):
    path = write(store_dir)
    wanted, unfinished = hashes(path), store_dir / "transposed.zarr.tmp"
    path.rename(unfinished)
    (unfinished / "c" / "0" / "0").write_bytes(b"of something else")
    if note:
        (unfinished / "unfinished.json").write_text(note)
    assert hashes(write(store_dir)) == wanted


def test_what_is_complete_is_kept_and_what_is_of_other_activations_is_replaced(store_dir):
    path = write(store_dir)
    stamp = (path / "c" / "0" / "0").stat().st_mtime_ns
    assert (write(store_dir) / "c" / "0" / "0").stat().st_mtime_ns == stamp
    changed = dense_of(store_dir)
    changed[changed > 0] *= 2
    shutil.rmtree(store_dir / "features.zarr")
    write_csc(store_dir, changed)
    assert np.array_equal(zarr.open_array(write(store_dir), mode="r")[:], changed)


def test_too_little_memory_for_a_shard_is_refused_before_anything_is_written(tmp_path):
    store_dir = write_csc(tmp_path / "sae@words", np.eye(4, 300_000, dtype=np.float32))
    with pytest.raises(BadInput, match=r"--memory 1 MiB is too little for --dense: 4 features of 300,000 .* 14 MiB"):
        write(store_dir)
    assert [path.name for path in store_dir.iterdir()] == ["features.zarr"]


def test_a_store_that_was_not_transposed_is_named(tmp_path):
    with pytest.raises(StoreNotFound, match=r"has no features\.zarr yet"):
        write(tmp_path / "sae@words")
