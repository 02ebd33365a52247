"""The map and the density histogram show the frame's own numbers."""

import json

import numpy as np
import pandas as pd
import pytest
from plotly.io.json import to_json_plotly

from dashboard.figures.map import SVG_POINTS, binned, density_histogram, dimmed, feature_map, no_map, view_of_map


def make_frame(rows: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    density = 10 ** rng.uniform(-3, 1.5, rows)
    density[0] = 0.0
    return pd.DataFrame(
        {
            "feature_id": np.arange(rows) * 2,
            "x": rng.normal(size=rows),
            "y": rng.normal(size=rows),
            "density": density,
            "label": ["<b>bold</b>", *[""] * (rows - 1)],
            "tokens": [["<script>", "&"], *[["a", "b", "c", "d"]] * (rows - 1)],
        }
    )


def test_every_feature_is_a_point_at_its_place_with_its_id() -> None:
    frame = make_frame()
    points = feature_map(frame).data[0]
    assert np.allclose(points.x, frame["x"], atol=5e-4) and np.allclose(points.y, frame["y"], atol=5e-4)
    assert points.to_plotly_json()["customdata"] == frame["feature_id"].tolist()  # a list survives click events


def test_colour_is_the_logarithm_of_the_density_and_dead_features_take_the_lowest() -> None:
    frame = make_frame()
    marker = feature_map(frame).data[0].marker
    living = frame["density"].to_numpy()[1:]
    assert np.allclose(marker.color[1:], np.log10(living), atol=5e-4)
    assert marker.color[0] == pytest.approx(np.log10(living).min(), abs=5e-4)
    assert (marker.cmin, marker.cmax) == pytest.approx((np.log10(living).min(), np.log10(living).max()))


def test_labels_and_tokens_cannot_smuggle_markup_into_the_hover_text() -> None:
    text = feature_map(make_frame()).data[0].text[0]
    assert "&lt;b&gt;bold&lt;/b&gt;" in text and "&lt;script&gt;" in text and "<script>" not in text
    assert "never fires" in text


def test_features_outside_of_the_filter_are_dimmed() -> None:
    frame = make_frame()
    kept = np.zeros(len(frame), dtype=bool)
    kept[[3, 5]] = True
    assert list(feature_map(frame, kept=kept).data[0].selectedpoints) == [3, 5]
    assert feature_map(frame, kept=np.ones(len(frame), dtype=bool)).data[0].selectedpoints is None
    assert dimmed(np.zeros(3, dtype=bool)) == []


def test_the_area_of_a_view_is_drawn_on_the_map() -> None:
    area = feature_map(make_frame(), box=(-1.0, 2.0, 0.0, 1.0)).layout.selections[0]
    assert (area.x0, area.x1, area.y0, area.y1) == (-1.0, 2.0, 0.0, 1.0)


def test_many_points_are_drawn_by_webgl_and_few_as_svg() -> None:
    assert feature_map(make_frame(50)).data[0].type == "scatter"
    assert feature_map(make_frame(SVG_POINTS + 1)).data[0].type == "scattergl"


def test_a_missing_map_says_so() -> None:
    assert no_map("Still being computed.").layout.annotations[0].text == "Still being computed."


def test_the_density_bars_count_every_living_feature_once() -> None:
    density = make_frame(500)["density"].to_numpy()
    figure = density_histogram(density)
    everything, kept = figure.data
    assert sum(everything.y) == (density > 0).sum() == sum(kept.y)
    middle = int(np.argmax(everything.y))
    low, high = everything.x[middle] - 1 / 16, everything.x[middle] + 1 / 16
    assert everything.y[middle] == ((np.log10(density[1:]) >= low) & (np.log10(density[1:]) < high)).sum()


def test_the_front_bars_count_the_kept_features_in_the_same_bins() -> None:
    density = make_frame(500)["density"].to_numpy()
    kept = density > 1
    front = binned(density, kept=kept)
    assert sum(front) == kept.sum()
    assert all(part <= whole for part, whole in zip(front, binned(density), strict=True))


def test_an_sae_without_living_features_still_has_a_figure() -> None:
    assert sum(density_histogram(np.zeros(4)).data[0].y) == 0
    frame = make_frame(3).assign(density=0.0)
    assert len(feature_map(frame).data[0].x) == 3


def test_a_kept_map_with_a_views_labels_and_filter_is_the_map_drawn_anew() -> None:
    frame, box = make_frame(), (-1.0, 1.0, -1.0, 1.0)
    kept = frame["density"].to_numpy() > 0.1
    drawn = json.loads(to_json_plotly(feature_map(frame, kept=kept, box=box)))
    unlabelled = json.loads(to_json_plotly(feature_map(frame.assign(label=""))))
    assert unlabelled != drawn
    assert view_of_map(unlabelled, frame, kept, box) == drawn


@pytest.mark.parametrize(
    ("least", "written"), [(1e-3, ["0.001", "0.01", "0.1", "1", "10", "100"]), (1e-4, ["0.0001", "0.01", "1", "100"])]
)
def test_over_many_decades_every_second_power_is_written(least: float, written: list[str]) -> None:
    assert list(density_histogram(np.array([least, 50.0])).layout.xaxis.ticktext) == written
