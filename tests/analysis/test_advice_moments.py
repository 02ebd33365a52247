"""Streamed moments equal those of NumPy over all rows at once; eta squared equals loops, and chance explains nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.advice_moments import Change, Measures, Moments

WIDTH = 6


def draw(seed: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows with a large mean, a wide direction, a heavy-tailed dimension and tokens that matter; contexts of 1 to 9."""
    random = np.random.default_rng(seed)
    tokens = random.integers(0, 20, rows)
    values = random.normal(size=(rows, WIDTH)) * [3, 1, 1, 0.5, 1, 1] + 50
    values[:, 4] += random.standard_t(3, rows)
    values += random.normal(size=(20, WIDTH))[tokens]
    contexts = np.repeat(np.arange(rows), random.integers(1, 10, rows))[:rows]
    return values.astype(np.float32), tokens, contexts


def stream(values: np.ndarray, tokens: np.ndarray, contexts: np.ndarray, batches: int = 1) -> Measures:
    """The measures of rows that come in batches of whole contexts."""
    moments = Moments(values.shape[1], int(tokens.max()) + 1)
    for part in np.array_split(np.unique(contexts), batches):
        rows = np.isin(contexts, part)
        moments.add(values[rows], tokens[rows], contexts[rows])
    return moments.measure(None)


def slow_eta2(values: np.ndarray, groups: np.ndarray) -> float:
    """Eta squared corrected for the number of groups, group by group; groups of one row are left out."""
    members = [values[groups == group] for group in np.unique(groups) if (groups == group).sum() > 1 and group >= 0]
    rows = np.concatenate(members)
    within = sum(((part - part.mean(axis=0)) ** 2).sum() for part in members)
    total = ((rows - rows.mean(axis=0)) ** 2).sum()
    return max(0.0, 1 - (within / (len(rows) - len(members))) / (total / (len(rows) - 1)))


@given(st.integers(0, 10_000), st.integers(1, 7))
@settings(max_examples=25, deadline=None)
def test_streamed_measures_equal_those_of_all_rows_at_once(seed: int, batches: int) -> None:
    values, tokens, contexts = draw(seed)
    found, wide = stream(values, tokens, contexts, batches), values.astype(np.float64)
    eigenvalues = np.linalg.eigvalsh(np.cov(wide.T, bias=True))[::-1]
    shares = eigenvalues / eigenvalues.sum()
    deviations = wide - wide.mean(axis=0)
    kurtosis = (deviations**4).mean(axis=0) / (deviations**2).mean(axis=0) ** 2
    norms = np.linalg.norm(wide, axis=1)
    expected = {
        "norm_mean": norms.mean(),
        "norm_spread": norms.std() / norms.mean(),
        "largest": np.abs(wide).max(),
        "mean_share": (wide.mean(axis=0) ** 2).sum() / (norms**2).mean(),
        "variance": eigenvalues.sum(),
        "top_share": shares[0],
        "top10_share": 1.0,
        "participation": 1 / (shares**2).sum(),
        "effective_rank": np.exp(-(shares * np.log(shares)).sum()),
        "variance_ratio": wide.var(axis=0).max() / wide.var(axis=0).mean(),
        "kurtosis": kurtosis.max(),
        "token_eta2": slow_eta2(wide, tokens),
        "context_eta2": slow_eta2(wide, contexts),
    }
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert (found.samples, found.nonfinite) == (400, 0)
    assert found.variance_dimension == wide.var(axis=0).argmax() and found.kurtosis_dimension == kurtosis.argmax()


def test_tokens_without_a_group_are_left_out_of_eta_squared_only() -> None:
    values, tokens, contexts = draw(1)
    few = np.where(tokens < 4, tokens, -1)
    found = stream(values, few, contexts)
    assert found.token_eta2 == pytest.approx(slow_eta2(values.astype(np.float64), few), rel=1e-6)
    assert (found.token_samples, found.token_groups) == ((few >= 0).sum(), 4)
    assert found.samples == 400


def test_random_groups_explain_nothing_although_the_plain_share_says_a_third() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(3000, 8)).astype(np.float32)
    tokens = np.repeat(np.arange(1000), 3)
    found = stream(values, tokens, np.arange(3000))
    means = values.reshape(1000, 3, 8).mean(axis=1)
    assert (3 * ((means - values.mean(axis=0)) ** 2).sum()) / ((values - values.mean(axis=0)) ** 2).sum() > 0.3
    assert found.token_eta2 is not None and found.token_eta2 < 0.02
    assert found.context_eta2 is None  # no context has two samples


def test_rows_that_are_the_token_are_explained_by_it_completely() -> None:
    table = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    tokens = np.arange(100) % 5
    assert stream(table[tokens], tokens, np.arange(100) // 10).token_eta2 == pytest.approx(1.0)


def test_values_that_are_not_finite_are_counted_and_left_out() -> None:
    values, tokens, contexts = draw(2)
    broken = np.concatenate([values, np.full((2, WIDTH), np.nan, np.float32)])
    broken[-1] = np.inf
    found = stream(broken, np.append(tokens, [0, 0]), np.append(contexts, [999, 999]), 3)
    clean = stream(values, tokens, contexts, 3)
    assert found.nonfinite == 2
    assert found._replace(nonfinite=0).top_share == pytest.approx(clean.top_share)


@pytest.mark.parametrize("rows", [np.full((30, 3), 7.25, np.float32), np.zeros((30, 3), np.float32)])
def test_rows_that_are_all_the_same_have_no_directions(rows: np.ndarray) -> None:
    found = stream(rows, np.zeros(30, np.int64), np.zeros(30, np.int64))
    assert found.variance == 0
    assert (found.top_share, found.participation, found.token_eta2, found.kurtosis) == (None, None, None, None)


def test_change_equals_numpy_and_keeps_everything_under_scale_and_shift() -> None:
    random = np.random.default_rng(3)
    before = random.normal(size=(500, 5)).astype(np.float32) + 2
    after = before + random.normal(size=(500, 5)).astype(np.float32)
    change = Change(5)
    for rows in np.array_split(np.arange(500), 4):
        change.add(after[rows], before[rows])
    cosine, update, kept = change.measure()
    lengths = np.linalg.norm(after, axis=1) * np.linalg.norm(before, axis=1)
    assert cosine == pytest.approx(((after * before).sum(axis=1) / lengths).mean(), rel=1e-5)
    steps = np.linalg.norm(after - before, axis=1) / np.linalg.norm(before, axis=1)
    assert update == pytest.approx(steps.mean(), rel=1e-5)
    centred = (after - after.mean(axis=0)).ravel(), (before - before.mean(axis=0)).ravel()
    assert kept == pytest.approx(np.corrcoef(*centred)[0, 1] ** 2, rel=1e-4)
    same = Change(5)
    same.add(3 * before + np.float32([1, -2, 3, 0, 9]), before)
    assert same.measure()[2] == pytest.approx(1.0, abs=1e-6)


def test_the_order_of_batches_changes_nothing_but_rounding() -> None:
    values, tokens, contexts = draw(5)
    one, many = stream(values, tokens, contexts, 1), stream(values, tokens, contexts, 20)
    known = {name: value for name, value in one._asdict().items() if value is not None}
    assert {name: getattr(many, name) for name in known} == pytest.approx(known, rel=1e-6)
