"""A label's heir is the feature that is each other's best, equal to a plain search over dense matrices; doubt leaves none."""

import numpy as np
import pytest

from analysis import inheritance
from analysis.inheritance import Partner, by_activations, by_decoder, choose_heirs
from loaders.store import Store
from loaders.workspace import Workspace


def plain(scores: np.ndarray, features: list[int]) -> dict[int, Partner]:
    """Mutual best partners of a dense matrix [sources, targets], one by one."""
    return {
        feature: Partner(
            int(scores[feature].argmax()),
            pytest.approx(scores[feature].max(), abs=1e-5),
            bool(scores[:, scores[feature].argmax()].argmax() == feature),
        )
        for feature in features
    }


@pytest.mark.parametrize("cells", [1, 40, 1 << 24])
def test_a_shuffled_noisy_copy_of_a_decoder_is_matched_feature_by_feature(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inheritance, "MOST_CELLS", cells)
    draw = np.random.default_rng(0)
    source = draw.normal(size=(30, 16)).astype(np.float32)
    order = draw.permutation(30)
    target = (source[order] * 3 + 0.2 * draw.normal(size=(30, 16))).astype(np.float32)
    found = by_decoder(source, target, list(range(30)))
    assert all(order[partner.feature] == feature and partner.is_mutual for feature, partner in found.items())
    cosine = source @ target.T / np.outer(np.linalg.norm(source, axis=1), np.linalg.norm(target, axis=1))
    assert found == plain(cosine, list(range(30)))


@pytest.mark.parametrize("cells", [1, 3000, 1 << 24])
def test_activations_are_matched_as_in_a_dense_matrix(
    workspace: Workspace, store: Store, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inheritance, "MOST_CELLS", cells)
    other = workspace.open_store("tiny-l1@texts")
    dense = []
    for each in (store, other):
        matrix = np.zeros((each.features, each.samples))
        for feature in range(each.features):
            found = each.activations(feature)
            matrix[feature, found.indices] = found.activations
        dense.append(matrix)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.nan_to_num(np.corrcoef(*dense)[: store.features, store.features :])
    living = [feature for feature in range(0, store.features, 7) if dense[0][feature].any()]
    assert by_activations(store, other, living) == plain(scores, living)


def heir(decoder: Partner | None, activations: Partner | None) -> tuple[int | None, str]:
    found = choose_heirs([7], {7: decoder} if decoder else None, {7: activations} if activations else None, 0.7)
    assert [each.source for each in found] == [7]
    return found[0].target, found[0].reason


def test_only_one_undoubted_partner_inherits() -> None:
    good = Partner(3, 0.9, True)
    assert heir(good, None) == heir(None, good) == heir(good, Partner(3, 0.7, True)) == (3, "")
    assert heir(Partner(3, 0.69, True), None) == (None, "by decoder its nearest is 0.69 alike")
    assert heir(good, Partner(3, 0.5, True)) == (None, "by activations its nearest is 0.50 alike")
    assert heir(Partner(3, 0.9, False), good) == (None, "by decoder its nearest has a nearer one")
    assert heir(good, Partner(4, 0.9, True)) == (None, "decoder and activations name different features")


def test_an_sae_is_its_own_heir(store: Store, workspace: Workspace) -> None:
    features = [at for at in range(store.features) if len(store.activations(at).indices)]
    decoder = workspace.sae("tiny-l0").decoder()
    found = choose_heirs(features, by_decoder(decoder, decoder, features), by_activations(store, store, features), 0.99)
    assert [each.target for each in found] == features
