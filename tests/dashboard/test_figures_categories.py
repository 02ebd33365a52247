import pandas as pd

from dashboard.figures.categories import draw_categories

ROWS = pd.DataFrame(
    {
        "category": ["rare", "often", "never"],
        "samples": [4, 1000, 500],
        "n": [2, 300, 0],
        "rate": [0.5, 0.3, 0.0],
        "rate_low": [0.15, 0.27, 0.0],
        "rate_high": [0.85, 0.33, 0.008],
        "mean_all": [0.4, 0.2, 0.0],
    }
)


def test_a_high_rate_on_few_samples_ranks_below_a_certain_one():
    figure = draw_categories(ROWS, overall=0.2)
    assert list(figure.layout.yaxis.ticktext) == ["often", "rare", "never"]
    assert list(figure.data[0].x) == [0.3, 0.5, 0.0]


def test_whiskers_reach_from_the_lower_to_the_upper_limit():
    bars = draw_categories(ROWS, overall=0.2).data[0]
    low = bars.x - bars.error_x.arrayminus
    high = bars.x + bars.error_x.array
    assert [round(value, 6) for value in low] == [0.27, 0.15, 0.0]
    assert [round(value, 6) for value in high] == [0.33, 0.85, 0.008]


def test_a_category_in_which_the_feature_never_fires_keeps_its_row_and_its_count():
    texts = [note.text for note in draw_categories(ROWS, overall=0.2).layout.annotations]
    assert texts == ["300 / 1,000", "2 / 4", "0 / 500"]


def test_the_counts_stand_beside_the_bars_in_a_margin_as_wide_as_the_longest_of_them():
    layout = draw_categories(ROWS, overall=0.2).layout
    assert {note.xanchor for note in layout.annotations} == {"left"}
    assert {note.x for note in layout.annotations} == {1}
    assert layout.xaxis.domain is None
    assert layout.margin.r >= 6 * len("300 / 1,000")
    assert draw_categories(ROWS.iloc[:0], overall=0.2).layout.margin.r > 0


def test_the_rate_over_all_samples_is_marked():
    line = draw_categories(ROWS, overall=0.2).layout.shapes[0]
    assert (line.x0, line.x1) == (0.2, 0.2)


def test_only_so_many_categories_are_drawn():
    many = pd.concat([ROWS] * 10, ignore_index=True)
    assert len(draw_categories(many, overall=0.2, limit=5).data[0].x) == 5


def test_names_of_categories_cannot_carry_markup():
    figure = draw_categories(ROWS.assign(category=["<i>", "b", "c"]), overall=0.2)
    assert "&lt;i&gt;" in figure.layout.yaxis.ticktext
    assert "<i>" not in figure.to_json()
