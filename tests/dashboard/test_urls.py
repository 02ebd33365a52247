"""Links are built in one place and read back as what they were built from."""

import pytest

from dashboard import urls

STORE = "minilm-l1@docs"


@pytest.mark.parametrize(
    ("link", "place"),
    [
        (urls.home(), urls.Place("home")),
        (urls.explorer(), urls.Place("explorer")),
        (urls.explorer(STORE), urls.Place("explorer", store=STORE)),
        (urls.feature(STORE, 17), urls.Place("feature", store=STORE, feature=17)),
        (urls.training(), urls.Place("training")),
        (urls.layers("minilm"), urls.Place("layers", set_id="minilm")),
        (urls.present(), urls.Place("present")),
        (urls.present("demo"), urls.Place("present", playlist="demo")),
    ],
)
def test_a_link_reads_back_as_its_place(link: str, place: urls.Place) -> None:
    assert urls.read(link) == place


def test_a_query_survives_characters_that_mean_something_in_a_link() -> None:
    text = 'a&b=c #1 % "é" \u2028'
    link = urls.explorer(STORE, q=text, sort=None, filter="")
    path, _, search = link.partition("?")
    assert urls.read(path).store == STORE
    assert urls.read_query("?" + search) == {"q": text}


def test_a_feature_link_carries_the_feature_to_match() -> None:
    link = urls.feature("minilm-l3@docs", 5, from_store=STORE, from_feature=17)
    assert urls.read_query(link.partition("?")[2]) == {"from": f"{STORE}:17"}


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "", "²", "99999999999999999999"])
def test_a_feature_id_that_is_no_number_reads_as_none(number: str) -> None:
    assert urls.read(f"/feature/{STORE}/{number}").feature is None


def test_an_unknown_path_is_no_page() -> None:
    assert urls.read("/nowhere/else") == urls.Place("")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("42", "/feature/minilm-l1@docs/42"),
        (" #42 ", "/feature/minilm-l1@docs/42"),
        ("months", "/explorer/minilm-l1@docs?q=months"),
        ("++", "/explorer/minilm-l1@docs?q=%2B%2B"),
        ("  ", None),
    ],
)
def test_the_search_box_leads_numbers_to_features_and_words_to_the_explorer(text: str, target: str | None) -> None:
    assert urls.search_target(text, STORE) == target


def test_searching_without_a_store_leads_nowhere() -> None:
    assert urls.search_target("42", None) is None


def test_switching_the_store_keeps_the_kind_of_page() -> None:
    other = "minilm-l3@docs"
    assert urls.switch_store(urls.explorer(STORE), other, "minilm") == urls.explorer(other)
    assert urls.switch_store(urls.feature(STORE, 7), other, "minilm") == urls.feature(other, 7, STORE, 7)
    assert urls.switch_store(urls.layers("grammar"), other, "minilm") == urls.layers("minilm")


def test_an_api_path_quotes_its_parts() -> None:
    assert urls.api("stores", STORE, "features", limit=5) == "/api/v1/stores/minilm-l1@docs/features?limit=5"
    assert urls.api("stores", "a/b") == "/api/v1/stores/a%2Fb"


def test_a_presented_view_is_the_same_view_and_says_which_step_it_is() -> None:
    view = urls.explorer(STORE, q="a&b", sort="max:desc")
    presented = urls.presented(view, "lab-day", 12)
    assert urls.read_presented(presented.partition("?")[2]) == ("lab-day", 12)
    assert urls.view(presented) == view
    assert urls.presented(presented, "lab-day", 13) == urls.presented(view, "lab-day", 13)


def test_an_address_of_a_browser_becomes_a_view_without_its_host() -> None:
    assert urls.view(" http://127.0.0.1:8050/training?runs=a&present=demo:2 ") == "/training?runs=a"


@pytest.mark.parametrize("value", ["", "demo", "demo:0", "demo:x", "demo:99999", "De mo:1", ":1"])
def test_what_names_no_step_presents_nothing(value: str) -> None:
    assert urls.read_presented(f"?present={value}") is None
