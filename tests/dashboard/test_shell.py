"""The frame follows the address: which store it shows and where its links lead."""

from dashboard import shell, urls

SETS = {"grammar": ["g-l0@grammar"], "minilm": ["m-l1@docs", "m-l3@docs"]}


def choose(path: str, known: str | None = None) -> str | None:
    return shell.choose_store(urls.read(path), known, SETS)


def test_the_store_of_the_address_is_shown() -> None:
    assert choose("/feature/m-l3@docs/4", known="g-l0@grammar") == "m-l3@docs"


def test_a_page_without_a_store_keeps_the_last_one() -> None:
    assert choose("/training", known="m-l3@docs") == "m-l3@docs"


def test_a_layers_page_shows_a_store_of_its_set() -> None:
    assert choose("/layers/minilm", known="g-l0@grammar") == "m-l1@docs"
    assert choose("/layers/minilm", known="m-l3@docs") == "m-l3@docs"


def test_a_forgotten_store_falls_back_to_one_that_is_there() -> None:
    assert choose("/training", known="gone@docs") == "g-l0@grammar"
    assert shell.choose_store(urls.read("/"), None, {}) is None


def test_the_rail_leads_to_the_current_store_and_set_and_marks_the_page() -> None:
    links = shell.rail(urls.read("/feature/m-l3@docs/4"), "m-l3@docs", "minilm")
    assert [link.href for link in links] == [
        "/",
        "/explorer/m-l3@docs",
        "/labels/m-l3@docs",
        "/training",
        "/layers/minilm",
    ]
    assert [link.href for link in links if "is-current" in link.className] == ["/explorer/m-l3@docs"]


def test_an_unknown_store_of_the_address_is_not_replaced_by_another() -> None:
    assert choose("/feature/gone@docs/3", known="m-l1@docs") is None


def test_an_unknown_set_of_the_address_is_not_replaced_by_another() -> None:
    assert choose("/layers/gone", known="m-l1@docs") is None
