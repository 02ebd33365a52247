"""What a feature does to the model's output tokens, or which input tokens lie nearest to it, as labelled bars."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.frame import build_figure
from dashboard.figures.theme import ACCENT, PROMOTES, SUPPRESSES
from dashboard.figures.tokens import MONO, show_token

_ROW = 21
_LONGEST = 12  # characters of a token that fit beside its bar; the hover text has all of them


def draw_influences(rows: pd.DataFrame, kind: str, k: int = 10) -> go.Figure:
    """Draw the k strongest rows (columns token, value) of either sign; `kind` as in `Store.influences`.

    For "logits" the left half promotes (blue) and the right half suppresses (vermilion) output tokens, on one common
    scale. For nearest input tokens there is one half: cosine similarity, largest first.
    """
    ordered = rows.sort_values("value", ascending=False, kind="stable")
    if kind != "logits":
        return _draw([ordered.head(k)], [ACCENT], ["cosine with the decoder row"], [], k)
    promoted = ordered[ordered["value"] > 0].head(k)
    suppressed = ordered[ordered["value"] < 0].iloc[::-1].head(k)
    hovers = ["promotes: logit", "suppresses: logit"]
    return _draw([promoted, suppressed], [PROMOTES, SUPPRESSES], hovers, ["promotes", "suppresses"], k)


def _draw(halves: list[pd.DataFrame], colours: list[str], hovers: list[str], heads: list[str], k: int) -> go.Figure:
    largest = max((float(half["value"].abs().max()) for half in halves if len(half)), default=1.0) or 1.0
    first = -1.5 if heads else -0.5
    layout: dict[str, Any] = {}
    traces, words = [], []
    for position, rows in enumerate(halves):
        end = "" if position == 0 else str(position + 1)
        left = position / len(halves) + 0.2
        right = (position + 1) / len(halves) - (0.03 if position + 1 < len(halves) else 0)
        layout[f"xaxis{end}"] = {
            "domain": [left, right],
            "range": [0, largest * 1.28],
            "anchor": f"y{end}",
            "visible": False,
            "fixedrange": True,
        }
        layout[f"yaxis{end}"] = {
            "range": [k - 0.5, first],
            "anchor": f"x{end}",
            "tickvals": list(range(len(rows))),
            "ticktext": [show_token(token, _LONGEST) for token in rows["token"]],
            "tickfont": {"family": MONO, "size": 12},
            "ticklabelstandoff": 5,
            "showgrid": False,
            "ticks": "",
            "automargin": False,
            "fixedrange": True,
        }
        traces.append(_bars(rows, colours[position], hovers[position], end))
        if heads:
            place = {"x": left, "y": -1, "xref": "paper", "yref": f"y{end}", "xanchor": "left", "showarrow": False}
            words.append({**place, "text": heads[position], "font": {"size": 11}})
    height = _ROW * (k + bool(heads)) + 14
    return build_figure(traces, height=height, annotations=words, margin={"l": 4, "r": 4, "t": 4, "b": 10}, **layout)


def _bars(rows: pd.DataFrame, colour: str, hover: str, end: str) -> dict[str, Any]:
    sign = "" if colour == ACCENT else "+"
    values = [float(value) for value in rows["value"]]
    return {
        "type": "bar",
        "orientation": "h",
        "x": [abs(value) for value in values],
        "y": list(range(len(values))),
        "customdata": [[show_token(token, 60), value] for token, value in zip(rows["token"], values, strict=True)],
        "text": [f"{value:{sign}#.3g}".rstrip(".").replace("-", "−") for value in values],
        "textposition": "outside",
        "textfont": {"size": 11},
        "hovertemplate": f"<b>%{{customdata[0]}}</b><br>{hover} %{{customdata[1]:{sign}.3f}}<extra></extra>",
        "marker": {"color": colour, "line": {"width": 0}},
        "width": 0.66,
        "cliponaxis": False,
        "xaxis": f"x{end}",
        "yaxis": f"y{end}",
    }
