"""Figures of one feature over the snapshots of its run: where its decoder direction was, and how often it fired."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.figures.theme import finish

START_COLOUR = "#7F7F7F"


def draw_direction(
    step: NDArray[np.int64],
    to_start: NDArray[np.float32],
    to_end: NDArray[np.float32],
    chosen: int,
    colour: str,
    *,
    height: int,
) -> go.Figure:
    """Cosine [snapshots] of a feature's decoder direction to its last and to its first one; `chosen` is the step shown."""
    traces = [
        _line(step, to_start, "to its start", {"color": START_COLOUR, "dash": "dash"}, "triangle-down"),
        _line(step, to_end, "to its end", {"color": colour}, "circle"),
    ]
    figure = _over_steps(traces, step, chosen, "cosine of the decoder direction", height)
    lowest = float(min(to_start.min(), to_end.min(), 0))
    figure.update_yaxes(range=[lowest - 0.05, 1.05])
    return figure


def draw_density(
    step: NDArray[np.int64], density: NDArray[np.float32], rows: Sequence[int], chosen: int, colour: str, *, height: int
) -> go.Figure:
    """Density [snapshots] of one feature over the steps, on logarithmic axes.

    `rows` [snapshots] held-out rows were coded at each step. A density of 0 has no logarithm: it is drawn hollow, at
    half of one row.
    """
    fires = density > 0
    floor = 0.5 / np.array(rows, float)
    shown = np.where(fires, density, floor)
    words = [
        f"fires on {100 * value:.3g} % of {count:,} held-out rows" if value > 0 else f"fires on none of {count:,} rows"
        for value, count in zip(density, rows, strict=True)
    ]
    trace = {
        "type": "scatter",
        "x": step,
        "y": shown,
        "mode": "lines+markers",
        "line": {"color": colour, "width": 1.8},
        "marker": {"size": 7, "color": colour, "symbol": ["circle" if one else "circle-open" for one in fires]},
        "name": "density",
        "customdata": words,
        "hovertemplate": "%{customdata}<br>step %{x:,}<extra></extra>",
    }
    figure = _over_steps([trace], step, chosen, "density (share of held-out rows)", height)
    low, high = np.log10(shown.min()), np.log10(shown.max())
    figure.update_yaxes(
        type="log", tickformat="~g", dtick=1 if high - low > 0.9 else "D2", range=[low - 0.2, high + 0.2]
    )
    return figure


def _line(
    step: NDArray[np.int64], cosine: NDArray[np.float32], name: str, line: dict[str, str], symbol: str
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": step,
        "y": cosine,
        "mode": "lines+markers",
        "line": {"width": 1.8, **line},
        "marker": {"size": 6, "symbol": symbol},
        "name": name,
        "hovertemplate": f"cosine {name} %{{y:.3f}}<br>step %{{x:,}}<extra></extra>",
    }


def _over_steps(
    traces: list[dict[str, Any]], step: NDArray[np.int64], chosen: int, y_title: str, height: int
) -> go.Figure:
    """Lines over a logarithmic axis of steps, a bar behind them at the chosen one."""
    low, high = np.log10(step.min()), np.log10(step.max())
    figure = finish(
        go.Figure(traces),
        height=height,
        x_title="step of the snapshot",
        y_title=y_title,
        hovermode="closest",
        showlegend=len(traces) > 1,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False},
        xaxis={"type": "log", "dtick": 1 if high - low > 1 else "D2", "tickformat": "~s"},
    )
    figure.update_xaxes(range=[low - 0.08, high + 0.08])
    figure.add_vline(x=chosen, line={"color": "#E69F00", "width": 6}, opacity=0.35, layer="below")
    return figure
