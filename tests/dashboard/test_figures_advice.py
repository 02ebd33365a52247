"""The scores of hook points as bars in the model's order, the best one filled, with a line for every part."""

import pytest

from dashboard.figures.advice import PARTS, Score, draw_scores, short_names


def scores(n: int) -> list[Score]:
    return [Score(f"h.{i}", i / n, n - i, {"spread": 0.5, "new": None if i == 0 else 0.25}) for i in range(n)]


def test_bars_stand_in_the_models_order_and_the_best_is_filled() -> None:
    bars, *lines = draw_scores(scores(4), height=300).data
    assert list(bars.y) == [0, 0.25, 0.5, 0.75]
    assert bars.marker.opacity[3] > bars.marker.opacity[0] == bars.marker.opacity[2]
    assert [tuple(each) for each in bars.customdata] == [("h.0", 4), ("h.1", 3), ("h.2", 2), ("h.3", 1)]
    assert [line.name for line in lines] == [words for words, _, _ in PARTS.values()]


def test_parts_that_were_not_measured_leave_a_gap() -> None:
    lines = {line.name: line for line in draw_scores(scores(3), height=300).data[1:]}
    assert list(lines["new"].y) == [None, 0.25, 0.25]
    assert list(lines["beyond token"].y) == [None] * 3


def test_many_hook_points_keep_readable_ticks() -> None:
    axis = draw_scores(scores(40), height=300).layout.xaxis
    assert len(axis.tickvals) <= 16 and axis.ticktext[1] == str(axis.tickvals[1])


@pytest.mark.parametrize(
    ("hooks", "names", "stem"),
    [
        (["encoder.layer.0", "encoder.layer.11"], ["0", "11"], "encoder.layer."),
        (["h.1", "h.10", "embeddings"], ["h.1", "h.10", "embeddings"], ""),
        (["a.b", "a.b.c"], ["b", "b.c"], "a."),
        (["only.one"], ["only.one"], ""),
    ],
)
def test_hook_points_go_by_what_tells_them_apart(hooks, names, stem) -> None:
    assert short_names(hooks) == (names, stem)
