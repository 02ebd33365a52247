"""Curves of training runs over steps or time."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.figures.theme import finish


class Line(NamedTuple):
    """One metric of one run, ready to draw: x and y are [n]; the faint raw points, where given, are [m]."""

    name: str
    colour: str
    dash: str  # plotly's name of the line pattern, which tells the sets apart
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    faint_x: NDArray[np.float64] | None = None
    faint_y: NDArray[np.float64] | None = None
    symbol: str = ""  # plotly's name of the mark at each point; none by default


class Axes(NamedTuple):
    """What both axes of a curve say, with units, and whether they are logarithmic."""

    x_title: str
    y_title: str
    y_hover: str  # names y in a hover text
    is_log_x: bool = False
    is_log_y: bool = False
    from_zero: bool = False  # a linear y axis starts at zero


def draw_curves(lines: Sequence[Line], axes: Axes, *, height: int) -> go.Figure:
    """Lines over steps or seconds; the zoom is kept while the same axes are drawn again with more points."""
    traces: list[dict[str, Any]] = []
    for line in lines:
        drawn: dict[str, Any] = {"type": "scatter", "line": {"color": line.colour, "width": 1.8, "dash": line.dash}}
        if line.faint_x is not None:
            traces.append(
                {
                    **drawn,
                    "x": line.faint_x,
                    "y": line.faint_y,
                    "mode": "lines",
                    "line": {**drawn["line"], "width": 1},
                    "opacity": 0.28,
                    "hoverinfo": "skip",
                    "name": f"{line.name}, as measured",
                }
            )
        traces.append(
            {
                **drawn,
                "x": line.x,
                "y": line.y,
                "mode": "lines+markers" if line.symbol or len(line.x) == 1 else "lines",  # one point is no line
                "marker": {"size": 6, "symbol": line.symbol or "circle"},
                "name": line.name,
                "hovertemplate": f"<b>{line.name}</b><br>{axes.y_hover} %{{y:.3~g}}<br>{_x_hover(axes)}<extra></extra>",
            }
        )
    figure = go.Figure(traces)  # at once: adding traces one by one copies all of them each time
    y_axis: dict[str, Any] = {"type": "log" if axes.is_log_y else "linear"}
    if axes.is_log_y:
        y_axis |= {"dtick": 1 if _decades(lines) > 1.5 else "D2", "tickformat": "~g"}
    elif axes.from_zero:
        y_axis["rangemode"] = "tozero"
    return finish(
        figure,
        height=height,
        x_title=axes.x_title,
        y_title=axes.y_title,
        hovermode="closest",
        margin_r=20,  # half of the last step's number
        xaxis={"type": "log" if axes.is_log_x else "linear"},
        yaxis=y_axis,
        uirevision=f"{axes.x_title}{axes.is_log_x}{axes.is_log_y}",
    )


def _x_hover(axes: Axes) -> str:
    return "step %{x:,}" if axes.x_title == "step" else "%{x:,.1f} s"


def _decades(lines: Sequence[Line]) -> float:
    """How many powers of ten the positive values of all lines span."""
    values = np.concatenate([line.y for line in lines] or [np.array([])])
    values = values[np.isfinite(values) & (values > 0)]
    return float(np.log10(values.max() / values.min())) if values.size else 0.0
