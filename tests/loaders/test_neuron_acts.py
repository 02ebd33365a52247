"""Pairs of npy files are read as they are, from any writer, and what contradicts itself is refused."""

import json

import numpy as np
import pytest

from loaders.errors import FeatureNotFound, StoreDamaged
from loaders.neuron_acts import NeuronActsLoader

PAIRS = {0: ([1, 4], [0.5, 2.0]), 1: ([], []), 2: ([0, 3, 5], [1.0, 2.0, 3.0])}


@pytest.fixture
def store_dir(tmp_path):
    """Three features as another tool writes them: directories of pairs and nothing else."""
    for feature, (samples, values) in PAIRS.items():
        pair = tmp_path / "neuron_acts" / f"neuron_{feature:04d}"
        pair.mkdir(parents=True)
        np.save(pair / "idxs.npy", np.array(samples, np.int64))
        np.save(pair / "acts.npy", np.array(values, np.float32))
    return tmp_path


def replace(store_dir, name, values, feature=2):
    np.save(store_dir / "neuron_acts" / f"neuron_{feature:04d}" / f"{name}.npy", values)


def test_pairs_without_a_stated_shape_are_counted_by_their_directories(store_dir):
    (store_dir / "neuron_acts" / "summary.txt").write_text("not a feature")
    loader = NeuronActsLoader(store_dir)
    assert loader.features == 3
    for feature, (samples, values) in PAIRS.items():
        found = loader.load(feature)
        assert (found.indices.tolist(), found.activations.tolist()) == (samples, values)
        assert found.activations.dtype == np.float32
    with pytest.raises(FeatureNotFound, match="Feature 3"):
        loader.load(3)


def test_stored_zeros_are_left_out(store_dir):
    replace(store_dir, "acts", np.array([1, 0, 3], np.float32))
    found = NeuronActsLoader(store_dir).load(2)
    assert (found.indices.tolist(), found.activations.tolist()) == ([0, 5], [1.0, 3.0])


def test_a_missing_pair_is_not_read_as_a_feature_that_never_fires(store_dir):
    (store_dir / "neuron_acts" / "neuron_0001" / "acts.npy").unlink()
    with pytest.raises(StoreDamaged, match=r"neuron_0001/acts\.npy' cannot be read"):
        NeuronActsLoader(store_dir).load(1)


@pytest.mark.parametrize("name", ["acts", "idxs"])
@pytest.mark.parametrize("keep", [0, 60, -1])
def test_a_truncated_file_is_refused(store_dir, name, keep):
    path = store_dir / "neuron_acts" / "neuron_0002" / f"{name}.npy"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StoreDamaged, match=rf"{name}\.npy' cannot be read"):
        NeuronActsLoader(store_dir).load(2)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("acts", np.ones(3), r"holds float64 of shape \(3,\); wanted float32 \[n\]"),
        ("acts", np.ones((3, 1), np.float32), r"holds float32 of shape \(3, 1\)"),
        ("acts", np.ones(2, np.float32), "holds 2 activations for 3 samples"),
        ("acts", np.array([1, np.nan, 3], np.float32), "holds NaN or infinity"),
        ("acts", np.array([1, {}, 3], object), "cannot be read"),
        ("idxs", np.array([0, 3, 5], np.int32), r"holds int32 of shape \(3,\); wanted int64 \[n\]"),
        ("idxs", np.array([0, 5, 3]), "do not ascend"),
        ("idxs", np.array([0, 3, 3]), "do not ascend"),
        ("idxs", np.array([-1, 3, 5]), "do not ascend"),
    ],
)
def test_files_of_another_kind_are_refused(store_dir, name, values, message):
    replace(store_dir, name, values)
    with pytest.raises(StoreDamaged, match=message):
        NeuronActsLoader(store_dir).load(2)


def test_a_stated_shape_bounds_features_and_samples(store_dir):
    layout = store_dir / "neuron_acts" / "layout.json"
    layout.write_text(json.dumps({"features": 4, "samples": 5}))
    loader = NeuronActsLoader(store_dir)
    with pytest.raises(StoreDamaged, match="do not ascend below 5"):
        loader.load(2)
    with pytest.raises(StoreDamaged, match="neuron_0003"):
        loader.load(3)
    layout.write_text("[]")
    with pytest.raises(StoreDamaged, match="states no shape"):
        NeuronActsLoader(store_dir)
