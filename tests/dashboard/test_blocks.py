"""Small components read as text the way they look."""

from dashboard.components.blocks import stat


def test_a_figure_and_its_unit_are_two_words_when_copied() -> None:
    value, space, unit = stat("fires on", "369", unit="of 249,980").children[1].children
    assert value.children + space + unit.children == "369 of 249,980"
