"""Activation histogram of one feature: counts of firing samples per bin, with the quartiles and the examples marked."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.figures.theme import ACCENT, ACTIVATION, finish

HEIGHT = 232
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
    bars = go.Bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=counts,
        width=np.diff(edges) * 0.94,
        customdata=np.stack([edges[:-1], edges[1:]], axis=-1),
        hovertemplate=_HOVER,
        marker={"color": ACCENT, "line": {"width": 0}},
        name="samples",
    )
    traces: list[go.Bar | go.Scatter] = [bars]
    if len(examples):
        traces.append(_ticks(examples, log))
    figure = finish(
        go.Figure(traces), height=HEIGHT, x_title="activation (firing samples)", y_title="samples", bargap=0
    )
    pad = 0.015 * (high - low)
    figure.update_xaxes(range=[low - pad, high + pad], showgrid=False)
    if log:
        figure.update_yaxes(type="log", range=[-0.35, math.log10(top) + 0.18], dtick=1, tickformat="~s")
    else:
        figure.update_yaxes(range=[-0.05 * top, 1.14 * top], nticks=5, tickformat="~s", rangemode="tozero")
    for name, value in (marks or {}).items():
        figure.add_shape(
            type="line", x0=value, x1=value, y0=0, y1=0.93, yref="paper", line={"width": 1, "dash": "dot", "color": "#808080"}
        )
        figure.add_annotation(x=value, y=1, yref="paper", yanchor="top", text=name, showarrow=False, font={"size": 10})
    return figure


def _ticks(examples: Sequence[float], log: bool) -> go.Scatter:
    return go.Scatter(
        x=list(examples),
        y=[0.62 if log else 0] * len(examples),
        mode="markers",
        marker={"symbol": "line-ns", "size": 9, "line": {"width": 2, "color": ACTIVATION}, "color": ACTIVATION},
        hovertemplate="example shown beside<br>activation %{x:.3~g}<extra></extra>",
        name="examples",
        cliponaxis=False,
    )
