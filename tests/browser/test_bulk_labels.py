"""Labelling many features at once in the Explorer: all or nothing, asked where somebody was quicker, and taken back."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from catalog.catalog import Catalog
from catalog.labels import labels_of, put_label
from catalog.lists import list_items, lists
from loaders.store import Store


@pytest.fixture
def chosen(visitor: BrowserContext, live_server: str, store: Store) -> Callable[[int], Page]:
    """Opens the Explorer and chooses its first rows, which are the first features."""

    def call(count: int) -> Page:
        page = visitor.new_page()
        page.goto(f"{live_server}/explorer/{store.id}")
        for row in range(count):
            page.locator(".ag-selection-checkbox input").nth(row).check()
        expect(page.locator("#bulk-count")).to_have_text(f"{count} features chosen")
        page.get_by_role("button", name="Label them").click()
        expect(page.locator("#bulk-words")).not_to_be_empty()
        return page

    return call


def names(catalog: Catalog, store: Store) -> dict[int, str]:
    return {feature: label.name for feature, label in labels_of(catalog, store.sae_fingerprint).items()}


def test_a_row_that_is_still_coming_cannot_be_chosen(visitor: BrowserContext, live_server: str, store: Store) -> None:
    page = visitor.new_page()
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "explorer-grid.getRowsResponse" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/_dash-update-component*", hold)
    page.goto(f"{live_server}/explorer/{store.id}")
    box = page.locator(".ag-selection-checkbox input").first
    expect(box).to_be_disabled()
    while not held:
        page.wait_for_timeout(50)
    held[0].continue_()
    expect(box).to_be_enabled()


def test_one_name_for_many_features_is_shown_at_once_and_can_be_taken_back(catalog, chosen, store) -> None:
    page = chosen(3)
    expect(page.locator("#bulk-words")).to_have_text("3 features, 0 with a label.")
    page.locator("#bulk-name").fill("code")
    page.locator("#bulk-category").fill("syntax")
    page.keyboard.press("Enter")
    expect(page.locator("#bulk-said")).to_have_text("3 labels saved.")
    expect(page.locator(".explorer-grid .cell-label").first).to_have_text("code")
    assert names(catalog, store) == {0: "code", 1: "code", 2: "code"}
    page.locator("#bulk-undo").click()
    expect(page.locator("#bulk-said")).to_have_text("3 labels as before.")
    expect(page.locator(".explorer-grid .cell-label").first).to_be_empty()
    assert names(catalog, store) == {}


def test_where_somebody_was_quicker_their_labels_are_shown_and_may_be_left_out(catalog, chosen, store) -> None:
    page = chosen(2)
    put_label(catalog, store.sae_id, store.sae_fingerprint, 1, "<b>theirs</b>", "", "bob", None)
    page.locator("#bulk-name").fill("mine")
    page.locator("#bulk-save").click()
    expect(page.locator("#bulk-stale-list")).to_have_text("#1: “<b>theirs</b>” by bob, version 1")
    assert names(catalog, store) == {1: "<b>theirs</b>"}
    page.locator("#bulk-leave").click()
    expect(page.locator("#bulk-said")).to_have_text("1 label saved.")
    assert names(catalog, store) == {0: "mine", 1: "<b>theirs</b>"}


def test_where_all_are_left_out_nothing_is_left_to_save(catalog, chosen, store) -> None:
    page = chosen(2)
    for feature in (0, 1):
        put_label(catalog, store.sae_id, store.sae_fingerprint, feature, "theirs", "", "bob", None)
    page.locator("#bulk-name").fill("mine")
    page.locator("#bulk-save").click()
    page.locator("#bulk-leave").click()
    expect(page.locator("#bulk-error")).to_contain_text(
        "Nothing is left to save: all of the chosen features are left out"
    )
    assert names(catalog, store) == {0: "theirs", 1: "theirs"}


def test_an_undo_that_somebody_was_quicker_than_says_whose_label_stands_in_the_way(catalog, chosen, store) -> None:
    page = chosen(2)
    page.locator("#bulk-name").fill("mine")
    page.locator("#bulk-save").click()
    expect(page.locator("#bulk-said")).to_have_text("2 labels saved.")
    put_label(catalog, store.sae_id, store.sae_fingerprint, 1, "<b>theirs</b>", "", "bob", 1)
    page.locator("#bulk-undo").click()
    expect(page.locator("#bulk-said")).to_contain_text("Nothing was undone")
    expect(page.locator("#bulk-said")).to_contain_text("#1: “<b>theirs</b>” by bob, version 2")
    expect(page.locator("#bulk-undo")).to_be_hidden()
    assert names(catalog, store) == {0: "mine", 1: "<b>theirs</b>"}


def test_where_somebody_was_quicker_ones_own_may_go_on_top(catalog, chosen, store) -> None:
    page = chosen(2)
    put_label(catalog, store.sae_id, store.sae_fingerprint, 1, "theirs", "their notes", "bob", None)
    page.locator("#bulk-name").fill("mine")
    page.locator("#bulk-save").click()
    expect(page.locator("#bulk-stale-list")).to_contain_text("theirs")
    page.locator("#bulk-mine").click()
    expect(page.locator("#bulk-said")).to_have_text("2 labels saved.")
    found = labels_of(catalog, store.sae_fingerprint)[1]
    assert (found.name, found.notes, found.version) == ("mine", "their notes", 2)


def test_an_empty_name_is_refused_in_the_dialog(catalog, chosen) -> None:
    page = chosen(2)
    page.locator("#bulk-save").click()
    expect(page.locator("#bulk-error")).to_contain_text("The name is empty")
    expect(page.locator("#bulk-dialog")).to_be_visible()


def test_category_and_clear_pass_over_features_without_a_label(catalog, chosen, store) -> None:
    put_label(catalog, store.sae_id, store.sae_fingerprint, 0, "oak", "", "bob", None)
    page = chosen(2)
    page.locator("#bulk-how").get_by_text("Category", exact=True).click()
    page.locator("#bulk-category").fill("plants")
    page.locator("#bulk-save").click()
    expect(page.locator("#bulk-said")).to_have_text("1 label saved.")
    assert labels_of(catalog, store.sae_fingerprint)[0].category == "plants"
    page.locator(".ag-selection-checkbox input").first.check()
    page.get_by_role("button", name="Label them").click()
    page.locator("#bulk-how").get_by_text("Clear", exact=True).click()
    page.locator("#bulk-save").click()
    expect(page.locator("#bulk-said")).to_have_text("1 label cleared.")
    assert names(catalog, store) == {}


def test_chosen_features_go_on_a_list_that_begins_with_them(catalog, chosen) -> None:
    page = chosen(2)
    page.get_by_text("Add to a list").click()
    page.locator("#bulk-list").fill("for the talk")
    page.locator("#bulk-save").click()
    expect(page.locator("#bulk-said")).to_have_text("2 features added to “for the talk”.")
    (made,) = lists(catalog)
    assert [item.feature_id for item in list_items(catalog, made.list_id)] == [0, 1]


def test_the_pencil_and_the_key_e_edit_a_row_of_the_explorer(catalog, visitor, live_server, store) -> None:
    page = visitor.new_page()
    page.goto(f"{live_server}/explorer/{store.id}")
    row = page.locator('.ag-center-cols-container .ag-row[row-index="1"]')
    row.hover()
    row.locator("[data-edit-label]").click()
    expect(page.locator("#label-version")).not_to_be_empty()
    page.locator("#label-name").fill("second")
    page.locator("#label-save").click()
    expect(row.locator(".cell-label")).to_have_text("second")
    page.locator('.ag-center-cols-container .ag-row[row-index="2"] .ag-cell').nth(1).click()
    page.keyboard.press("e")
    expect(page.locator("#label-version")).not_to_be_empty()
    page.locator("#label-name").fill("third")
    page.keyboard.press("Enter")
    expect(page.locator('.ag-row[row-index="2"] .cell-label')).to_have_text("third")
    assert names(catalog, store) == {1: "second", 2: "third"}
