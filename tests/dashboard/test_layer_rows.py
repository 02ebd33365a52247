"""Fates of a hand-made pair of layers, judged by the real matcher and read back from its files."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.matching import best_partners, candidate_pairs, judge_fates
from dashboard.layer_rows import FATE_WORDS, above_null, fate_counts, fate_rows
from loaders.layers import LayerSet
from loaders.schema import FATES, FLOWS, MATCHES, SCHEMA_VERSION
from precompute.publish import list_files, write_json

# Sources 0..5 (rows), targets 0..6 (columns); the threshold is 0.3. Source 5 and target 6 never fire.
#   0 -> 0 persists; 1 splits into 1 and 2; 2 and 3 merge into 3; 4 dies (best: target 4, 0.1); 4 and 5 of the targets are born
PEARSON = np.array(
    [
        [0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.8, 0.6, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.7, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.95, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ],
    np.float32,
)
SOURCES, TARGETS = np.arange(6) < 5, np.arange(7) < 6
NULL = np.array([0.05, 0.31, 0.1, 0.2], np.float32)


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    directory = tmp_path_factory.mktemp("layers") / "hand"
    directory.mkdir()
    partners = best_partners([(0, PEARSON)], SOURCES, TARGETS)
    pairs = candidate_pairs(partners)
    fates = judge_fates(pairs, pairs.pearson > 0.3, SOURCES, TARGETS)
    both = pairs.source * 10 + pairs.target
    nothing = np.zeros(len(pairs.source))
    matches = {
        **pairs._asdict(),
        "cosine": pa.nulls(len(nothing), pa.float32()),
        "both": both,
        "jaccard": nothing,
        "sufficiency": nothing,
        "necessity": nothing,
        "is_linked": pairs.pearson > 0.3,
    }
    pq.write_table(
        pa.table({name: matches[name] for name in MATCHES.names}).cast(MATCHES), directory / "matches_0_1.parquet"
    )
    rows = [
        {"side": side, "feature_id": f, "fate": fate, "partner": partner, "pearson": value}
        for side, found, partner_of, values in (
            ("source", fates.source, partners.target, partners.target_pearson),
            ("target", fates.target, partners.source, partners.source_pearson),
        )
        for f, (fate, partner, value) in enumerate(zip(found, partner_of, values, strict=True))
        if fate
    ]
    pq.write_table(pa.Table.from_pylist(rows).select(FLOWS.names).cast(FLOWS), directory / "flows_0_1.parquet")
    np.save(directory / "null_0_1.npy", NULL)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "kind": "layers",
        "id": "hand",
        "members": [{"store": "a@d"}, {"store": "b@d"}],
        "shared_basis": False,
        "pairs": [{"source": 0, "target": 1, "threshold": 0.3}],
        "files": list_files(directory, {}),
    }
    write_json(directory / "manifest.json", manifest)
    return LayerSet.open(directory)


def test_every_fate_has_its_definition():
    assert set(FATE_WORDS) == set(FATES)


def test_counts_are_given_for_each_side(layers):
    sources, targets = fate_counts(layers, 0, 1)
    assert sources == {"persist": 1, "split": 1, "merge": 2, "death": 1}
    assert targets == {"persist": 1, "split": 2, "merge": 1, "birth": 2}


def test_dead_features_have_no_fate(layers):
    sources, targets = fate_counts(layers, 0, 1)
    assert (sum(sources.values()), sum(targets.values())) == (5, 6)


def pairs_of(rows):
    return list(zip(rows["source"], rows["target"], strict=True))


def test_a_persisting_feature_is_one_row(layers):
    assert pairs_of(fate_rows(layers, 0, 1, "persist")) == [(0, 0)]


def test_a_split_lists_all_of_its_parts_the_strongest_first(layers):
    rows = fate_rows(layers, 0, 1, "split")
    assert pairs_of(rows) == [(1, 1), (1, 2)]
    assert rows["pearson"].tolist() == pytest.approx([0.8, 0.6])
    assert rows["is_linked"].all()


def test_a_merge_lists_all_that_flows_into_it(layers):
    assert pairs_of(fate_rows(layers, 0, 1, "merge")) == [(3, 3), (2, 3)]


def test_a_death_shows_its_nearest_partner_without_calling_it_a_link(layers):
    rows = fate_rows(layers, 0, 1, "death")
    assert pairs_of(rows) == [(4, 5)]
    assert rows["pearson"].tolist() == pytest.approx([0.2])
    assert not rows["is_linked"].any()
    assert rows["both"].tolist() == [45]


def test_births_go_by_how_near_they_came(layers):
    assert pairs_of(fate_rows(layers, 0, 1, "birth")) == [(4, 5), (4, 4)]


def test_shares_above_the_null_leave_dead_features_out(layers):
    real, chance, features = above_null(layers, 0, 1)
    assert (real, chance, features) == (pytest.approx(4 / 5), pytest.approx(1 / 4), 5)
