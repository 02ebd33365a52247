import numpy as np
import pandas as pd
import pytest

from dashboard.figures.training import Axes, Line, draw_curves, draw_densities, draw_frontier

STEPS = Axes("step", "loss", "Loss", from_zero=True)


def line(**more):
    x = np.arange(5.0)
    return Line("a-l1", "#0072B2", "solid", x, x + 1, **more)


def test_a_smoothed_curve_is_drawn_over_its_faint_raw_line():
    raw = np.array([1.0, 9.0, 3.0, 4.0, 5.0])
    figure = draw_curves([line(faint_x=np.arange(5.0), faint_y=raw)], STEPS, height=200)
    faint, smoothed = figure.data
    assert list(faint.y) == list(raw) and list(smoothed.y) == [1, 2, 3, 4, 5]
    assert faint.opacity < 0.5 and faint.hoverinfo == "skip"
    assert faint.line.color == smoothed.line.color == "#0072B2"


def test_held_out_points_are_marked():
    trained, held_out = draw_curves([line(), line(has_markers=True)], STEPS, height=200).data
    assert trained.mode == "lines" and held_out.mode == "lines+markers"


def test_axes_are_titled_and_linear_from_zero_unless_asked():
    figure = draw_curves([line()], STEPS, height=200)
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("step", "loss")
    assert figure.layout.yaxis.rangemode == "tozero" and figure.layout.yaxis.type == "linear"
    logarithmic = draw_curves([line()], STEPS._replace(is_log_x=True, is_log_y=True), height=200)
    assert (logarithmic.layout.xaxis.type, logarithmic.layout.yaxis.type) == ("log", "log")


def test_a_zoom_survives_new_points_but_not_new_axes():
    first, more = draw_curves([line()], STEPS, height=200), draw_curves([line(), line()], STEPS, height=200)
    other = draw_curves([line()], STEPS._replace(is_log_y=True), height=200)
    assert first.layout.uirevision == more.layout.uirevision != other.layout.uirevision


def frontier(**more):
    row = {
        "name": "a-l1",
        "l0": 31.9,
        "fvu": 0.1,
        "rows": 24_310,
        "features": 3072,
        "colour": "#0072B2",
        "symbol": "square",
    }
    return pd.DataFrame([{**row, "is_selected": True}, {**row, "name": "a-l3", "is_selected": False, **more}])


def test_the_frontier_fills_the_selected_saes_and_states_the_rows():
    chosen, other = draw_frontier(frontier(), height=300).data
    assert (chosen.x[0], chosen.y[0]) == (31.9, 0.1)
    assert (chosen.marker.symbol, other.marker.symbol) == ("square", "square-open")
    assert "24,310 held-out samples" in chosen.hovertemplate


def test_the_frontier_says_nothing_of_rows_that_are_not_known():
    _, other = draw_frontier(frontier(rows=np.nan), height=300).data
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
