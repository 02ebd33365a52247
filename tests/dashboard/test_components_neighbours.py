import json

import pandas as pd

from dashboard.components.neighbours import disagreement, neighbour_table

ROWS = pd.DataFrame(
    {
        "neighbour": [7, 9],
        "cosine": [0.05, 0.9],
        "pearson": [0.8, -0.0001],
        "both": [120, 0],
        "jaccard": [0.6, 0.0],
        "pmi": [5.25, float("-inf")],
        "sufficiency": [0.75, 0.0],
        "necessity": [0.7, 0.0],
    }
)


def table():
    return neighbour_table(ROWS, names={9: "<b>loops</b>"}, tokens={7: ["for", " x"]}, link=lambda f: f"/feature/s/{f}")


def test_features_that_fire_together_in_unlike_directions_are_flagged():
    assert disagreement(0.05, 0.8, 120)[0] == "other direction"


def test_alike_directions_that_never_fire_together_are_flagged():
    assert disagreement(0.9, -0.01, 0)[0] == "never together"
    assert disagreement(0.9, 0.02, 3)[0] == "seldom together"


def test_agreement_and_the_uncertain_middle_are_not_flagged():
    assert disagreement(0.9, 0.9, 100) is None
    assert disagreement(0.2, 0.2, 100) is None
    assert disagreement(0.0, 0.0, 0) is None


def test_each_neighbour_links_to_itself_and_shows_its_label_or_its_tokens():
    first, second = (row[0] for row in table()["rows"])
    assert first == {"href": "/feature/s/7", "id": 7, "name": "", "tokens": ["for", " x"]}
    assert (second["name"], second["tokens"]) == ("<b>loops</b>", [])


def test_measures_never_show_a_negative_zero_and_infinity_is_a_sign():
    second = table()["rows"][1]
    assert [cell[1] for cell in second[1:4]] == ["0.900", "0.000", "0.000"]
    assert second[4]["text"] == "−∞"


def test_the_table_is_strict_json_sorted_by_pearson():
    data = json.loads(json.dumps(table(), allow_nan=False))
    assert data["columns"][data["sorted"]]["title"] == "Pearson"
