"""What all figures share: transparent backgrounds, Okabe-Ito colours, only the download button.

Text, grid and hover colours come from `assets/`, so a figure follows the theme without a server trip.
"""

from typing import Any

import plotly.graph_objects as go

# Okabe & Ito (2008), in the order in which layers and runs take them; the yellow is left out (unreadable on white).
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F")
PROMOTES, SUPPRESSES = "#0072B2", "#D55E00"  # signed values: blue promotes, vermilion suppresses
ACTIVATION = "#E69F00"  # the one amber of every activation
ACCENT = "#0F7C8A"
FATES = {"persist": "#0072B2", "split": "#56B4E9", "merge": "#CC79A7", "birth": "#009E73", "death": "#D55E00"}
# Single-hue ramp for densities, readable on light and on dark panels (no near-white and no near-black end).
RAMP = ((0.0, "#5B4B8A"), (0.35, "#2C7FB8"), (0.7, "#35B0A0"), (1.0, "#E9A23B"))

CONFIG: dict[str, Any] = {  # of dcc.Graph
    "displaylogo": False,
    "modeBarButtons": [["toImage"]],
    "displayModeBar": "hover",
    "responsive": True,
    "toImageButtonOptions": {"format": "svg"},
}

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_GREY = "rgba(128,128,128,0.25)"
_AXIS: dict[str, Any] = {
    "showgrid": True,
    "gridcolor": _GREY,
    "gridwidth": 1,
    "zeroline": False,
    "showline": False,
    "ticks": "outside",
    "ticklen": 3,
    "tickcolor": _GREY,
    "automargin": True,
    "title": {"standoff": 6, "font": {"size": 12}},
}


def colour(position: int) -> str:
    """The colour of the layer or run at a position of its (stable) order."""
    return OKABE_ITO[position % len(OKABE_ITO)]


def _axis(title: str) -> dict[str, Any]:
    return {**_AXIS, "title": {**_AXIS["title"], "text": title}} if title else _AXIS


def finish(figure: go.Figure, *, height: int | None, x_title: str = "", y_title: str = "", **layout: Any) -> go.Figure:
    """Give a figure the shared look; `height` in pixels (None: the container's), axis titles with their units."""
    figure.update_layout(  # one update: each costs milliseconds
        {
            "height": height,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 12},
            "template": "none",
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "showlegend": False,
            "hoverlabel": {"align": "left", "font": {"family": FONT, "size": 12}},
            "modebar": {"orientation": "v"},
            "colorway": list(OKABE_ITO),
            "xaxis": _axis(x_title),
            "yaxis": _axis(y_title),
        }
    )
    if layout:
        figure.update_layout(**layout)
    return figure
