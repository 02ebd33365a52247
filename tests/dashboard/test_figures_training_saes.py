"""The L0-FVU frontier and densities, by their data."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.figures.training_saes import MOST_NAMED, draw_densities, draw_frontier, draw_snapshot_densities, is_best


def frontier(**more):
    row = {
        "name": "a-l1",
        "l0": 31.9,
        "fvu": 0.1,
        "rows": 24_310,
        "features": 3072,
        "colour": "#0072B2",
        "architecture": "batch_topk",
        "group": "m · layer.1 · docs",
    }
    return pd.DataFrame([{**row, "is_selected": True}, {**row, "name": "a-l3", "is_selected": False, **more}])


def test_the_frontier_fills_the_selected_saes_and_states_the_rows():
    _, chosen, other, _ = draw_frontier(frontier(fvu=0.05, l0=40), height=300).data
    assert (chosen.x[0], chosen.y[0]) == (31.9, 0.1)
    assert (chosen.marker.symbol, other.marker.symbol) == ("square", "square-open")
    assert "24,310 held-out samples" in chosen.hovertemplate


def test_the_frontier_says_nothing_of_rows_that_are_not_known():
    _, other, _ = draw_frontier(frontier(rows=np.nan, fvu=0.2), height=300).data
    assert "held-out samples" not in other.hovertemplate


def test_densities_count_every_living_feature_once():
    density = np.array([0.0, 0.001, 0.0011, 0.01, 0.5, 1.0, 0.0])
    figure = draw_densities([("a-l1", "#0072B2", "solid", density)], height=300)
    (drawn,) = figure.data
    assert sum(drawn.y) == 5
    bins = dict(zip(np.round(drawn.x, 6), drawn.y, strict=True))
    assert bins[-3.0] == 2, "0.001 and 0.0011 share the bin that starts at -3"


def test_two_saes_share_their_bins():
    figure = draw_densities(
        [("a", "#0072B2", "solid", np.array([0.001])), ("b", "#E69F00", "dash", np.array([0.5]))], height=300
    )
    assert list(figure.data[0].x) == list(figure.data[1].x)
    assert figure.data[1].line.dash == "dash"


@pytest.mark.parametrize("densities", [[], [("dead", "#0072B2", "solid", np.zeros(4))]])
def test_without_a_living_feature_the_density_figure_is_empty(densities):
    assert len(draw_densities(densities, height=300).data) == 0


PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12)


@given(PAIRS)
def test_the_best_are_those_that_no_other_one_beats(pairs):
    l0, fvu = np.array(pairs, float).T
    for place, (x, y) in enumerate(pairs):
        is_beaten = any(a <= x and b <= y and (a, b) != (x, y) for a, b in pairs)
        assert is_best(l0, fvu)[place] == (not is_beaten)


def test_of_marks_that_lie_on_each_other_the_names_do_not():
    row = frontier().iloc[0].to_dict()
    saes = pd.DataFrame([{**row, "name": f"grammar-l{n}", "l0": 16.0, "fvu": 0.004 + 0.0003 * n} for n in range(4)])
    saes = pd.concat([saes, saes.head(1).assign(name="minilm-l5", l0=32.0, fvu=0.03)])
    marks = [trace for trace in draw_frontier(saes, height=300).data if trace.text]
    named = [trace.textposition for trace in marks if trace.mode == "markers+text"]
    assert len(marks) == 5 and len(named) < 5 and {"middle right", "middle left"} <= set(named)


def test_small_values_of_fvu_are_told_apart_on_a_logarithmic_axis():
    row = frontier().iloc[0].to_dict()
    saes = pd.DataFrame([{**row, "name": f"a-{n}", "fvu": fvu} for n, fvu in enumerate((0.004, 0.2))])
    figure = draw_frontier(saes, height=300)
    assert figure.layout.yaxis.type == "log" and figure.layout.yaxis.range[0] < np.log10(0.004)
    assert draw_frontier(saes.assign(fvu=[0.1, 0.2]), height=300).layout.yaxis.range[0] == 0


def test_marks_of_many_saes_carry_no_name_and_a_wide_range_of_l0_is_logarithmic():
    few = draw_frontier(frontier(fvu=0.05, l0=40), height=300)
    assert few.data[1].mode == "markers+text" and few.layout.xaxis.type == "linear"
    row = frontier().iloc[0].to_dict()
    many = pd.DataFrame([{**row, "name": f"a-{n}", "l0": 4 * (n + 1)} for n in range(MOST_NAMED + 1)])
    figure = draw_frontier(many, height=300)
    assert {trace.mode for trace in figure.data} == {"markers"} and figure.layout.xaxis.type == "log"


def test_without_a_finished_sae_the_frontier_is_empty():
    assert len(draw_frontier(frontier().iloc[:0], height=300).data) == 0


def test_densities_of_a_snapshot_stand_before_the_last_ones_in_the_same_bins():
    now, final = np.array([0.0, 0.001, 0.5]), np.array([0.1, 0.1, 0.1])
    behind, front = draw_snapshot_densities(
        now, final, "#0072B2", ("step 5", "step 9, the last"), 8_192, height=200
    ).data
    assert (sum(front.y), sum(behind.y)) == (2, 3) and list(front.x) == list(behind.x)
    assert front.line.color == "#0072B2" and behind.fill == "tozeroy"
    nothing = draw_snapshot_densities(np.zeros(3), np.zeros(3), "#0072B2", ("a", "b"), 10, height=200)
    assert len(nothing.data) == 0 and "10 held-out rows" in nothing.layout.xaxis.title.text
