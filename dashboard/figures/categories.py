"""Firing rate by category of a metadata column, with Wilson 95 % intervals and the overall rate to compare with."""

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.frame import DOTTED, build_figure
from dashboard.figures.theme import ACCENT
from dashboard.figures.tokens import show_name

MOST = 14
_ROW = 22
_DIGIT = 6
"""Pixels that a character of the counts beside the bars takes."""
_HOVER = (
    "<b>%{customdata[0]}</b><br>fires on %{customdata[1]:,} of %{customdata[2]:,} samples: %{x:.3~%}<br>"
    "95 % interval %{customdata[3]:.3~%} to %{customdata[4]:.3~%}<br>"
    "mean over all its samples %{customdata[5]:.3~g}<extra></extra>"
)


def strongest_categories(rows: pd.DataFrame, limit: int) -> pd.DataFrame:
    """The `limit` categories with the highest lower end of the interval: a high rate on few samples ranks low."""
    return rows.sort_values(["rate_low", "n", "samples"], ascending=False, kind="stable").head(limit)


def draw_categories(rows: pd.DataFrame, overall: float, limit: int = MOST) -> go.Figure:
    """Draw `Store.breakdown` rows (category, samples, n, rate, rate_low, rate_high, mean_all), one bar each.

    Categories in which the feature never fires keep their (empty) bar and interval. `overall` is the feature's density.
    """
    shown = strongest_categories(rows, limit)
    drawn = max(4, len(shown))  # a figure of two bars still needs room for its axis
    names = [str(category) for category in shown["category"]]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": shown["rate"].to_numpy(),
        "y": list(range(len(shown))),
        "width": 0.6,
        "marker": {"color": ACCENT, "line": {"width": 0}},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": (shown["rate_high"] - shown["rate"]).to_numpy(),
            "arrayminus": (shown["rate"] - shown["rate_low"]).to_numpy(),
            "thickness": 1.2,
            "width": 3,
            "color": "#808080",
        },
        "customdata": [
            [show_name(name, 60), row.n, row.samples, row.rate_low, row.rate_high, row.mean_all]
            for name, row in zip(names, shown.itertuples(), strict=True)
        ],
        "hovertemplate": _HOVER,
    }
    widest = max(float(shown["rate_high"].max()) if len(shown) else 0.0, overall) or 1e-6
    counts = [f"{n:,} / {samples:,}" for n, samples in zip(shown["n"], shown["samples"], strict=True)]
    beside = {"x": 1, "xref": "paper", "xanchor": "left", "xshift": 6, "showarrow": False, "font": {"size": 11}}
    return build_figure(
        [bars],
        height=_ROW * drawn + 52,
        margin={"l": 8, "t": 8, "b": 8, "r": 14 + _DIGIT * max(map(len, counts), default=0)},
        xaxis={
            "title": "share of samples on which the feature fires",
            "range": [0, widest * 1.04],
            "tickformat": ".3~%",
            "nticks": 4,
            "tickfont": {"size": 11},
        },
        yaxis={
            "range": [drawn - 0.5, -0.5],
            "tickvals": list(range(len(shown))),
            "ticktext": [show_name(name, 26) for name in names],
            "ticklabelstandoff": 5,
            "showgrid": False,
            "ticks": "",
        },
        shapes=[{"type": "line", "x0": overall, "x1": overall, "y0": 0, "y1": 1, "yref": "paper", "line": DOTTED}],
        annotations=[{**beside, "y": row, "text": text} for row, text in enumerate(counts)],
    )
