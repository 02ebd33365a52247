"""The 2-D map of an SAE's features, coloured by density, and the histogram of all densities."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.components.numbers import count, figures
from dashboard.figures.theme import ACCENT, RAMP, finish

SVG_POINTS = 10_000  # above this the points are drawn by WebGL
BINS_PER_DECADE = 8
MOST_POWERS = 6
Box = tuple[float, float, float, float]


def feature_map(frame: pd.DataFrame, *, kept: np.ndarray | None = None, box: Box | None = None) -> go.Figure:
    """One point per feature of `frame` (feature_id, x, y, density in percent, label, tokens).

    Features outside of `kept` (bool [rows]) are dimmed; `box` (x0, x1, y0, y1) draws the selected area. Row order is
    the point order, and `customdata` holds the feature id.
    """
    density = frame["density"].to_numpy(dtype=np.float64)
    fires = density > 0
    levels = np.log10(density, out=np.full(len(density), np.nan), where=fires)
    low, high = (np.nanmin(levels), np.nanmax(levels)) if fires.any() else (-2.0, 2.0)
    points = go.Scattergl if len(frame) > SVG_POINTS else go.Scatter
    figure = go.Figure(
        points(
            x=frame["x"].to_numpy().round(3),
            y=frame["y"].to_numpy().round(3),
            mode="markers",
            customdata=frame["feature_id"].tolist(),  # a list: dcc.Graph drops packed arrays from its click events
            text=_hover_texts(frame),
            hovertemplate="%{text}<extra></extra>",
            marker={
                "size": 5 if len(frame) <= 5_000 else 3.5,
                "color": np.where(fires, levels, low).round(3),
                "cmin": low,
                "cmax": high,
                "colorscale": [list(stop) for stop in RAMP],
                "opacity": 0.8,
                "line": {"width": 0},
                "colorbar": _density_bar(float(low), float(high)),
            },
            selected={"marker": {"opacity": 0.95}},
            unselected={"marker": {"opacity": 0.07}},
            selectedpoints=dimmed(kept),
        )
    )
    hidden = {"showgrid": False, "showticklabels": False, "ticks": "", "visible": False}
    figure = finish(figure, height=None, dragmode="select", selections=selections(box))
    figure.update_layout(margin={"l": 4, "r": 4, "t": 4, "b": 4}, selectdirection="any", hovermode="closest")
    return figure.update_xaxes(**hidden).update_yaxes(**hidden)


def view_of_map(unlabelled: dict[str, Any], frame: pd.DataFrame, kept: np.ndarray, box: Box | None) -> dict[str, Any]:
    """The figure (as JSON) of `feature_map` of a frame without labels, as this view shows it; `frame` holds its labels."""
    points = unlabelled["data"][0]
    named = frame[frame["label"] != ""]
    for position, text in zip(np.flatnonzero(frame["label"] != ""), _hover_texts(named), strict=True):
        points["text"][position] = text
    points["selectedpoints"] = dimmed(kept)
    unlabelled["layout"]["selections"] = selections(box)
    return unlabelled


def dimmed(kept: np.ndarray | None) -> list[int] | None:
    """Plotly's `selectedpoints` for a filter: positions of the kept rows, or None when every row is kept."""
    if kept is None or bool(kept.all()):
        return None
    return [int(position) for position in np.flatnonzero(kept)]


def selections(box: Box | None) -> list[dict[str, object]]:
    """Plotly's `layout.selections` for an area of the map."""
    if box is None:
        return []
    x0, x1, y0, y1 = box
    line = {"color": ACCENT, "width": 1.5, "dash": "solid"}
    return [{"type": "rect", "xref": "x", "yref": "y", "x0": x0, "x1": x1, "y0": y0, "y1": y1, "line": line}]


def no_map(words: str) -> go.Figure:
    """An empty map that says why there is none."""
    figure = finish(go.Figure(), height=None)
    figure.add_annotation(text=escape(words), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
    return figure.update_xaxes(visible=False).update_yaxes(visible=False)


def density_histogram(density: np.ndarray, kept: np.ndarray | None = None) -> go.Figure:
    """Features per log-spaced bin of density (percent of samples): all of them behind, those of `kept` in front.

    Dead features (density 0) have no place on a log axis; the panel states their number.
    """
    edges = _edges(density)
    centres = (edges[:-1] + edges[1:]) / 2
    width = float(edges[1] - edges[0]) * 0.94
    ranges = [f"{figures(10**a)} to {figures(10**b)} %" for a, b in zip(edges[:-1], edges[1:], strict=True)]
    shown = {"x": centres, "width": width, "customdata": ranges}
    figure = go.Figure(
        [
            go.Bar(
                y=binned(density, edges),
                marker={"color": "rgba(128,140,150,0.35)"},
                hovertemplate="%{y:,} features fire on %{customdata} of samples<extra></extra>",
                **shown,
            ),
            go.Bar(
                y=binned(density, edges, kept),
                marker={"color": ACCENT},
                hovertemplate="%{y:,} of them in the table<extra></extra>",
                **shown,
            ),
        ]
    )
    figure = finish(
        figure, height=150, x_title="density (% of samples)", y_title="features", barmode="overlay", bargap=0
    )
    figure.update_yaxes(tickformat=",d", nticks=4)
    powers = np.arange(np.ceil(edges[0]), np.floor(edges[-1]) + 1)
    powers = powers if len(powers) <= MOST_POWERS else powers[::-1][::2][::-1]  # the numbers would run into each other
    figure.update_xaxes(tickvals=powers, ticktext=[f"{10.0**power:g}" for power in powers], tickangle=0, showgrid=False)
    return figure.update_layout(margin={"l": 4, "r": 4, "t": 4, "b": 4}, hovermode="x", dragmode=False)


def _edges(density: np.ndarray) -> np.ndarray:
    living = density[density > 0]
    low = float(np.floor(np.log10(living.min()))) if len(living) else -2.0
    return np.linspace(low, 2.0, round((2.0 - low) * BINS_PER_DECADE) + 1)


def binned(density: np.ndarray, edges: np.ndarray | None = None, kept: np.ndarray | None = None) -> list[int]:
    """Features per bin of `density_histogram`, those of `kept` only where it is given."""
    edges = _edges(density) if edges is None else edges
    counted = density if kept is None else density[kept]
    return [int(n) for n in np.histogram(np.log10(counted[counted > 0]), bins=edges)[0]]


def _density_bar(low: float, high: float) -> dict[str, object]:
    powers = np.arange(np.ceil(low), np.floor(high) + 1)
    return {
        "orientation": "h",
        "thickness": 7,
        "len": 0.96,
        "x": 0.0,
        "xanchor": "left",
        "y": -0.01,
        "yanchor": "top",
        "outlinewidth": 0,
        "tickvals": powers,
        "ticktext": [f"{10.0**power:g} %" for power in powers],
        "tickfont": {"size": 10},
        "tickangle": 0,
        "ticks": "",
        "title": {"text": "density", "side": "top", "font": {"size": 11}},
    }


def _hover_texts(frame: pd.DataFrame) -> list[str]:
    rows: Sequence[tuple[int, float, str, list[str]]] = list(
        zip(frame["feature_id"], frame["density"], frame["label"], frame["tokens"], strict=True)
    )
    return [_hover_text(*row) for row in rows]


def _hover_text(feature_id: int, density: float, label: str, tokens: list[str]) -> str:
    lines = [f"<b>Feature {count(feature_id)}</b>"]
    if label:
        lines.append(escape(label if len(label) < 60 else label[:57] + "…"))
    if tokens:
        lines.append(escape("  ".join(tokens[:3])))
    lines.append(f"fires on {figures(density)} % of samples" if density > 0 else "never fires")
    return "<br>".join(lines)
