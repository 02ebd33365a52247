import numpy as np

from dashboard.figures.training import Axes, Line, draw_curves

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
    trained, held_out = draw_curves([line(), line(symbol="circle")], STEPS, height=200).data
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
