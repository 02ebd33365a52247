"""Names of marks that keep out of each other's way."""

import numpy as np

from dashboard.figures.name_places import PLACES, _box, _overlap, place_names


def test_a_mark_alone_has_its_name_on_its_right_and_at_the_right_edge_on_its_left() -> None:
    assert place_names(np.array([100.0, 395.0]), np.array([50.0, 90.0]), ["grammar-l0", "minilm-l5"], 400) == [
        "middle right",
        "middle left",
    ]


def test_of_close_marks_the_names_go_to_different_sides_until_there_is_no_room() -> None:
    y = np.array([50.0, 54.0, 58.0, 62.0, 66.0])
    places = place_names(np.full(5, 200.0), y, ["grammar-l0"] * 5, 400)
    assert places[:2] == ["middle right", "middle left"] and None in places


def test_no_name_covers_a_name_or_a_mark_that_is_not_its_own() -> None:
    drawn = np.random.default_rng(0)
    x, y, names = drawn.uniform(0, 500, 40), drawn.uniform(0, 200, 40), [f"run-{n}" * (1 + n % 3) for n in range(40)]
    places = place_names(x, y, names, 500)
    boxes = {n: _box(x[n], y[n], len(names[n]), place) for n, place in enumerate(places) if place is not None}
    assert len(boxes) > 10 and set(places) <= {*PLACES, None}
    for n, box in boxes.items():
        assert not any(_overlap(box, other) for m, other in boxes.items() if m != n)
        assert not any(_overlap(box, (x[m] - 6, x[m] + 6, y[m] - 6, y[m] + 6)) for m in range(40) if m != n)
