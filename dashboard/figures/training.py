"""Figures of training runs: curves over steps or time, the L0-FVU frontier and feature densities."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.figures.theme import finish

DENSITY_BIN_WIDTH = 0.1
"""Width of a bin of log10 density: ten bins for each power of ten."""


class Line(NamedTuple):
    """One metric of one run, ready to draw: x and y are [n]; the faint raw points, where given, are [m]."""

    name: str
    colour: str
    dash: str  # plotly's name of the line pattern, which tells the sets apart
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    faint_x: NDArray[np.float64] | None = None
    faint_y: NDArray[np.float64] | None = None
    has_markers: bool = False


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
                "mode": "lines+markers" if line.has_markers or len(line.x) == 1 else "lines",  # one point is no line
                "marker": {"size": 6, "symbol": "circle"},
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


def draw_frontier(saes: pd.DataFrame, *, height: int) -> go.Figure:
    """Held-out FVU against held-out L0, one mark per finished SAE.

    `saes` has the columns name, l0, fvu, rows (held-out samples measured, or NaN), features, colour, symbol and
    is_selected; SAEs that are not selected are drawn hollow.
    """
    figure = go.Figure()
    for sae in saes.to_dict("records"):
        rows = "" if pd.isna(sae["rows"]) else f"<br>{int(sae['rows']):,} held-out samples"
        figure.add_scatter(
            x=[sae["l0"]],
            y=[sae["fvu"]],
            mode="markers+text",
            marker={
                "size": 11,
                "color": sae["colour"],
                "symbol": sae["symbol"] if sae["is_selected"] else f"{sae['symbol']}-open",
                "line": {"width": 2, "color": sae["colour"]},
            },
            text=[sae["name"]],
            textposition="top center",
            textfont={"size": 11},
            name=sae["name"],
            cliponaxis=False,
            hovertemplate=(
                f"<b>{sae['name']}</b><br>held-out FVU %{{y:.3~g}}<br>held-out L0 %{{x:.3~g}} features per sample"
                f"<br>{int(sae['features']):,} features{rows}<extra></extra>"
            ),
        )
    finish(
        figure,
        height=height,
        x_title="L0, features that fire per sample (held out)",
        y_title="FVU (held out)",
        hovermode="closest",
    )
    figure.update_yaxes(rangemode="tozero")
    return figure


def draw_densities(densities: Sequence[tuple[str, str, str, NDArray[np.float64]]], *, height: int) -> go.Figure:
    """Outlined histograms of log10 density over the features that fire.

    `densities` holds (name, colour, dash, density [features] in [0, 1]) per SAE; features with density 0 are left
    out, because they have no logarithm.
    """
    logs = [np.log10(density[density > 0]) for _, _, _, density in densities]
    known = np.concatenate(logs or [np.array([])])
    figure = go.Figure()
    if known.size:
        first, last = (np.floor(known.min() / DENSITY_BIN_WIDTH), np.floor(known.max() / DENSITY_BIN_WIDTH) + 1)
        edges = np.arange(first, last + 1) * DENSITY_BIN_WIDTH
        for (name, colour, dash, _), values in zip(densities, logs, strict=True):
            counts, _ = np.histogram(values, edges)
            figure.add_scatter(
                x=edges,
                y=np.append(counts, 0),
                customdata=np.stack([10.0**edges, 10.0 ** (edges + DENSITY_BIN_WIDTH)], axis=1),
                mode="lines",
                line={"shape": "hv", "color": colour, "width": 1.8, "dash": dash},
                name=name,
                hovertemplate=(
                    f"<b>{name}</b><br>%{{y:,}} features<br>density %{{customdata[0]:.3~g}} to"
                    " %{customdata[1]:.3~g}<extra></extra>"
                ),
            )
    finish(figure, height=height, x_title="log₁₀ density (share of samples)", y_title="features", hovermode="closest")
    figure.update_yaxes(rangemode="tozero")
    return figure
