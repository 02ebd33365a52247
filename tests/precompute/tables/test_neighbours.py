"""The `neighbours` table of a store against the dense matrices."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from loaders.errors import BadInput
from precompute.tables import neighbours
from precompute.tables.neighbours import BLOCK_CELLS


@pytest.fixture(params=[BLOCK_CELLS, 30])
def block_cells(request, monkeypatch):
    """All features in one block, or two features at a time."""
    monkeypatch.setattr(neighbours, "BLOCK_CELLS", request.param)


@pytest.mark.usefixtures("block_cells")
def test_neighbours_are_the_nearest_by_cosine_and_by_correlation_over_all_samples(new_tiny):
    tiny = new_tiny(0)
    frame = tiny.compute(neighbours, top=3).to_pandas()
    living = [feature for feature in range(12) if feature not in (3, 7)]
    unit = tiny.decoder / np.linalg.norm(tiny.decoder, axis=1, keepdims=True)
    cosine, fires = unit @ unit.T, tiny.dense > 0
    with np.errstate(all="ignore"):
        pearson = np.corrcoef(tiny.dense.T.astype(float))
    for feature in living:
        rows = frame[frame["feature_id"] == feature]
        others = [other for other in living if other != feature]
        nearest = {*sorted(others, key=lambda o: -cosine[feature, o])[:3]}
        nearest |= {*sorted(others, key=lambda o: -pearson[feature, o])[:3]}
        assert set(rows["neighbour"]) == nearest
        assert rows["pearson"].is_monotonic_decreasing
        for row in rows.itertuples():
            both = (fires[:, feature] & fires[:, row.neighbour]).sum()
            either = (fires[:, feature] | fires[:, row.neighbour]).sum()
            p_a, p_b = fires[:, feature].mean(), fires[:, row.neighbour].mean()
            assert row.both == both
            assert row.cosine == pytest.approx(cosine[feature, row.neighbour], abs=1e-6)
            assert row.pearson == pytest.approx(pearson[feature, row.neighbour], abs=1e-6)
            assert row.jaccard == pytest.approx(both / either)
            with np.errstate(divide="ignore"):
                assert row.pmi == pytest.approx(
                    np.log2(fires[:, [feature, row.neighbour]].all(axis=1).mean() / (p_a * p_b)), abs=1e-5
                )
            assert row.sufficiency == pytest.approx(both / fires[:, feature].sum())
            assert row.necessity == pytest.approx(both / fires[:, row.neighbour].sum())


def test_a_scaled_copy_is_the_first_neighbour(tiny):
    frame = tiny.compute(neighbours).to_pandas()
    first = frame[frame["feature_id"] == 4].iloc[0]
    assert first["neighbour"] == 5
    assert first["pearson"] == pytest.approx(1)
    assert first["jaccard"] == first["sufficiency"] == first["necessity"] == 1


def test_dead_features_have_no_neighbours_and_are_none(tiny):
    frame = tiny.compute(neighbours).to_pandas()
    assert not {3, 7} & {*frame["feature_id"], *frame["neighbour"]}


def test_with_fewer_features_than_asked_for_all_others_are_neighbours(tiny):
    frame = tiny.compute(neighbours).to_pandas()
    assert frame.groupby("feature_id")["neighbour"].nunique().tolist() == [9] * 10


def test_batches_of_another_size_give_the_same_table(tiny, new_tiny):
    one, other = (store.compute(neighbours).to_pandas() for store in (tiny, new_tiny(0, batch_rows=50)))
    assert one.drop(columns="pearson").equals(other.drop(columns="pearson"))
    assert np.allclose(one["pearson"], other["pearson"], atol=1e-6)


def test_an_sae_of_another_size_is_refused(new_tiny):
    tiny = new_tiny(2)
    save_file({"W_dec": tiny.decoder[:5]}, tiny.workspace.sae_dir("sae") / "sae_weights.safetensors")
    with pytest.raises(BadInput, match="has 12 features, its SAE 5"):
        tiny.compute(neighbours)
