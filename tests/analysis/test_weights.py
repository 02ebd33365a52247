"""Facts of weights equal the obvious slow versions; blocks change nothing; planted duplicates are found and counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import weights
from analysis.weights import cosine_blocks, describe, measure_weights, nearest_directions
from loaders.errors import StoreDamaged


def slow_nearest(decoder: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest cosine to another row and whose it is, by the full matrix."""
    unit = decoder.astype(np.float64) / np.linalg.norm(decoder, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    return cosines.max(axis=1), cosines.argmax(axis=1)


def norms(decoder: np.ndarray) -> np.ndarray:
    return np.linalg.norm(decoder, axis=1).astype(np.float32)


@given(st.integers(2, 70), st.integers(1, 9), st.integers(1, 40), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_the_largest_cosines_equal_the_full_matrix_whatever_the_blocks(features, width, block, seed) -> None:
    decoder = np.random.default_rng(seed).normal(size=(features, width)).astype(np.float32)
    kept, weights.BLOCK = weights.BLOCK, block
    try:
        done: list[int] = []
        found = nearest_directions(decoder, norms(decoder), done.append)
        assert sum(done) == cosine_blocks(features)
    finally:
        weights.BLOCK = kept
    cosines, whose = slow_nearest(decoder)
    np.testing.assert_allclose(found.cosine, cosines, atol=2e-6)
    unit = decoder / np.linalg.norm(decoder, axis=1, keepdims=True)
    np.testing.assert_allclose((unit * unit[found.feature]).sum(axis=1), cosines, atol=2e-6)  # equals may be swapped
    assert (found.feature != np.arange(features)).all()
    if width > 1:
        assert (found.feature == whose).mean() > 0.9


def test_planted_duplicates_are_counted_as_features_and_as_pairs(monkeypatch) -> None:
    monkeypatch.setattr(weights, "BLOCK", 16)
    decoder = np.random.default_rng(0).normal(size=(100, 64)).astype(np.float32)
    decoder[70], decoder[90], decoder[41] = 2 * decoder[3], decoder[3] + 0.01, -decoder[40]
    found = measure_weights("planted", {"W_dec": decoder})
    assert (found.near_duplicates, found.duplicate_pairs) == (3, 3)  # 3, 70 and 90; the opposite one is none
    assert found.nearest[70] == 3 and found.max_cosine[70] == pytest.approx(1, abs=1e-6)
    assert found.encoder_norm is None and found.encoder_decoder_cosine is None and found.biases == {}


def test_norms_cosines_and_biases_are_those_of_numpy() -> None:
    random = np.random.default_rng(1)
    tensors = {
        "W_dec": random.normal(size=(40, 7)).astype(np.float32),
        "W_enc": random.normal(size=(7, 40)).astype(np.float32),
        "b_enc": random.normal(size=40).astype(np.float32),
        "threshold": random.uniform(size=40).astype(np.float32),
        "b_dec": random.normal(size=7).astype(np.float32),
    }
    found = measure_weights("sae", tensors)
    own, other = tensors["W_enc"].T, tensors["W_dec"]
    np.testing.assert_allclose(found.encoder_norm, np.linalg.norm(own, axis=1), rtol=1e-6)
    expected = (own * other).sum(axis=1) / np.linalg.norm(own, axis=1) / np.linalg.norm(other, axis=1)
    np.testing.assert_allclose(found.encoder_decoder_cosine, expected, atol=1e-6)
    assert list(found.biases) == ["b_enc", "threshold"]
    assert found.decoder_bias_norm == pytest.approx(np.linalg.norm(tensors["b_dec"]))
    assert (found.features, found.width) == (40, 7)


def test_directions_without_length_or_with_nan_are_nobodys_neighbours() -> None:
    decoder = np.random.default_rng(2).normal(size=(6, 3)).astype(np.float32)
    decoder[2], decoder[4, 1] = 0, np.nan
    found = measure_weights("sae", {"W_dec": decoder, "W_enc": np.ones((3, 6), np.float32)})
    assert np.isnan(found.max_cosine[[2, 4]]).all() and found.nearest[[2, 4]].tolist() == [-1, -1]
    assert not set(found.nearest[[0, 1, 3, 5]]) & {2, 4}
    assert np.isnan(found.encoder_decoder_cosine[[2, 4]]).all()
    assert found.nonfinite == {"W_dec": 1, "W_enc": 0}


def test_one_feature_has_no_neighbour() -> None:
    found = measure_weights("sae", {"W_dec": np.ones((1, 3), np.float32)})
    assert np.isnan(found.max_cosine[0]) and found.nearest[0] == -1 and found.near_duplicates == 0


@pytest.mark.parametrize("tensors", [{}, {"W_dec": np.ones(3)}, {"W_dec": np.ones((4, 3)), "W_enc": np.ones((4, 3))}])
def test_weights_without_a_decoder_or_with_a_transposed_encoder_are_refused(tensors) -> None:
    with pytest.raises(StoreDamaged, match="of SAE 'sae'"):
        measure_weights("sae", tensors)


def test_a_description_counts_finite_values_only() -> None:
    found = describe(np.array([1.0, 2.0, 3.0, np.nan, np.inf]))
    assert (found["n"], found["min"], found["median"], found["max"], found["mean"]) == (3, 1, 2, 3, 2)
    assert describe(np.array([np.nan]))["median"] is None
