"""Where the names of marks go in a figure, so that no name lies on another one; a name without room is left to hovering."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LETTER, LINE = 6.4, 13.0  # pixels of a letter and of a line at 11 px
GAP = 9.0  # from the middle of a mark to its name
PLACES = {"middle right": (1, 0), "middle left": (-1, 0), "top center": (0, -1), "bottom center": (0, 1)}

Box = tuple[float, float, float, float]  # left, right, top, bottom, in pixels; y grows downwards


def place_names(x: NDArray[np.float64], y: NDArray[np.float64], names: Sequence[str], width: float) -> list[str | None]:
    """plotly's `textposition` for every mark at `x`, `y` in pixels of a plot of that width, or None for no name.

    Names of marks that come first are placed first, each where it covers neither a name nor another mark.
    """
    marks = [(px - 6, px + 6, py - 6, py + 6) for px, py in zip(x, y, strict=True)]
    taken: list[Box] = []
    places: list[str | None] = []
    for number, name in enumerate(names):
        others = taken + [mark for i, mark in enumerate(marks) if i != number]
        found = None
        for place in PLACES:
            box = _box(float(x[number]), float(y[number]), len(name), place)
            if box[0] >= 0 and box[1] <= width and not any(_overlap(box, other) for other in others):
                found = place
                taken.append(box)
                break
        places.append(found)
    return places


def _box(x: float, y: float, letters: int, place: str) -> Box:
    across, down = PLACES[place]
    half, middle = letters * LETTER / 2, y + down * (GAP + LINE / 2)
    centre = x + across * (GAP + half)
    return centre - half, centre + half, middle - LINE / 2, middle + LINE / 2


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
