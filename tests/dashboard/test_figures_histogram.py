import numpy as np
import pytest

from dashboard.figures.histogram import draw_histogram

EDGES = np.linspace(0, 2, 5)
COUNTS = np.array([40, 3, 0, 1])


def test_every_bin_is_drawn_with_its_exact_count_and_limits():
    bars = draw_histogram(EDGES, COUNTS).data[0]
    assert list(bars.y) == [40, 3, 0, 1]
    assert list(bars.x) == [0.25, 0.75, 1.25, 1.75]
    np.testing.assert_allclose(bars.customdata, [[0, 0.5], [0.5, 1], [1, 1.5], [1.5, 2]])


def test_a_single_sample_stays_visible_on_the_logarithmic_axis():
    axis = draw_histogram(EDGES, COUNTS, log=True).layout.yaxis
    assert axis.type == "log"
    assert axis.range[0] < np.log10(1) < np.log10(40) < axis.range[1]


def test_the_linear_axis_starts_below_zero_so_that_the_ticks_of_the_examples_fit():
    figure = draw_histogram(EDGES, COUNTS, examples=[1.9, 1.7])
    ticks = figure.data[1]
    assert list(ticks.x) == [1.9, 1.7]
    assert all(figure.layout.yaxis.range[0] < y < 0 for y in ticks.y)


def test_marks_stand_at_their_values_and_their_names_never_overlap():
    layout = draw_histogram(EDGES, COUNTS, marks={"median": 0.4, "upper quartile": 0.41}).layout
    assert [line.x0 for line in layout.shapes] == [0.4, 0.41]
    assert [words.text for words in layout.annotations] == ["median", "upper quartile"]
    assert layout.annotations[0].y > layout.annotations[1].y


def test_a_marks_name_turns_to_where_there_is_room():
    layout = draw_histogram(EDGES, COUNTS, marks={"median": 0.4, "upper quartile": 1.9}).layout
    assert [words.xanchor for words in layout.annotations] == ["left", "right"]


def test_axes_carry_their_units():
    layout = draw_histogram(EDGES, COUNTS).layout
    assert "activation" in layout.xaxis.title.text
    assert layout.yaxis.title.text == "samples"


def test_colours_of_text_and_ground_are_left_to_the_theme():
    layout = draw_histogram(EDGES, COUNTS).layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert layout.font.color is None


@pytest.mark.parametrize("log", [False, True])
def test_a_histogram_without_any_sample_can_be_drawn(log):
    assert list(draw_histogram(EDGES, np.zeros(4, dtype=int), log=log).data[0].y) == [0, 0, 0, 0]
