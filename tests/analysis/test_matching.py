"""Partners, links and fates: planted relations are found, and equal a plain loop over the dense matrix."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.matching import best_partners, candidate_pairs, judge_fates, null_threshold


def match(correlation, threshold, source_alive=None, target_alive=None, rows=100):
    correlation = np.asarray(correlation, dtype=np.float32)
    sources, targets = correlation.shape
    source_alive = np.ones(sources, bool) if source_alive is None else np.asarray(source_alive)
    target_alive = np.ones(targets, bool) if target_alive is None else np.asarray(target_alive)
    blocks = ((first, correlation[first : first + rows]) for first in range(0, sources, rows))
    partners = best_partners(blocks, source_alive, target_alive)
    pairs = candidate_pairs(partners)
    is_linked = pairs.pearson > threshold
    return partners, pairs, is_linked, judge_fates(pairs, is_linked, source_alive, target_alive)


def test_a_one_to_one_pair_persists():
    _, _, _, fates = match([[0.9, 0.1], [0.1, 0.8]], 0.5)
    assert fates.source.tolist() == fates.target.tolist() == ["persist", "persist"]


def test_a_source_with_two_targets_splits_and_so_do_its_targets():
    _, _, _, fates = match([[0.9, 0.8]], 0.5)
    assert fates.source.tolist() == ["split"]
    assert fates.target.tolist() == ["split", "split"]


def test_two_sources_of_one_target_merge_and_so_does_the_target():
    _, _, _, fates = match([[0.9], [0.8]], 0.5)
    assert fates.source.tolist() == ["merge", "merge"]
    assert fates.target.tolist() == ["merge"]


def test_weak_partners_are_a_death_and_a_birth():
    partners, _, is_linked, fates = match([[0.2]], 0.5)
    assert (partners.target.tolist(), partners.source.tolist()) == ([0], [0])
    assert not is_linked.any()
    assert (fates.source.tolist(), fates.target.tolist()) == (["death"], ["birth"])


def test_a_feature_that_branches_is_judged_by_its_own_branching_first():
    correlation = [[0.9, 0.8, 0.0], [0.0, 0.7, 0.0]]  # 0 -> {0, 1}; 1 -> {1}; target 1 has two sources
    _, _, _, fates = match(correlation, 0.5)
    assert fates.source.tolist() == ["split", "merge"]
    assert fates.target.tolist() == ["split", "merge", "birth"]


def test_dead_features_have_neither_partner_nor_fate_and_are_nobodys_partner():
    partners, pairs, _, fates = match([[0.9, 0.1], [0.8, 0.9]], 0.5, [True, False], [False, True])
    assert partners.target.tolist() == [1, -1]
    assert partners.source.tolist() == [-1, 0]
    assert (pairs.source.tolist(), pairs.target.tolist()) == ([0], [1])
    assert (fates.source.tolist(), fates.target.tolist()) == (["death", ""], ["", "birth"])


def test_without_a_living_target_nothing_matches():
    partners, pairs, _, fates = match([[0.9]], 0.5, [True], [False])
    assert partners.target.tolist() == [-1]
    assert len(pairs.source) == 0
    assert (fates.source.tolist(), fates.target.tolist()) == (["death"], [""])


CORRELATIONS = arrays(
    np.float32,
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    elements=st.sampled_from([-0.5, 0.0, 0.2, 0.6, 0.7, 0.9]),
)


@given(CORRELATIONS, st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_matching_equals_a_plain_loop_whatever_the_blocks(correlation, rows, seed):
    generator = np.random.default_rng(seed)
    alive = [generator.random(size) < 0.8 for size in correlation.shape]
    partners, pairs, is_linked, fates = match(correlation, 0.5, *alive, rows)
    living = [np.flatnonzero(side) for side in alive]
    onward = {s: max(living[1], key=lambda t: (correlation[s, t], -t), default=-1) for s in living[0]}
    back = {t: max(living[0], key=lambda s: (correlation[s, t], -s), default=-1) for t in living[1]}
    assert partners.target.tolist() == [onward.get(s, -1) for s in range(len(correlation))]
    assert partners.source.tolist() == [back.get(t, -1) for t in range(correlation.shape[1])]
    candidates = {(s, t) for s, t in onward.items() if t >= 0} | {(s, t) for t, s in back.items() if s >= 0}
    assert list(zip(pairs.source, pairs.target, strict=True)) == sorted(candidates)
    assert np.array_equal(pairs.pearson, correlation[pairs.source, pairs.target])
    assert pairs.is_best_target.tolist() == [onward[s] == t for s, t in sorted(candidates)]
    assert pairs.is_best_source.tolist() == [back[t] == s for s, t in sorted(candidates)]
    linked = {(s, t) for s, t in candidates if correlation[s, t] > 0.5}
    assert is_linked.sum() == len(linked)
    assert fates.source.tolist() == [fate_of(s, alive[0], linked, 0) for s in range(len(correlation))]
    assert fates.target.tolist() == [fate_of(t, alive[1], linked, 1) for t in range(correlation.shape[1])]


def fate_of(feature, alive, linked, side):
    """The written definition, one feature at a time."""
    own, other, none = [("split", "merge", "death"), ("merge", "split", "birth")][side]
    if not alive[feature]:
        return ""
    partners = [pair[1 - side] for pair in linked if pair[side] == feature]
    if len(partners) != 1:
        return own if partners else none
    return other if sum(pair[1 - side] == partners[0] for pair in linked) > 1 else "persist"


@given(CORRELATIONS)
def test_as_many_sources_persist_as_targets(correlation):
    _, _, _, fates = match(correlation, 0.5)
    assert (fates.source == "persist").sum() == (fates.target == "persist").sum()


def test_the_threshold_is_a_high_quantile_of_the_null_and_without_a_null_nothing_links():
    assert null_threshold(np.arange(1001, dtype=np.float32) / 1000, 0.999) == pytest.approx(0.999)
    assert null_threshold(np.empty(0, np.float32)) == 1.0
