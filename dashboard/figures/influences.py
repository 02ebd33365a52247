"""What a feature does to the model's output tokens, or which input tokens lie nearest to it, as labelled bars."""

from html import escape

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.theme import ACCENT, PROMOTES, SUPPRESSES, finish

MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}
_LONGEST = 16
_ROW = 21


def show_token(token: str, longest: int = _LONGEST) -> str:
    """A token as figure text: whitespace made visible, cut in the middle, safe as Plotly's pseudo-HTML."""
    seen = "".join(_VISIBLE.get(character, character) for character in token)
    if len(seen) > longest:
        seen = f"{seen[: longest - 6]}…{seen[-5:]}"
    return escape(seen, quote=False) or "∅"


def draw_influences(rows: pd.DataFrame, kind: str, k: int = 10) -> go.Figure:
    """Draw the k strongest rows (columns token, value) of either sign; `kind` as in `Store.influences`.

    For "logits" the left half promotes (blue) and the right half suppresses (vermilion) output tokens, on one common
    scale. For nearest input tokens there is one half: cosine similarity, largest first.
    """
    ordered = rows.sort_values("value", ascending=False, kind="stable")
    if kind != "logits":
        figure = go.Figure(_bars(ordered.head(k), ACCENT, "cosine", 1))
        return _frame(figure, [ordered.head(k)], k, "cosine with the input embedding")
    promoted = ordered[ordered["value"] > 0].head(k)
    suppressed = ordered[ordered["value"] < 0].iloc[::-1].head(k)
    figure = go.Figure([_bars(promoted, PROMOTES, "logit", 1), _bars(suppressed, SUPPRESSES, "logit", 2)])
    return _frame(figure, [promoted, suppressed], k, "change of the output logit")


def _bars(rows: pd.DataFrame, colour: str, unit: str, half: int) -> go.Bar:
    tokens = [show_token(token, 60) for token in rows["token"]]
    return go.Bar(
        x=rows["value"].abs(),
        y=list(range(len(rows))),
        orientation="h",
        customdata=list(zip(tokens, rows["value"].astype(float), strict=True)),
        text=[f"{value:+.3g}".replace("-", "−") for value in rows["value"]],
        textposition="outside",
        textfont={"size": 11},
        hovertemplate=f"<b>%{{customdata[0]}}</b><br>{unit} %{{customdata[1]:+.3f}}<extra></extra>",
        marker={"color": colour, "line": {"width": 0}},
        width=0.66,
        cliponaxis=False,
        xaxis=f"x{'' if half == 1 else half}",
        yaxis=f"y{'' if half == 1 else half}",
    )


def _frame(figure: go.Figure, halves: list[pd.DataFrame], k: int, unit: str) -> go.Figure:
    finish(figure, height=_ROW * k + 14, margin={"l": 4, "r": 4, "t": 4, "b": 10})
    largest = max((float(half["value"].abs().max()) for half in halves if len(half)), default=1.0) or 1.0
    width = 1 / len(halves)
    for position, rows in enumerate(halves):
        end = "" if position == 0 else str(position + 1)
        left = position * width + (0.19 if len(halves) == 2 else 0.14)
        right = (position + 1) * width - (0.03 if position + 1 < len(halves) else 0)
        figure.layout[f"xaxis{end}"].update(
            domain=[left, right], range=[0, largest * 1.28], visible=False, fixedrange=True, title={"text": unit}
        )
        figure.layout[f"yaxis{end}"].update(
            range=[k - 0.5, -0.5],
            anchor=f"x{end}",
            tickvals=list(range(len(rows))),
            ticktext=[show_token(token) for token in rows["token"]],
            tickfont={"family": MONO, "size": 12},
            showgrid=False,
            ticks="",
            automargin=False,
            fixedrange=True,
        )
    return figure
