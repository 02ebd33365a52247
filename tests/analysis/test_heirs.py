"""Two SAEs are compared in every way that they can be, and the ways must agree."""

import numpy as np
import pytest

from analysis.heirs import find_heirs, find_kinship
from loaders.errors import BadInput
from loaders.workspace import Workspace


def test_saes_of_two_hook_points_are_matched_by_their_activations_alone(workspace: Workspace) -> None:
    source, target = workspace.sae("tiny-l0"), workspace.sae("tiny-l1")
    kinship = find_kinship(workspace, source, target)
    assert not kinship.decoder and kinship.stores is not None
    assert [store.id for store in kinship.stores] == ["tiny-l0@texts", "tiny-l1@texts"]
    assert kinship.notes == ("not by decoder: hook points differ (encoder.layer.0 and encoder.layer.1)",)
    living = [at for at in range(128) if len(kinship.stores[0].activations(at).indices)]
    heirs = find_heirs(kinship, source, target, living, 0.3)
    chosen = [each.target for each in heirs if each.target is not None]
    assert chosen and len(set(chosen)) == len(chosen), "no two features have one heir"
    for heir in heirs:
        if heir.target is not None:
            pair = np.zeros((2, kinship.stores[0].samples))
            for row, store, feature in zip(pair, kinship.stores, (heir.source, heir.target), strict=True):
                found = store.activations(feature)
                row[found.indices] = found.activations
            assert heir.activations is not None
            assert heir.activations.score == pytest.approx(np.corrcoef(pair)[0, 1], abs=1e-5)


def test_a_way_that_cannot_be_gone_alone_is_refused(workspace: Workspace) -> None:
    source, target = workspace.sae("tiny-l0"), workspace.sae("tiny-l1")
    with pytest.raises(BadInput, match=r"cannot be matched \(not by decoder: hook points differ"):
        find_kinship(workspace, source, target, "decoder")
    with pytest.raises(BadInput, match="cannot inherit from itself"):
        find_kinship(workspace, source, source)
    with pytest.raises(BadInput, match="matched by all, decoder, activations: found 'luck'"):
        find_kinship(workspace, source, target, "luck")
    kinship = find_kinship(workspace, source, target, "activations")
    assert find_heirs(kinship, source, target, [], 0.7) == []
    with pytest.raises(BadInput, match="above 0 and up to 1: found 0"):
        find_heirs(kinship, source, target, [1], 0)
