import numpy as np
import pytest

from dashboard.figures.layers import Layer, Step, arrange, clicked_key, draw_flow, draw_null, share_above

LAYERS = [Layer("a-l1", "#0072B2", 100), Layer("a-l3", "#E69F00", 120), Layer("a-l5", "#009E73", 90)]
FIRST = Step(
    0, 1, {"persist": 50, "split": 10, "merge": 30, "death": 10}, {"persist": 50, "split": 25, "merge": 15, "birth": 30}
)
SECOND = Step(1, 2, {"persist": 90, "death": 30}, {"persist": 90, "birth": 0})


def counts_of(bands, node, side):
    ends = bands.targets if side == "in" else bands.sources
    return sum(value for end, value in zip(ends, bands.values, strict=True) if end == node)


def test_the_bands_of_a_layer_add_up_to_its_living_features():
    bands = arrange(LAYERS, [FIRST, SECOND])
    assert counts_of(bands, 0, "out") == 100
    assert counts_of(bands, 1, "in") == counts_of(bands, 1, "out") == 120
    assert counts_of(bands, 2, "in") == 90


def test_a_split_grows_and_a_merge_shrinks():
    bands = arrange(LAYERS, [FIRST])
    split, merge = bands.node_keys.index("0-1/split"), bands.node_keys.index("0-1/merge")
    assert (counts_of(bands, split, "in"), counts_of(bands, split, "out")) == (10, 25)
    assert (counts_of(bands, merge, "in"), counts_of(bands, merge, "out")) == (30, 15)


def test_a_death_has_no_band_onward_and_a_birth_none_before():
    bands = arrange(LAYERS, [FIRST])
    death, birth = bands.node_keys.index("0-1/death"), bands.node_keys.index("0-1/birth")
    assert (counts_of(bands, death, "in"), counts_of(bands, death, "out")) == (10, 0)
    assert (counts_of(bands, birth, "in"), counts_of(bands, birth, "out")) == (0, 30)


def test_a_fate_without_features_takes_no_place():
    bands = arrange(LAYERS, [FIRST, SECOND])
    assert "1-2/birth" not in bands.node_keys and "1-2/split" not in bands.node_keys
    assert 0 not in bands.values


def test_only_the_layers_of_the_shown_pair_are_drawn():
    bands = arrange(LAYERS, [Step(0, 2, {"persist": 80, "death": 20}, {"persist": 80, "birth": 10})])
    assert [name for name, key in zip(bands.names, bands.node_keys, strict=True) if not key] == ["a-l1", "a-l5"]


def test_fates_of_one_step_do_not_overlap():
    bands = arrange(LAYERS, [FIRST])
    heights = {"persist": 50, "split": 25, "merge": 30, "death": 10, "birth": 30}
    scale = (1 - 4 * 0.035) / sum(heights.values())
    centres = {key.partition("/")[2]: y for key, y in zip(bands.node_keys, bands.y, strict=True) if key}
    for above, below in zip(heights, list(heights)[1:], strict=False):
        assert centres[below] - centres[above] >= (heights[above] + heights[below]) * scale / 2
    assert centres["birth"] + heights["birth"] * scale / 2 <= 1.0001


def test_a_hover_says_what_a_band_counts_and_of_which_layer():
    bands = arrange(LAYERS, [FIRST])
    text = bands.texts[bands.keys.index("0-1/split")]
    assert "10 features of a-l1 (10 % of those that fire)" in text
    assert "25 features of a-l3 (20.8 % of those that fire)" in text


def test_the_chosen_fate_stands_out():
    figure = draw_flow(LAYERS, [FIRST], chosen="0-1/death", height=300)
    link = figure.data[0].link
    opacity = [float(colour.rstrip(")").split(",")[3]) for colour in link.color]
    chosen = [key == "0-1/death" for key in link.customdata]
    assert min(o for o, c in zip(opacity, chosen, strict=True) if c) > max(
        o for o, c in zip(opacity, chosen, strict=True) if not c
    )


def test_a_click_on_a_band_or_on_a_fate_reads_back_as_its_key_and_on_a_layer_as_nothing():
    bands = arrange(LAYERS, [FIRST])
    assert clicked_key({"pointNumber": 2, "width": 9.0}, bands) == bands.keys[2]
    assert clicked_key({"pointNumber": bands.node_keys.index("0-1/merge"), "dx": 14}, bands) == "0-1/merge"
    assert clicked_key({"pointNumber": 0, "dx": 14}, bands) == ""


def test_a_set_whose_features_all_died_is_still_drawn():
    step = Step(0, 1, {"death": 100}, {"birth": 120})
    figure = draw_flow(LAYERS, [step], height=300)
    assert list(figure.data[0].link.value) == [100, 120]


def test_the_null_figure_reads_the_share_above_the_threshold():
    real, null = np.array([0.1, 0.5, 0.9, 0.95], np.float32), np.array([0.05, 0.1, 0.2, 0.15], np.float32)
    figure = draw_null(real, null, 0.3, "#0072B2", height=200)
    permuted, matched = figure.data
    assert (permuted.name, matched.name) == ("permuted", "real")
    at = int(np.searchsorted(matched.x, 0.3))
    assert matched.y[at] == pytest.approx(0.75) and permuted.y[at] == 0
    assert figure.layout.shapes[0].x0 == 0.3
    assert "0.3" in figure.layout.annotations[0].text


def test_the_share_above_is_strict_and_zero_without_values():
    assert share_above(np.array([1.0, 2.0, 2.0]), np.array([0.0, 1.0, 2.0])).tolist() == pytest.approx([1, 2 / 3, 0])
    assert share_above(np.array([], np.float32), np.array([0.5])).tolist() == [0.0]
