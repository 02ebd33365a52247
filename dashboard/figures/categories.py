"""Firing rate by category of a metadata column, with Wilson 95 % intervals and the overall rate to compare with."""

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.influences import show_token
from dashboard.figures.theme import ACCENT, finish

MOST = 14
_ROW = 22
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
    names = [show_token(str(category), 60).replace("␣", " ") for category in shown["category"]]
    counted = [f"{n:,} / {samples:,}" for n, samples in zip(shown["n"], shown["samples"], strict=True)]
    bars = go.Bar(
        x=shown["rate"],
        y=list(range(len(shown))),
        orientation="h",
        width=0.6,
        marker={"color": ACCENT, "line": {"width": 0}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": shown["rate_high"] - shown["rate"],
            "arrayminus": shown["rate"] - shown["rate_low"],
            "thickness": 1.2,
            "width": 3,
            "color": "#808080",
        },
        customdata=list(
            zip(
                names, shown["n"], shown["samples"], shown["rate_low"], shown["rate_high"], shown["mean_all"], strict=True
            )
        ),
        hovertemplate=_HOVER,
    )
    figure = finish(go.Figure(bars), height=_ROW * limit + 52, x_title="share of samples on which the feature fires")
    widest = float(max(shown["rate_high"].max() if len(shown) else 0, overall)) or 1e-6
    figure.update_xaxes(range=[0, widest * 1.04], tickformat=".3~%", domain=[0, 0.84], rangemode="tozero", nticks=6)
    figure.update_yaxes(
        range=[limit - 0.5, -0.5],
        tickvals=list(range(len(shown))),
        ticktext=[show_token(str(category), 26).replace("␣", " ") for category in shown["category"]],
        showgrid=False,
        ticks="",
    )
    figure.add_shape(
        type="line", x0=overall, x1=overall, y0=0, y1=1, yref="paper", line={"width": 1, "dash": "dot", "color": "#808080"}
    )
    for row, words in enumerate(counted):
        figure.add_annotation(
            x=1, xref="paper", xanchor="right", y=row, text=words, showarrow=False, font={"size": 11}
        )
    return figure
