"""The score is the geometric mean of its parts; hook points are ranked by it, and the reasons name what was measured."""

import numpy as np
import pytest

from analysis.advice import Candidate, advise, score, score_parts
from analysis.advice_moments import Change, Moments

WIDTH = 8


def measured(rows: np.ndarray, tokens: np.ndarray, previous: np.ndarray | None = None, name: str = "h.1") -> Candidate:
    moments, change = Moments(WIDTH, int(tokens.max()) + 1), Change(WIDTH)
    moments.add(rows.astype(np.float32), tokens, np.arange(len(rows)) // 16)
    if previous is not None:
        change.add(rows.astype(np.float32), previous.astype(np.float32))
    return Candidate(
        name, WIDTH, moments.measure(None if previous is None else change), None if previous is None else "h.0"
    )


@pytest.fixture
def plain() -> tuple[np.ndarray, np.ndarray]:
    """4,000 rows that no token and no context explains, and their tokens."""
    random = np.random.default_rng(0)
    return random.normal(size=(4000, WIDTH)), random.integers(0, 50, 4000)


def said(candidate: Candidate) -> dict[str, str]:
    return {reason.text: reason.kind for reason in advise([candidate])[0].reasons}


def test_the_score_is_the_geometric_mean_of_the_measured_parts(plain) -> None:
    found = measured(*plain, previous=plain[0] + np.random.default_rng(1).normal(size=plain[0].shape))
    parts = score_parts(found.measures)
    assert parts["spread"] == pytest.approx(1 - found.measures.top_share)
    assert parts["beyond_token"] == pytest.approx(1.0, abs=0.02) and parts["new"] == 1.0
    assert score(parts, found.measures) == pytest.approx(np.prod(list(parts.values())) ** 0.25)
    first = score_parts(measured(*plain).measures)
    assert first["new"] is None  # the first hook point has none before it: the part is left out
    assert score(first, found.measures) == pytest.approx(np.prod([first[n] for n in list(first)[:3]]) ** (1 / 3))


def test_a_constant_shift_is_named_and_comes_last(plain) -> None:
    rows, tokens = plain
    shifted = measured(rows + np.arange(WIDTH), tokens, previous=rows, name="h.1")
    fresh = measured(rows**3, tokens, previous=rows, name="h.2")
    found = advise([shifted, fresh])
    assert [each.rank for each in found] == [2, 1]
    assert found[0].score == pytest.approx(0, abs=0.1)
    assert said(shifted)["hands on h.0 unchanged, at most scaled and shifted by a constant"] == "against"


def test_one_wide_direction_is_named_with_its_share(plain) -> None:
    rows, tokens = plain
    wide = measured(rows * [10, 1, 1, 1, 1, 1, 1, 1], tokens)
    assert said(wide)["most of its variance is one direction (93\N{NO-BREAK SPACE}%)"] == "against"
    assert "its variance spreads over many directions (participation ratio 8 of 8)" in said(measured(*plain))


def test_rows_that_the_token_determines_are_named_with_eta_squared(plain) -> None:
    rows, tokens = plain
    table = np.random.default_rng(2).normal(size=(50, WIDTH))
    found = measured(4 * table[tokens] + rows, tokens)
    assert 0.9 < found.measures.token_eta2 < 0.97
    assert said(found)[f"still determined by the current token (eta² {found.measures.token_eta2:.2f})"] == "against"
    assert any(text.startswith("says more than which token it is") for text in said(measured(*plain)))


def test_rows_that_are_the_same_all_along_a_context_are_named(plain) -> None:
    rows, tokens = plain
    contexts = np.random.default_rng(2).normal(size=(250, WIDTH))[np.arange(4000) // 16]
    assert any(
        text.startswith("much the same all along a context (eta² 0.8")
        for text in said(measured(2 * contexts + rows, tokens))
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows * 1e6, "so keep its activations as float32"),
        (
            lambda rows: np.where(np.arange(4000)[:, None] == 3, np.nan, rows),
            "1 of 4,000 samples hold values that are not finite",
        ),
        (lambda rows: rows * 0 + 5, "hands on the same row for every sample"),
    ],
)
def test_what_cannot_be_kept_or_does_not_vary_scores_nothing(plain, change, words) -> None:
    found = advise([measured(change(plain[0]), plain[1])])[0]
    assert found.score == 0
    assert any(words in reason.text and reason.kind == "against" for reason in found.reasons)


def test_outliers_and_a_large_mean_are_notes_that_do_not_touch_the_score(plain) -> None:
    rows, tokens = plain
    rare = rows.copy()
    rare[:4, 2] = 40
    found = said(measured(rare + 20, tokens))
    assert found["dimension 2 has rare, very large values (kurtosis " + _kurtosis(rare) + ")"] == "note"
    assert any(
        "of its squared norm is the mean: centre rows" in text and kind == "note" for text, kind in found.items()
    )


def _kurtosis(rows: np.ndarray) -> str:
    centred = rows[:, 2] - rows[:, 2].mean()
    return f"{(centred**4).mean() / (centred**2).mean() ** 2:.0f}"


def test_too_few_samples_for_the_width_are_said(plain) -> None:
    assert "60 samples are few for 8 dimensions: measure more" in said(measured(plain[0][:60], plain[1][:60]))


def test_of_equal_scores_the_earlier_hook_point_is_better(plain) -> None:
    assert [each.rank for each in advise([measured(*plain, name="a"), measured(*plain, name="b")])] == [1, 2]
