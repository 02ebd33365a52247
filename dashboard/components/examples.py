"""Examples as sparse JSON for `assets/tokens.js`, which draws the token heat; one component however long the texts."""

from collections.abc import Iterable
from typing import Any, Protocol

from dashboard.components.numbers import count, figures, plural


class ExampleLike(Protocol):
    """What is drawn of `loaders.examples.Example`."""

    context: int
    position: int
    value: float
    pieces: list[str]
    active: list[int]
    values: list[float]
    metadata: dict[str, Any]


class ExamplesLike(Protocol):
    """What is drawn of `loaders.examples.Examples`."""

    items: list[Any]
    population: int
    low: float
    high: float
    sampled: bool


def examples_data(items: Iterable[ExampleLike], ceiling: float, empty: str = "") -> dict[str, Any]:
    """Tokens, active positions and values of each example; `ceiling` is the feature's maximum, at which heat is full."""
    return {
        "max": float(ceiling),
        "empty": empty,
        "items": [
            {
                "context": item.context,
                "position": item.position,
                "value": item.value,
                "pieces": item.pieces,
                "active": item.active,
                "values": [round(value, 5) for value in item.values],
                "metadata": [[str(key), str(value)] for key, value in item.metadata.items() if value not in (None, "")],
            }
            for item in items
        ],
    }


def strongest_note(examples: ExamplesLike) -> str:
    """What the strongest examples were chosen from."""
    return f"exact: {len(examples.items)} of {plural(examples.population, 'context')} where it fires, strongest first"


def band_note(examples: ExamplesLike, quantiles: tuple[float, float] | None, firing: int) -> str:
    """The value range, population and draw of a band of examples, in words."""
    if not examples.items:
        return "no firing samples"
    values = f"activation {figures(examples.low)} to {figures(examples.high)}"
    if quantiles is None:
        return f"{values} · {strongest_note(examples)}"
    low, high = (f"{100 * q:g}" for q in quantiles)
    drawn = f"{len(examples.items)} of {count(examples.population)}"
    how = f"sampled {drawn}" if examples.sampled else f"all {count(examples.population)}"
    return f"{values} · quantiles {low} to {high} % of {plural(firing, 'firing sample')} · {how}"
