"""The Labels page in Chromium: the table, the queue, two people who differ, lists and files."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, expect

from catalog.catalog import Catalog
from catalog.label_text import TYPED, Edit, Origin
from catalog.labels import get_label, labels_of, put_labels
from catalog.lists import add_to_list, list_items, lists
from catalog.queue import claim_next, claims_of
from catalog.reviews import reviews_of, submit_blind
from catalog.votes import put_vote
from dashboard.access.rules import Rules
from dashboard.labelling import by_value
from loaders.store import Store


@pytest.fixture
def named(catalog: Catalog, store: Store) -> Callable[..., None]:
    """Saves labels: feature = name."""

    def call(author: str = "ada", origin: Origin = TYPED, category: str = "", **names: str) -> None:
        put_labels(
            catalog,
            [
                Edit(store.sae_id, store.sae_fingerprint, int(f[1:]), name, "", author, None, category, origin=origin)
                for f, name in names.items()
            ],
        )

    return call


@pytest.fixture
def open_tab(visitor: BrowserContext, live_server: str, store: Store) -> Callable[[str], Page]:
    """Opens a tab of the Labels page."""

    def call(query: str = "") -> Page:
        page = visitor.new_page()
        page.goto(f"{live_server}/labels/{store.id}{query}")
        expect(page.locator("#labels-body")).not_to_be_empty()
        return page

    return call


def test_the_table_searches_orders_and_filters_and_its_address_brings_the_view_back(
    catalog, named, open_tab, store
) -> None:
    named(f3="oak tree", f5="elm tree", category="plants")
    named(author="bob", f9="<img src=x onerror=alert(1)>", origin=Origin("imported", detail="labels.csv (csv)"))
    put_vote(catalog, store.sae_fingerprint, 3, 1, "bob", 1)
    page = open_tab()
    rows = page.locator(".labels-grid .ag-center-cols-container .ag-row")
    expect(page.locator("#labels-count")).to_have_text("3 labels")
    expect(rows.first).to_contain_text("imported")
    expect(page.locator(".labels-grid")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator(".labels-grid img").count() == 0
    expect(page.locator(".labels-grid")).to_contain_text("+1")
    page.locator("#labels-q").fill("TREE")
    expect(page.locator("#labels-count")).to_have_text("2 labels found")
    page.locator("#labels-category").select_option("plants")
    page.locator(".labels-grid").get_by_text("Name", exact=True).click()
    expect(rows.first).to_contain_text("oak tree")
    expect(page).to_have_url(re.compile("q=TREE&category=plants"))
    page.reload()
    expect(page.locator("#labels-count")).to_have_text("2 labels found")
    expect(page.locator("#labels-q")).to_have_value("TREE")


def test_progress_says_which_share_of_features_and_of_their_activations_has_a_label(named, open_tab, store) -> None:
    first = by_value(store, [])[0]
    named(**{f"f{first}": "the strongest"})
    page = open_tab()
    alive = len(by_value(store, []))
    expect(page.locator("#labels-progress")).to_contain_text(f"1 of {alive} that fire")
    expect(page.locator("#labels-progress")).to_contain_text("activation mass labelled")


def test_the_queue_gives_the_most_valuable_feature_and_labelling_it_gives_it_free(catalog, open_tab, store) -> None:
    first, second = by_value(store, [])[:2]
    page = open_tab("?tab=queue")
    page.get_by_role("button", name="Take the next feature").click()
    expect(page.locator("#labels-said")).to_have_text(f"Feature {first} is yours.")
    expect(page.locator("#queue-examples .example").first).to_be_visible()
    page.get_by_role("button", name="Label it").click()
    expect(page.locator("#label-version")).not_to_be_empty()
    page.locator("#label-name").fill("the strongest")
    page.locator("#label-save").click()
    expect(page.locator("#label-editor")).to_be_hidden()
    expect(page.locator("#labels-progress")).to_contain_text("1 of")
    expect(page.get_by_role("button", name="Take the next feature")).to_be_visible()
    assert labels_of(catalog, store.sae_fingerprint)[first].name == "the strongest"
    assert claims_of(catalog, store.sae_fingerprint) == []
    page.get_by_role("button", name="Take the next feature").click()
    expect(page.locator("#labels-said")).to_have_text(f"Feature {second} is yours.")


def test_a_skipped_feature_goes_back_and_the_one_after_it_comes(catalog, open_tab, store) -> None:
    first, second, third = by_value(store, [])[:3]
    claim_next(catalog, store.sae_fingerprint, [second], "bob")
    page = open_tab("?tab=queue")
    expect(page.locator(".data-table")).to_contain_text("bob")
    page.get_by_role("button", name="Take the next feature").click()
    expect(page.locator("#labels-said")).to_have_text(f"Feature {first} is yours.")
    page.get_by_role("button", name="Skip, take another").click()
    expect(page.locator("#labels-said")).to_have_text(f"Feature {third} is yours.")
    page.get_by_role("button", name="Give it back").click()
    expect(page.get_by_role("button", name="Take the next feature")).to_be_visible()
    assert [claim.person for claim in claims_of(catalog, store.sae_fingerprint)] == ["bob"]


def test_where_two_differ_a_third_decides(catalog, open_tab, store) -> None:
    place = store.sae_id, store.sae_fingerprint
    for person, name in (("ada", "oak"), ("bob", "elm")):
        claim_next(catalog, store.sae_fingerprint, [7], person, blind_share=1.0)
        submit_blind(catalog, *place, 7, person, name, category="plants")
    page = open_tab("?tab=reviews")
    review = page.locator("#review-7")
    expect(review).to_contain_text("oak")
    review.get_by_role("button", name="Start from this").last.click()
    expect(review.locator('[name="name"]')).to_have_value("elm")
    review.locator('[name="name"]').fill("trees")
    review.get_by_role("button", name="Decide").click()
    expect(page.locator("#labels-said")).to_have_text("Decided: feature 7 is “trees”.")
    expect(page.locator("#labels-body")).to_contain_text("adjudicated, version 1")
    expect(page.locator("#labels-body td.feature")).to_have_text("#7trees")
    label = get_label(catalog, store.sae_fingerprint, 7)
    assert label is not None
    assert (label.name, label.category) == ("trees", "plants")
    assert [review.state for review in reviews_of(catalog, store.sae_fingerprint)] == ["decided"]


def test_who_only_looks_is_told_of_the_queue_in_other_words(open_tab, server, monkeypatch) -> None:
    monkeypatch.setitem(server.config["LOUPE"], "rules", Rules(is_read_only=True))
    page = open_tab("?tab=queue")
    expect(page.locator("#labels-body")).to_contain_text("You are only looking")
    expect(page.locator("#labels-body")).to_contain_text("No feature is labelled double-blind")
    expect(page.locator("#labels-body")).not_to_contain_text("Sign in")
    expect(page.locator("#labels-body")).not_to_contain_text("Nothing is yours")


def test_the_time_a_label_was_saved_at_is_not_cut(named, open_tab) -> None:
    named(f3="oak tree")
    value = open_tab().locator('.ag-cell[col-id="saved"] .ag-cell-value').first
    expect(value).to_contain_text("UTC")
    assert value.evaluate("e => e.scrollWidth <= e.clientWidth")


def test_a_decision_without_a_name_says_so_and_keeps_what_was_typed(catalog, open_tab, store) -> None:
    for person, name in (("ada", "oak"), ("bob", "elm")):
        claim_next(catalog, store.sae_fingerprint, [7], person, blind_share=1.0)
        submit_blind(catalog, store.sae_id, store.sae_fingerprint, 7, person, name)
    page = open_tab("?tab=reviews")
    page.locator('#review-7 [name="notes"]').fill("because")
    page.get_by_role("button", name="Decide").click()
    expect(page.locator("#shell-message")).to_contain_text("A decision needs a name")
    expect(page.locator('#review-7 [name="notes"]')).to_have_value("because")


def test_lists_are_begun_ordered_and_removed(catalog, open_tab, store) -> None:
    page = open_tab("?tab=lists")
    page.locator("#list-name").fill("to look at")
    page.keyboard.press("Enter")
    expect(page.locator("#labels-said")).to_have_text("“to look at” begins.")
    (made,) = lists(catalog)
    add_to_list(catalog, made.list_id, store.sae_id, store.sae_fingerprint, [4, 2, 8], "ada", note="<b>why</b>")
    page.get_by_role("link", name="to look at").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    expect(page.locator("tbody")).to_contain_text("<b>why</b>")
    page.get_by_role("button", name="Down").first.click()
    expect(page.locator("tbody tr").first).to_contain_text("#2")
    page.get_by_role("button", name="Take off").last.click()
    expect(page.locator("tbody tr")).to_have_count(2)
    assert [item.feature_id for item in list_items(catalog, made.list_id)] == [2, 4]
    page.get_by_role("button", name="Remove the list").click()
    assert len(lists(catalog)) == 1, "the first click asks"
    page.get_by_role("button", name="Remove it for everybody?").click()
    expect(page.locator("#labels-said")).to_contain_text("The list is removed")
    assert lists(catalog) == []


def test_a_file_shows_what_it_would_change_and_changes_nothing_before_it_is_told_to(
    catalog, named, open_tab, store
) -> None:
    named(f3="oak")
    page = open_tab("?tab=files")
    text = "feature,name,category\n3,elm,plants\n4,ash,plants\n"
    page.locator("#files-upload input").set_input_files(
        FilePayload(name="<b>l</b>.csv", mimeType="text/csv", buffer=text.encode())
    )
    plan = page.locator("#files-plan")
    expect(plan).to_contain_text("1 new, 1 changed, 0 in conflict, 0 unchanged")
    expect(plan).to_contain_text("<b>l</b>.csv")
    assert labels_of(catalog, store.sae_fingerprint)[3].name == "oak"
    page.get_by_role("button", name="Save these changes").click()
    expect(plan).to_contain_text("2 versions saved from <b>l</b>.csv.")
    page.wait_for_load_state("networkidle")
    expect(plan).to_contain_text("2 versions saved")
    found = labels_of(catalog, store.sae_fingerprint)
    assert {f: (label.name, label.origin.kind) for f, label in found.items()} == {
        3: ("elm", "imported"),
        4: ("ash", "imported"),
    }


def test_a_plan_that_is_out_of_date_is_shown_anew_and_can_be_saved_then(catalog, named, open_tab, store) -> None:
    named(f3="oak")
    page = open_tab("?tab=files")
    page.locator("#files-upload input").set_input_files(
        FilePayload(name="l.csv", mimeType="text/csv", buffer=b"feature,name\n3,elm\n4,ash\n")
    )
    plan = page.locator("#files-plan")
    expect(plan).to_contain_text("1 new, 1 changed")
    named(f4="ash")
    page.get_by_role("button", name="Save these changes").click()
    expect(plan.get_by_role("alert")).to_contain_text("nothing was imported")
    expect(plan).to_contain_text("0 new, 1 changed, 0 in conflict, 1 unchanged")
    assert labels_of(catalog, store.sae_fingerprint)[3].name == "oak"
    page.get_by_role("button", name="Save these changes").click()
    expect(plan).to_contain_text("1 version saved from l.csv.")
    assert labels_of(catalog, store.sae_fingerprint)[3].name == "elm"


def test_a_file_with_problems_names_their_lines_and_changes_nothing(catalog, open_tab, store) -> None:
    page = open_tab("?tab=files")
    text = "feature,name\n1,oak\nmany,elm\n999999,ash\n"
    page.locator("#files-upload input").set_input_files(
        FilePayload(name="l.csv", mimeType="text/csv", buffer=text.encode())
    )
    plan = page.locator("#files-plan")
    expect(plan).to_contain_text("Nothing was imported: 2 problems")
    expect(plan).to_contain_text("l.csv, line 3")
    expect(plan).to_contain_text("l.csv, line 4")
    assert labels_of(catalog, store.sae_fingerprint) == {}


def test_the_export_holds_the_labels(named, open_tab) -> None:
    named(f3="oak")
    page = open_tab("?tab=files")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="json", exact=True).click()
    found = json.loads(Path(waiting.value.path()).read_text())
    assert {feature: label["name"] for feature, label in found["labels"].items()} == {"3": "oak"}
