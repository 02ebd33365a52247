"""Figures of features matched across layers: the flow of fates, and real matches against the permutation null."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.figures.theme import FATES, finish

FADED, PLAIN, CHOSEN = 0.16, 0.38, 0.62  # opacity of a band: another one is chosen, none is, this one is
GAP = 0.035  # between the nodes of a column, as a share of the figure's height
TOP, BOTTOM = 8, 8  # margins in pixels
ORDER = ("persist", "split", "merge", "death", "birth")  # top to bottom
NULL_POINTS = 200


class Layer(NamedTuple):
    """A member of a set: its name, its colour on every page, and how many of its features fire."""

    name: str
    colour: str
    living: int


class Step(NamedTuple):
    """The fates between two layers, which are named by their positions in the set.

    `sources` counts features of the earlier layer (persist, split, merge, death), `targets` of the later one
    (persist, split, merge, birth).
    """

    earlier: int
    later: int
    sources: dict[str, int]
    targets: dict[str, int]


class Bands(NamedTuple):
    """The nodes and bands of a Sankey diagram, in drawing order."""

    names: list[str]
    colours: list[str]
    x: list[float]
    y: list[float]
    node_texts: list[str]
    node_keys: list[str]  # "0-1/split" of a fate, "" of a layer
    sources: list[int]
    targets: list[int]
    values: list[int]
    keys: list[str]
    texts: list[str]


def draw_flow(
    layers: Sequence[Layer], steps: Sequence[Step], *, chosen: str | None = None, height: int = 380
) -> go.Figure:
    """Sankey diagram of fates between consecutive layers.

    A fate is a node between two layers. The band on its left counts features of the earlier layer, the band on its
    right features of the later one, so a split grows and a merge shrinks. `chosen` is the key ("0-1/split") whose
    bands stand out; `clicked_key` reads the key of what was clicked.
    """
    bands = arrange(layers, steps)
    fates = [key.partition("/")[2] for key in bands.keys]
    strengths = [PLAIN if chosen is None else CHOSEN if key == chosen else FADED for key in bands.keys]
    figure = go.Figure(
        go.Sankey(
            arrangement="fixed",
            node={
                "label": bands.names,
                "color": bands.colours,
                "x": bands.x,
                "y": bands.y,
                "customdata": bands.node_texts,
                "hovertemplate": "%{customdata}<extra></extra>",
                "thickness": 14,
                "pad": GAP * (height - TOP - BOTTOM),  # plotly scales every column by the same rule as `arrange`
                "line": {"width": 0},
            },
            link={
                "source": bands.sources,
                "target": bands.targets,
                "value": bands.values,
                "color": [_rgba(FATES[fate], strength) for fate, strength in zip(fates, strengths, strict=True)],
                "label": bands.texts,
                "customdata": bands.keys,
                "hovertemplate": "%{label}<extra></extra>",
                "line": {"width": 0},
            },
        )
    )
    return finish(figure, height=height, margin={"l": 2, "r": 2, "t": TOP, "b": BOTTOM})


def arrange(layers: Sequence[Layer], steps: Sequence[Step]) -> Bands:
    """Place the layers and, half-way between two of them, their fates; every column is aligned at its top."""
    bands = Bands([], [], [], [], [], [], [], [], [], [], [])
    shown = sorted({position for step in steps for position in (step.earlier, step.later)})
    columns = [[_height(step, fate) for fate in ORDER if _height(step, fate)] for step in steps]
    columns += [[layers[position].living] for position in shown]
    scale: float = min(((1 - GAP * (len(sizes) - 1)) / max(sum(sizes), 1) for sizes in columns if sizes), default=1.0)
    for place, position in enumerate(shown):
        layer = layers[position]
        text = f"<b>{layer.name}</b><br>{layer.living:,} features that fire"
        x = place / max(1, len(shown) - 1)
        _add_node(bands, layer.name, layer.colour, x, layer.living * scale / 2, text, "")
    for step in steps:
        earlier, later = shown.index(step.earlier), shown.index(step.later)
        top = 0.0
        for fate in ORDER:
            size = _height(step, fate) * scale
            if not size:
                continue
            key = f"{step.earlier}-{step.later}/{fate}"
            x = (earlier + later) / 2 / max(1, len(shown) - 1)
            text = _fate_text(layers, step, fate)
            node = _add_node(bands, fate, FATES[fate], x, top + size / 2, text, key)
            for source, target, value in (
                (earlier, node, step.sources.get(fate, 0)),
                (node, later, step.targets.get(fate, 0)),
            ):
                if value:
                    bands.sources.append(source)
                    bands.targets.append(target)
                    bands.values.append(value)
                    bands.keys.append(key)
                    bands.texts.append(text)
            top += size + GAP
    return bands


def clicked_key(point: dict[str, Any], bands: Bands) -> str:
    """Key of the band or fate in a point of plotly's click data, "" for a layer. Lists do not come back in such data."""
    if "dx" in point:  # a node; bands have a width instead
        return bands.node_keys[point["pointNumber"]]
    return bands.keys[point["pointNumber"]]


def _height(step: Step, fate: str) -> int:
    return max(step.sources.get(fate, 0), step.targets.get(fate, 0))


def _add_node(bands: Bands, name: str, colour: str, x: float, y: float, text: str, key: str) -> int:
    bands.names.append(name)
    bands.colours.append(colour)
    bands.x.append(min(max(x, 0.001), 0.999))  # plotly takes 0 for "not given"
    bands.y.append(min(max(y, 0.001), 0.999))
    bands.node_texts.append(text)
    bands.node_keys.append(key)
    return len(bands.names) - 1


def _fate_text(layers: Sequence[Layer], step: Step, fate: str) -> str:
    """What a band counts, of which side."""
    lines = [f"<b>{fate}</b>"]
    for layer, counts in ((layers[step.earlier], step.sources), (layers[step.later], step.targets)):
        if counts.get(fate):
            share = f"{100 * counts[fate] / layer.living:.3g} %" if layer.living else "–"
            lines.append(f"{counts[fate]:,} features of {layer.name} ({share} of those that fire)")
    return "<br>".join([*lines, "Click to list them"])


def _rgba(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def draw_null(
    real: NDArray[np.float32], null: NDArray[np.float32], threshold: float, colour: str, *, height: int = 210
) -> go.Figure:
    """Share of features whose best match exceeds a Pearson value: real matches [n] against the permuted ones [draws].

    The vertical line marks the threshold above which a match counts as a link.
    """
    last = float(max(real.max(initial=0.0), null.max(initial=0.0), threshold))
    x = np.linspace(0.0, last, NULL_POINTS)
    figure = go.Figure()
    for name, values, style in (
        ("permuted", null, {"color": "#7F7F7F", "width": 1.8, "dash": "dot"}),
        ("real", real, {"color": colour, "width": 2}),
    ):
        figure.add_scatter(
            x=x,
            y=share_above(values, x),
            mode="lines",
            line=style,
            fill="tozeroy" if name == "permuted" else None,
            fillcolor="rgba(127,127,127,0.18)" if name == "permuted" else None,
            name=name,
            hovertemplate=f"<b>{name}</b><br>%{{y:.3p}} of features have a<br>best Pearson above %{{x:.3f}}<extra></extra>",
        )
    finish(figure, height=height, x_title="Pearson with the best partner", y_title="share of features above")
    figure.add_vline(x=threshold, line={"color": FATES["death"], "width": 1.5, "dash": "dash"})
    figure.add_annotation(
        x=threshold,
        y=1,
        yref="paper",
        text=f"threshold {threshold:.3g}",
        showarrow=False,
        xanchor="left",
        yanchor="top",
        xshift=5,
    )
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    figure.update_xaxes(range=[0, last * 1.01])
    return figure


def share_above(values: NDArray[np.float32], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of `values` [n] that are larger than each of `x` [m]; 0 where there are no values."""
    if not values.size:
        return np.zeros(len(x))
    return 1.0 - np.searchsorted(np.sort(values), x, side="right") / values.size
