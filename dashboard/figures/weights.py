"""Distributions over the features of an SAE: norms, cosines, biases and thresholds."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.figures.frame import DOTTED, build_figure
from dashboard.figures.theme import ACCENT, OKABE_ITO

BINS = 48
HEIGHT = 190
COLOURS = (ACCENT, OKABE_ITO[5])


class Distribution(NamedTuple):
    """One value for each feature [features]; NaN and infinities are not drawn."""

    name: str
    values: npt.NDArray[np.floating]


def draw_distribution(
    distributions: Sequence[Distribution],
    x_title: str,
    *,
    limits: tuple[float, float] | None = None,
    mark: float | None = None,
    log: bool = False,
) -> go.Figure:
    """Counts of features over their values, in bins that all distributions share.

    `limits` are the ends of the axis where they are known (cosines), else those of the values; `mark` is a value at which
    a dotted line stands; with `log` the counts stand on a logarithmic axis.
    """
    finite = [found.values[np.isfinite(found.values)].astype(np.float64) for found in distributions]
    edges = bin_edges(np.concatenate(finite), limits)
    top = 1
    traces: list[dict[str, Any]] = []
    for position, (found, values) in enumerate(zip(distributions, finite, strict=True)):
        counts = np.histogram(values, edges)[0]
        top = max(top, int(counts.max(initial=0)))
        traces.append(
            {
                "type": "bar",
                "name": found.name,
                "x": (edges[:-1] + edges[1:]) / 2,
                "y": counts,
                "width": np.diff(edges) * 0.96,
                "customdata": np.stack([edges[:-1], edges[1:]], axis=-1),
                "hovertemplate": f"<b>%{{y:,}}</b> features<br>{found.name} %{{customdata[0]:.3~g}} to"
                " %{customdata[1]:.3~g}<extra></extra>",
                "marker": {"color": COLOURS[position % 2], "line": {"width": 0}},
                "opacity": 0.65 if len(distributions) > 1 else 0.9,
            }
        )
    logarithmic = {"type": "log", "range": [-0.3, float(np.log10(top)) + 0.15], "dtick": 1}
    return build_figure(
        traces,
        height=HEIGHT,
        barmode="overlay",
        bargap=0,
        showlegend=len(distributions) > 1,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 11}},  # above every bar
        shapes=[] if mark is None else [_line(mark)],
        xaxis={"title": x_title, "range": [float(edges[0]), float(edges[-1])], "showgrid": False, "nticks": 6},
        yaxis={
            "title": "features",
            "tickformat": "~s",
            **(logarithmic if log else {"range": [0, 1.08 * top], "nticks": 4}),
        },
    )


def bin_edges(values: npt.NDArray[np.float64], limits: tuple[float, float] | None) -> npt.NDArray[np.float64]:
    """Edges of equal bins over the limits, widened to the values; values that are all (nearly) the same get one bin of 48
    in the middle, so that rounding is not drawn as a spread."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if limits is not None:
        return np.linspace(min(limits[0], low), max(limits[1], high), BINS + 1)
    size = max(abs(low), abs(high))
    if high - low <= 1e-5 * size or size == 0:
        middle, half = (low + high) / 2, 0.5 * size or 0.5
        return np.linspace(middle - half, middle + half, BINS + 2)  # an odd number of bins: the value is inside of one
    return np.linspace(low, high, BINS + 1)


def _line(value: float) -> dict[str, Any]:
    return {"type": "line", "x0": value, "x1": value, "y0": 0, "y1": 1, "yref": "paper", "line": DOTTED}
