"""Activation histogram of one feature: counts of firing samples per bin, with the quartiles and the examples marked."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.figures.frame import DOTTED, build_figure
from dashboard.figures.theme import ACCENT, ACTIVATION

HEIGHT = 310
_HOVER = "<b>%{y:,}</b> samples<br>activation %{customdata[0]:.3~g} to %{customdata[1]:.3~g}<extra></extra>"


def draw_histogram(
    edges: npt.NDArray[np.floating],
    counts: npt.NDArray[np.integer],
    *,
    log: bool = False,
    marks: Mapping[str, float] | None = None,
    examples: Sequence[float] = (),
) -> go.Figure:
    """Draw exact counts [b] over bin edges [b + 1], in activation units; zeros are not among them.

    `marks` are named activations (quartiles) drawn as dotted lines, `examples` the activations of the examples shown
    beside the figure, drawn as ticks under the axis. With `log` the counts stand on a logarithmic axis.
    """
    top = max(1, int(counts.max(initial=1)))
    low, high = float(edges[0]), float(edges[-1])
    pad = 0.015 * (high - low)
    bars = {
        "type": "bar",
        "name": "samples",
        "x": (edges[:-1] + edges[1:]) / 2,
        "y": counts,
        "width": np.diff(edges) * 0.94,
        "customdata": np.stack([edges[:-1], edges[1:]], axis=-1),
        "hovertemplate": _HOVER,
        "marker": {"color": ACCENT, "line": {"width": 0}},
    }
    ticks = {
        "type": "scatter",
        "name": "examples",
        "mode": "markers",
        "x": list(examples),
        "y": [10**-0.2 if log else -0.03 * top] * len(examples),
        "marker": {"symbol": "line-ns", "size": 9, "line": {"width": 2, "color": ACTIVATION}},
        "hovertemplate": "example shown beside<br>activation %{x:.3~g}<extra></extra>",
        "cliponaxis": False,
    }
    logarithmic = {"type": "log", "range": [-0.35, math.log10(top) + 0.18], "dtick": 1}
    linear = {"range": [-0.06 * top, 1.14 * top], "nticks": 5}
    return build_figure(
        [bars, ticks] if len(examples) else [bars],
        height=HEIGHT,
        bargap=0,
        xaxis={"title": "activation (firing samples)", "range": [low - pad, high + pad], "showgrid": False},
        yaxis={"title": "samples", "tickformat": "~s", **(logarithmic if log else linear)},
        **_lines(marks or {}, low + 0.6 * (high - low)),
    )


def _lines(marks: Mapping[str, float], turn: float) -> dict[str, list[dict[str, Any]]]:
    """A dotted line with its name for every mark; beyond `turn` the name stands to the left, where there is room."""
    shapes, words = [], []
    for row, (name, value) in enumerate(marks.items()):
        top = 1 - 0.06 * row  # lower and lower, so that close marks stay readable
        shapes.append({"type": "line", "x0": value, "x1": value, "y0": 0, "y1": top, "yref": "paper", "line": DOTTED})
        side = "right" if value > turn else "left"
        place = {"x": value, "y": top, "yref": "paper", "xanchor": side, "yanchor": "top", "showarrow": False}
        words.append({**place, "text": name, "font": {"size": 11}})
    return {"shapes": shapes, "annotations": words}
