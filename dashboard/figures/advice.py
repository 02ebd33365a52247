"""The scores of hook points in the model's order, and the parts that they are made of."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from dashboard.figures.frame import build_figure
from dashboard.figures.theme import ACCENT, OKABE_ITO

PARTS = {
    "spread": ("spread", OKABE_ITO[0], "circle"),
    "beyond_token": ("beyond token", OKABE_ITO[5], "diamond"),
    "beyond_context": ("beyond context", OKABE_ITO[2], "square"),
    "new": ("new", OKABE_ITO[3], "triangle-up"),
}
"""Name, colour and mark of the score's parts."""
MOST_TICKS = 16


class Score(NamedTuple):
    """One hook point: `parts` by the names of PARTS, None where not measured; all values lie in [0, 1]."""

    hook: str
    score: float
    rank: int
    parts: dict[str, float | None]


def draw_scores(scores: Sequence[Score], *, height: int) -> go.Figure:
    """Bars of the score, the best one filled, under a line for each part."""
    names, stem = short_names([found.hook for found in scores])
    places = list(range(len(scores)))
    bars: dict[str, Any] = {
        "type": "bar",
        "name": "score",
        "x": places,
        "y": [found.score for found in scores],
        "customdata": [[found.hook, found.rank] for found in scores],
        "hovertemplate": "<b>%{customdata[0]}</b><br>score %{y:.3f}, rank %{customdata[1]}<extra></extra>",
        "marker": {"color": ACCENT, "opacity": [0.9 if found.rank == 1 else 0.4 for found in scores]},
        "width": 0.7,
    }
    lines = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": words,
            "x": places,
            "y": [found.parts.get(part) for found in scores],
            "line": {"color": colour, "width": 1.5},
            "marker": {"symbol": mark, "size": 7},
            "customdata": [found.hook for found in scores],
            "hovertemplate": f"<b>%{{customdata}}</b><br>{words} %{{y:.3f}}<extra></extra>",
        }
        for part, (words, colour, mark) in PARTS.items()
    ]
    step = -(-len(scores) // MOST_TICKS)
    return build_figure(
        [bars, *lines],
        height=height,
        showlegend=True,
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "entrywidth": 0.48,
            "entrywidthmode": "fraction",
            "font": {"size": 11},
        },
        xaxis={
            "title": f"hook point ({stem}…)" if stem else "hook point",
            "tickvals": places[::step],
            "ticktext": names[::step],
            "showgrid": False,
        },
        yaxis={"title": "score and its parts (0 to 1)", "range": [0, 1.03], "dtick": 0.25},
    )


def short_names(hooks: Sequence[str]) -> tuple[list[str], str]:
    """What tells hook points apart, and the stem that they share up to its last dot: ["0", "1"], "encoder.layer."."""
    if len(hooks) < 2:
        return list(hooks), ""
    parts = [hook.split(".") for hook in hooks]
    shared = 0
    while len({tuple(each[: shared + 1]) for each in parts}) == 1 and all(len(each) > shared + 1 for each in parts):
        shared += 1
    return [".".join(each[shared:]) for each in parts], "".join(f"{part}." for part in parts[0][:shared])
