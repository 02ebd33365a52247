"""Pairs of npy files hold each feature's activations in the layout of SplatNLP, and go on where they were cut off."""

import json
import os

import numpy as np
import pytest

from loaders.csc import CscLoader
from loaders.manifest import file_sha256
from precompute import per_feature
from precompute.feature_blocks import FeatureBlocks
from precompute.progress import Progress
from precompute.raw import create_group, write_raw

FEATURES, SAMPLES = 12, 50


@pytest.fixture
def store_dir(tmp_path):
    """12 features by 50 samples; features 4 and 11 never fire."""
    generator = np.random.default_rng(0)
    values = (generator.random((FEATURES, SAMPLES)) * (generator.random((FEATURES, SAMPLES)) < 0.3)).astype(np.float32)
    values[[4, 11]] = 0
    features, indices = np.nonzero(values)
    group = create_group(
        tmp_path / "sae@words" / "features.zarr",
        {"encoding-type": "csc_matrix", "encoding-version": "0.1.0", "shape": [SAMPLES, FEATURES]},
    )
    write_raw(group, "indptr", np.searchsorted(features, np.arange(FEATURES + 1)).astype(np.int64))
    write_raw(group, "indices", indices.astype(np.uint32))
    write_raw(group, "data", values[features, indices])
    return tmp_path / "sae@words"


def hashes(directory):
    return {path.relative_to(directory): file_sha256(path) for path in directory.rglob("*") if path.is_file()}


def write(store_dir, memory=2**20):
    return per_feature.write(store_dir, memory, Progress())


def test_every_feature_has_its_pair_even_when_it_never_fires(store_dir):
    root, csc = write(store_dir), CscLoader(store_dir)
    assert sorted(path.name for path in root.glob("neuron_*")) == [f"neuron_{f:04d}" for f in range(FEATURES)]
    for feature in range(FEATURES):
        acts, idxs = (np.load(root / f"neuron_{feature:04d}" / f"{name}.npy") for name in ("acts", "idxs"))
        assert (acts.dtype, idxs.dtype) == (np.float32, np.int64)
        assert np.array_equal(acts, csc.load(feature).activations)
        assert np.array_equal(idxs, csc.load(feature).indices)


def test_the_layout_states_shape_and_source(store_dir):
    stated = json.loads((write(store_dir) / "layout.json").read_text())
    found = FeatureBlocks.open(store_dir)
    wanted = {"features": FEATURES, "samples": SAMPLES, "nnz": found.nnz, "source": found.fingerprint()}
    assert stated == wanted


@pytest.mark.parametrize("memory", [1, 500, 2**30])
def test_any_memory_writes_the_same_bytes(store_dir, tmp_path, memory):
    wanted = hashes(write(store_dir))
    (store_dir / "neuron_acts").rename(tmp_path / "before")
    assert hashes(write(store_dir, memory)) == wanted


def test_a_run_that_was_cut_off_goes_on_at_its_feature_and_writes_the_same_bytes(store_dir):
    root = write(store_dir)
    wanted = hashes(root)
    unfinished = store_dir / "neuron_acts.tmp"
    root.rename(unfinished)
    (unfinished / "layout.json").unlink()
    os.truncate(unfinished / "neuron_0007" / "acts.npy", 3)
    stamp = (unfinished / "neuron_0006" / "acts.npy").stat().st_mtime_ns
    note = {"source": FeatureBlocks.open(store_dir).fingerprint(), "done": 7}
    (unfinished / "unfinished.json").write_text(json.dumps(note))
    assert hashes(write(store_dir)) == wanted
    assert (root / "neuron_0006" / "acts.npy").stat().st_mtime_ns == stamp


def test_a_leftover_of_other_activations_is_not_gone_on_with(store_dir):
    wanted = hashes(write(store_dir))
    (store_dir / "neuron_acts").rename(store_dir / "neuron_acts.tmp")
    (store_dir / "neuron_acts.tmp" / "neuron_0000" / "acts.npy").write_bytes(b"of something else")
    (store_dir / "neuron_acts.tmp" / "unfinished.json").write_text('{"source": "another", "done": 5}')
    assert hashes(write(store_dir)) == wanted


def test_what_is_complete_is_kept(store_dir):
    stamp = (write(store_dir) / "layout.json").stat().st_mtime_ns
    assert (write(store_dir) / "layout.json").stat().st_mtime_ns == stamp
