"""Figures that compare trained SAEs: the L0-FVU frontier and the densities of their features."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.figures.name_places import place_names
from dashboard.figures.theme import finish

BIN_WIDTH = 0.1
"""Width of a bin of log10 density: ten bins for each power of ten."""
SYMBOLS = {
    "topk": "circle",
    "batch_topk": "square",
    "matryoshka": "diamond",
    "jumprelu": "triangle-up",
    "gated": "cross",
    "standard": "x",
}
"""The mark of each architecture; any other one takes the star."""
OTHER_SYMBOL = "star"
MOST_NAMED = 12
"""So many marks carry their name; of more, hovering tells it."""
LOG_FROM = 10.0
"""An axis of the frontier is logarithmic once its largest value is so many times its smallest."""
ROOM = 0.08
"""Share of an axis that stays free beyond its last mark."""
PLOT_WIDTH, PLOT_MARGINS = 540.0, 90
"""Pixels: about the width of the frontier's plot, and what of its height axes and legend take."""


def is_best(l0: NDArray[np.float64], fvu: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which SAEs [n] are Pareto-optimal: no other one has both an L0 and an FVU at most as high and one of them lower."""
    order = np.lexsort((fvu, l0))
    best, found = np.inf, np.zeros(len(l0), bool)
    for place in order:
        found[place] = fvu[place] < best
        best = min(best, fvu[place])
    equal = (l0[:, None] == l0[found]) & (fvu[:, None] == fvu[found])
    return found | equal.any(axis=1)


def draw_frontier(saes: pd.DataFrame, *, height: int) -> go.Figure:
    """Held-out FVU against held-out L0, one mark per finished SAE; a line through the Pareto-optimal ones of each group.

    `saes` has the columns name, architecture, group (what was reconstructed; only SAEs of one group are comparable), l0,
    fvu, rows (held-out samples measured, or NaN), features, colour and is_selected; SAEs that are not selected are
    drawn hollow.
    """
    traces = [_frontier_line(group) for _, group in saes.groupby("group", sort=True)]
    x_axis, y_axis = _axis(saes["l0"].to_numpy(float)), _axis(saes["fvu"].to_numpy(float))
    named = _name_places(saes, x_axis, y_axis, height)
    traces += [_mark(sae, place) for sae, place in zip(saes.to_dict("records"), named, strict=True)]
    for architecture in sorted(saes["architecture"].unique()):  # the legend alone, in grey: colours are layers
        traces.append(
            {
                "type": "scatter",
                "x": [None],
                "y": [None],
                "mode": "markers",
                "marker": {"size": 9, "symbol": SYMBOLS.get(architecture, OTHER_SYMBOL), "color": "#7F7F7F"},
                "name": architecture,
                "showlegend": True,
                "hoverinfo": "skip",
            }
        )
    figure = finish(
        go.Figure([trace for trace in traces if trace]),
        height=height,
        x_title="L0, features that fire per sample (held out)",
        y_title="FVU (held out)",
        hovermode="closest",
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False},
    )
    figure.update_xaxes(**_log_or_linear(x_axis))
    figure.update_yaxes(**_log_or_linear(y_axis))
    return figure


class _Scale(NamedTuple):
    """An axis: whether it is logarithmic, and its ends (log10 of them on a logarithmic one)."""

    is_log: bool
    low: float
    high: float

    def along(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where values lie, as shares of the axis."""
        placed = np.log10(values) if self.is_log else values
        return (placed - self.low) / (self.high - self.low)


def _axis(values: NDArray[np.float64]) -> _Scale:
    """Logarithmic where the values span so much that the small ones would lie on each other; with room at both ends."""
    if not values.size:
        return _Scale(False, 0.0, 1.0)
    is_log = bool(values.min() > 0 and values.max() / values.min() >= LOG_FROM)
    low, high = (np.log10(values.min()), np.log10(values.max())) if is_log else (0.0, values.max() or 1.0)
    room = ROOM * (high - low)
    return _Scale(is_log, float(low - room if is_log else 0.0), float(high + room))


def _log_or_linear(axis: _Scale) -> dict[str, Any]:
    kind: dict[str, Any] = {"type": "log", "dtick": "D2", "tickformat": "~g"} if axis.is_log else {"type": "linear"}
    return {**kind, "range": [axis.low, axis.high]}


def _name_places(saes: pd.DataFrame, x_axis: _Scale, y_axis: _Scale, height: int) -> list[str | None]:
    """Where the name of each SAE goes; of many SAEs none is written."""
    if len(saes) > MOST_NAMED:
        return [None] * len(saes)
    x = x_axis.along(saes["l0"].to_numpy(float)) * PLOT_WIDTH
    y = (1 - y_axis.along(saes["fvu"].to_numpy(float))) * (height - PLOT_MARGINS)
    return place_names(x, y, list(saes["name"]), PLOT_WIDTH)


def _frontier_line(group: pd.DataFrame) -> dict[str, Any] | None:
    best = group[is_best(group["l0"].to_numpy(float), group["fvu"].to_numpy(float))].sort_values(["l0", "name"])
    if len(best) < 2:
        return None
    return {
        "type": "scatter",
        "x": best["l0"],
        "y": best["fvu"],
        "mode": "lines",
        "line": {"color": "#7F7F7F", "width": 1.4, "dash": "dot"},
        "name": f"Pareto-optimal: {', '.join(best['name'])}",
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _mark(sae: dict[Any, Any], name_place: str | None) -> dict[str, Any]:
    rows = "" if pd.isna(sae["rows"]) else f"<br>{int(sae['rows']):,} held-out samples"
    symbol = SYMBOLS.get(sae["architecture"], OTHER_SYMBOL)
    return {
        "type": "scatter",
        "x": [sae["l0"]],
        "y": [sae["fvu"]],
        "mode": "markers" if name_place is None else "markers+text",
        "marker": {
            "size": 11,
            "color": sae["colour"],
            "symbol": symbol if sae["is_selected"] else f"{symbol}-open",
            "line": {"width": 2, "color": sae["colour"]},
        },
        "text": [f"\u2002{sae['name']}\u2002"],  # a little air between a mark and its name
        "textposition": name_place or "top center",
        "textfont": {"size": 11},
        "name": sae["name"],
        "showlegend": False,
        "cliponaxis": False,
        "hovertemplate": (
            f"<b>{sae['name']}</b> · {sae['architecture']}<br>held-out FVU %{{y:.3~g}}<br>held-out L0 %{{x:.3~g}} features"
            f" per sample<br>{int(sae['features']):,} features{rows}<br>{sae['group']}<extra></extra>"
        ),
    }


def density_edges(densities: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Bin edges of log10 density that hold every density above 0: [bins + 1]; empty where there is none."""
    known = np.concatenate([np.log10(density[density > 0]) for density in densities] or [np.array([])])
    if not known.size:
        return np.array([])
    first, last = np.floor(known.min() / BIN_WIDTH), np.floor(known.max() / BIN_WIDTH) + 1
    return np.arange(first, last + 1) * BIN_WIDTH


def outline(density: NDArray[Any], edges: NDArray[np.float64], name: str, line: dict[str, Any]) -> dict[str, Any]:
    """The outlined histogram of log10 density over the features that fire, as a trace."""
    counts, _ = np.histogram(np.log10(density[density > 0]), edges)
    return {
        "type": "scatter",
        "x": edges,
        "y": np.append(counts, 0),
        "customdata": np.stack([10.0**edges, 10.0 ** (edges + BIN_WIDTH)], axis=1),
        "mode": "lines",
        "line": {"shape": "hv", "width": 1.8, **line},
        "name": name,
        "hovertemplate": (
            f"<b>{name}</b><br>%{{y:,}} features<br>density %{{customdata[0]:.3~g}} to"
            " %{customdata[1]:.3~g}<extra></extra>"
        ),
    }


def draw_densities(densities: Sequence[tuple[str, str, str, NDArray[np.float64]]], *, height: int) -> go.Figure:
    """Outlined histograms of log10 density over the features that fire.

    `densities` holds (name, colour, dash, density [features] in [0, 1]) per SAE; features with density 0 are left
    out, because they have no logarithm.
    """
    edges = density_edges([density for _, _, _, density in densities])
    traces = [
        outline(density, edges, name, {"color": colour, "dash": dash})
        for name, colour, dash, density in densities
        if edges.size
    ]
    return _finish_density(traces, height, "samples")


def _finish_density(traces: list[dict[str, Any]], height: int, noun: str) -> go.Figure:
    figure = finish(
        go.Figure(traces),
        height=height,
        x_title=f"log₁₀ density (share of {noun})",
        y_title="features",
        hovermode="closest",
    )
    figure.update_yaxes(rangemode="tozero")
    return figure


def draw_snapshot_densities(
    now: NDArray[Any], final: NDArray[Any], colour: str, words: tuple[str, str], rows: int, *, height: int
) -> go.Figure:
    """Densities [features] at one step, those at the last one faintly behind; `words` names both, `rows` were coded."""
    edges = density_edges([now, final])
    traces = []
    if edges.size:
        faint = {**outline(final, edges, words[1], {"color": "#7F7F7F", "width": 1.2}), "fill": "tozeroy"}
        traces = [
            {**faint, "fillcolor": "rgba(128,128,128,0.16)", "opacity": 0.8},
            outline(now, edges, words[0], {"color": colour}),
        ]
    return _finish_density(traces, height, f"{rows:,} held-out rows")
