"""What people say about a feature, on its page in Chromium: versions, votes, comments, lists, bookmarks."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from catalog.bookmarks import bookmarks_of
from catalog.catalog import Catalog
from catalog.comments import comments_on, put_comment
from catalog.labels import get_label, put_label
from catalog.lists import list_items, lists, make_list
from catalog.queue import claim_next
from catalog.reviews import review_of
from catalog.votes import put_vote, votes_on
from loaders.store import Store

Named = Callable[..., None]
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
def named(catalog: Catalog, store: Store) -> Named:
    """Saves the next version of a feature's label."""

    def call(feature: int, name: str, notes: str = "", author: str = "ada", category: str = "") -> None:
        seen = get_label(catalog, store.sae_fingerprint, feature)
        put_label(
            catalog,
            store.sae_id,
            store.sae_fingerprint,
            feature,
            name,
            notes,
            author,
            seen.version if seen else None,
            category=category,
        )

    return call


def version(page: Page, number: int):
    return page.locator("#feature-history .version").filter(has_text=f"version {number}")


def test_a_removed_word_stands_apart_from_the_one_that_took_its_place(named: Named, open_feature) -> None:
    named(6, "Ada says")
    named(6, "Ada newer")
    page = open_feature(6)
    gone, new = (page.locator(f"#feature-history {tag}").first.bounding_box() for tag in ("del", "ins"))
    assert gone and new
    assert new["x"] - (gone["x"] + gone["width"]) >= 3


def test_versions_show_what_changed_and_an_earlier_one_comes_back(catalog, named, open_feature, store) -> None:
    named(20, "tall oak", "one line", category="plants")
    named(20, "tall elm", "one line", author=MARKUP)
    page = open_feature(20)
    expect(version(page, 2).locator("del")).to_have_text(["removed: oak", "removed: plants"])
    expect(version(page, 2).locator("ins")).to_have_text("added: elm")
    expect(version(page, 2)).to_contain_text(MARKUP)
    assert page.locator("#feature-history img").count() == 0
    assert version(page, 2).get_by_role("button", name="Restore").count() == 0
    version(page, 1).get_by_role("button", name="Restore").click()
    expect(page.locator("#feature-title")).to_have_text("tall oak")
    expect(page.locator("#feature-status")).to_have_text("Version 1 is restored as version 3.")
    expect(page.locator("#feature-history .version")).to_have_count(3)
    label = get_label(catalog, store.sae_fingerprint, 20)
    assert label is not None and (label.version, label.name, label.category, label.notes) == (
        3, "tall oak", "plants", "one line"
    )  # fmt: skip


def test_a_stale_restore_shows_the_newer_version_and_asks_again(catalog, named, open_feature, store) -> None:
    named(21, "first")
    named(21, "second")
    page = open_feature(21)
    expect(page.locator("#feature-history .version")).to_have_count(2)
    named(21, "third", author="bob")
    version(page, 1).get_by_role("button", name="Restore").click()
    expect(page.locator("#feature-talk-said")).to_contain_text("bob saved version 3 in the meantime")
    expect(page.locator("#feature-history .version")).to_have_count(3)
    assert get_label(catalog, store.sae_fingerprint, 21).name == "third"
    version(page, 1).get_by_role("button", name="Restore").click()
    expect(page.locator("#feature-title")).to_have_text("first")
    expect(page.locator("#feature-talk-said")).to_be_empty()


def test_votes_are_counted_and_taken_back(catalog, named, open_feature, store) -> None:
    named(22, "oak")
    put_vote(catalog, store.sae_fingerprint, 22, 1, "bob", 1)
    page = open_feature(22)
    agree = page.get_by_role("button", name="Agree 1", exact=True)
    expect(agree).to_have_attribute("aria-pressed", "false")
    agree.click()
    expect(page.get_by_role("button", name="Agree 2")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Disagree 0").click()
    expect(page.get_by_role("button", name="Disagree 1")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Agree 1", exact=True)).to_be_visible()
    page.get_by_role("button", name="Disagree 1").click()
    expect(page.get_by_role("button", name="Disagree 0")).to_be_visible()
    assert [(vote.person, vote.value) for vote in votes_on(catalog, store.sae_fingerprint, 22)] == [("bob", 1)]


def test_comments_are_added_about_the_version_that_was_seen_and_are_only_text(
    catalog, named, open_feature, store
) -> None:
    page = open_feature(23)
    expect(page.locator("#feature-comments")).to_have_text("Comments are about a label: there is none yet.")
    expect(page.locator("#feature-comment")).to_be_hidden()
    named(23, "oak")
    put_comment(catalog, store.sae_fingerprint, 23, 1, "older words", "bob")
    named(23, "elm")
    page.reload()
    expect(page.locator("#feature-comments .comment")).to_contain_text(["on version 1older words"])
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.locator("#shell-message")).to_contain_text("The comment is empty")
    page.locator("#feature-comment").fill(f"two\nlines {MARKUP}")
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.locator("#feature-comments .comment")).to_have_count(2)
    expect(page.locator("#feature-comment")).to_have_value("")
    assert page.locator("#feature-comments img").count() == 0
    newest = comments_on(catalog, store.sae_fingerprint, 23)[-1]
    assert (newest.version, newest.text) == (2, f"two\nlines {MARKUP}")


def test_a_feature_goes_on_a_list_and_is_bookmarked(catalog, open_feature, store) -> None:
    make_list(catalog, "for the talk", "bob")
    page = open_feature(24)
    expect(page.locator("#feature-lists")).to_have_text("This feature is on no list.")
    page.locator("#feature-list").fill("for the talk")
    page.locator("#feature-list").press("Enter")
    expect(page.locator("#feature-lists a")).to_have_text("for the talk")
    expect(page.locator("#feature-list")).to_have_value("")
    (made,) = lists(catalog)
    assert [item.feature_id for item in list_items(catalog, made.list_id)] == [24]
    page.get_by_role("button", name="Bookmark").click()
    expect(page.get_by_role("button", name="Bookmarked")).to_have_attribute("aria-pressed", "true")
    assert [each.feature_id for each in bookmarks_of(catalog, "anonymous")] == [24]
    page.locator("#feature-lists a").click()
    expect(page.locator("#labels-body")).to_contain_text("#24")
    page.get_by_role("link", name="All lists").click()
    marked = page.locator(".panel").filter(has_text="Your bookmarks")
    expect(marked).to_contain_text("#24")
    marked.get_by_role("button", name="Take off").click()
    expect(marked).to_contain_text("No bookmark yet")
    assert bookmarks_of(catalog, "anonymous") == []


def test_a_bookmark_is_taken_off_on_the_page_that_set_it(catalog, open_feature) -> None:
    page = open_feature(26)
    page.get_by_role("button", name="Bookmark").click()
    page.get_by_role("button", name="Bookmarked").click()
    expect(page.get_by_role("button", name="Bookmark", exact=True)).to_have_attribute("aria-pressed", "false")
    assert bookmarks_of(catalog, "anonymous") == []


def test_a_double_blind_label_is_seen_by_nobody_until_both_have_spoken(catalog, open_feature, settle, store) -> None:
    assert claim_next(catalog, store.sae_fingerprint, [25], "anonymous", blind_share=1.0) is not None
    page = open_feature(25)
    page.keyboard.press("e")
    expect(page.locator("#label-claim")).to_contain_text("Double-blind")
    page.locator("#label-name").fill("oak")
    page.locator("#label-save").click()
    expect(page.locator("#feature-status")).to_contain_text("nobody sees it until a second person has spoken")
    expect(page.locator("#feature-title")).to_have_text("no label yet")
    expect(page.locator("#feature-history")).to_contain_text("Nobody has named this feature yet")
    assert get_label(catalog, store.sae_fingerprint, 25) is None
    assert review_of(catalog, store.sae_fingerprint, 25, "anonymous").labels[0].name == "oak"
    assert review_of(catalog, store.sae_fingerprint, 25, "bob").labels == []
