import pandas as pd

from dashboard.figures.influences import draw_influences
from dashboard.figures.theme import PROMOTES, SUPPRESSES
from dashboard.figures.tokens import show_token

ROWS = pd.DataFrame(
    {"token": [" the", ")", "a", "\n", "x"], "token_id": range(5), "value": [2.0, 1.0, 0.5, -0.25, -3.0]}
)


def test_the_strongest_promoted_tokens_stand_left_and_the_strongest_suppressed_right():
    promoted, suppressed = draw_influences(ROWS, "logits", k=2).data
    assert [text for text, _ in promoted.customdata] == ["␣the", ")"]
    assert [value for _, value in suppressed.customdata] == [-3.0, -0.25]
    assert list(suppressed.x) == [3.0, 0.25]
    assert (promoted.marker.color, suppressed.marker.color) == (PROMOTES, SUPPRESSES)


def test_both_halves_have_one_scale():
    layout = draw_influences(ROWS, "logits").layout
    assert layout.xaxis.range == layout.xaxis2.range


def test_nearest_input_tokens_are_never_said_to_promote():
    figure = draw_influences(ROWS.assign(value=ROWS["value"].abs()), "nearest input tokens", k=3)
    assert len(figure.data) == 1
    assert list(figure.data[0].x) == [3.0, 2.0, 1.0]
    assert "promote" not in figure.to_json()


def test_a_feature_that_only_promotes_leaves_the_other_half_empty():
    promoted, suppressed = draw_influences(ROWS.head(3), "logits").data
    assert (len(promoted.x), len(suppressed.x)) == (3, 0)


def test_tokens_show_their_whitespace_and_cannot_carry_markup():
    assert show_token(" a\n\tb") == "␣a⏎⇥b"
    assert show_token("<b>&") == "&lt;b&gt;&amp;"
    assert show_token("") == "∅"


def test_a_long_token_loses_its_middle():
    assert show_token("abcdefghijklmnopqrstuvwxyz", 16) == "abcdefghij…vwxyz"
