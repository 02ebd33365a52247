"""The `map` table of a store."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from loaders.tables import table_files
from precompute.tables import map as feature_map
from precompute.tables.map import principal_coordinates


@pytest.fixture
def clustered(new_tiny):
    """A store with 60 features in three bundles of decoder rows."""
    tiny = new_tiny(0)
    generator = np.random.default_rng(0)
    decoder = np.repeat(5 * np.eye(3, 6), 20, axis=0) + generator.normal(size=(60, 6))
    save_file({"W_dec": decoder.astype(np.float32)}, tiny.workspace.sae_dir("sae") / "sae_weights.safetensors")
    return tiny


def test_features_of_one_direction_lie_together(clustered):
    frame = clustered.compute(feature_map).to_pandas()
    places = frame[["x", "y"]].to_numpy()
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    bundle = np.arange(60) // 20
    assert frame["feature_id"].tolist() == list(range(60))
    assert np.mean(bundle[distances.argmin(axis=1)] == bundle) > 0.95


def test_the_same_seed_gives_the_same_bytes_whatever_the_threads(clustered):
    path = clustered.directory / table_files("map")[0]
    written = []
    for jobs in (1, 1, 2):
        clustered.compute(feature_map, exaggerated_steps=10, steps=10, jobs=jobs)
        written.append(path.read_bytes())
        path.unlink()
    assert written == [written[0]] * 3


def test_a_handful_of_features_is_laid_out_along_its_principal_components():
    rows = np.array([[0.0, 0, 1], [0, 0, 3], [1, 0, 2]])
    places = principal_coordinates(rows)
    assert np.allclose(np.abs(places[:, 0]), [1, 1, 0])
    assert np.allclose(np.linalg.norm(places[0] - places[2]), np.sqrt(2))


def test_one_dimension_still_makes_a_map():
    assert np.allclose(principal_coordinates(np.array([[1.0], [3.0]])), [[-1, 0], [1, 0]])
