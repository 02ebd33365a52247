"""Presenting in a browser: keys and buttons lead through a playlist, the address restores it, a view is added to one."""

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from catalog.playlists import Playlist, Step, change_playlist, read_playlist
from dashboard import urls
from loaders.workspace import Workspace

STORE = "tiny-l0@texts"
FEATURE, EXPLORER = urls.feature(STORE, 3), urls.explorer(STORE, q="the")


@pytest.fixture(autouse=True)
def talk(workspace: Workspace) -> Iterator[None]:
    """A playlist whose second step is gone."""
    path = workspace.playlist_path("talk")
    steps = (
        Step(urls.home(), "Welcome"),
        Step(urls.feature("gone@texts", 1), "Gone"),
        Step(FEATURE, "A feature", "Say <b>this</b>."),
        Step(EXPLORER, "A search"),
    )
    change_playlist(path, lambda there: Playlist("A talk", steps))
    yield
    shutil.rmtree(path.parent)


def at(page: Page, step: int, view: str, title: str) -> None:
    """The step is on the screen: address, place and title."""
    expect(page).to_have_url(re.compile(re.escape(urls.presented(view, "talk", step)) + "$"))
    expect(page.locator("#presenter-place")).to_have_text(f"{step} of 4")
    expect(page.locator("#presenter-title")).to_have_text(title)


def test_a_clicker_leads_through_what_is_there_and_escape_leaves(page: Page) -> None:
    page.goto(urls.present("talk"))
    expect(page.locator(".step")).to_have_count(4)
    page.get_by_role("link", name="Present", exact=True).click()
    at(page, 1, "/", "Welcome")
    expect(page.locator(".rail")).to_be_hidden()
    expect(page.get_by_role("button", name="Previous step")).to_be_disabled()
    page.keyboard.press("PageDown")
    at(page, 3, FEATURE, "A feature")
    expect(page.locator("#presenter-said")).to_contain_text("Step 2 skipped: There is no store 'gone@texts'")
    expect(page.locator("main h1")).to_contain_text("#3")
    page.keyboard.press("n")
    expect(page.locator("#presenter-note")).to_have_text("Say <b>this</b>.")
    page.wait_for_timeout(350)  # a quick press would leaf on
    page.get_by_role("button", name="Next step").click()
    at(page, 4, EXPLORER, "A search")
    expect(page.locator("#explorer-q")).to_have_value("the")
    expect(page.locator("#presenter-note")).to_have_text("No notes for this step.")
    page.keyboard.press("PageDown")
    expect(page.locator("#presenter-said")).to_have_text("This is the last step.")
    page.reload()
    at(page, 4, EXPLORER, "A search")
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(re.escape(EXPLORER) + "$"))
    expect(page.locator(".rail")).to_be_visible()
    page.go_back()
    at(page, 4, EXPLORER, "A search")


def test_links_and_settings_stay_inside_of_the_presentation(page: Page) -> None:
    page.goto(urls.presented(FEATURE, "talk", 3))
    at(page, 3, FEATURE, "A feature")
    page.locator("#feature-scale").get_by_text("log").click()
    expect(page).to_have_url(re.compile(r"scale=log.*present=talk"))
    page.keyboard.press("j")
    expect(page).to_have_url(re.compile(r"/feature/tiny-l0@texts/4\?.*present=talk"))
    expect(page.locator("#presenter-title")).to_have_text("A feature")
    page.keyboard.press("ArrowLeft")
    at(page, 3, FEATURE, "A feature")


def test_quick_presses_leaf_to_where_the_last_one_leads(page: Page) -> None:
    page.goto(urls.presented(EXPLORER, "talk", 4))
    at(page, 4, EXPLORER, "A search")
    for _ in range(5):
        page.keyboard.press("PageUp")
    at(page, 1, "/", "Welcome")
    expect(page.locator("main h1")).to_have_text("Loupe")


def test_a_playlist_that_is_gone_says_so_and_can_be_left(page: Page) -> None:
    page.goto("/?present=gone:1")
    expect(page.locator("#presenter-said")).to_contain_text("There is no playlist 'gone'.")
    page.get_by_role("button", name="Leave the presentation").click()
    expect(page.locator(".rail")).to_be_visible()


def test_a_view_is_added_from_the_top_bar_and_its_steps_put_in_order(page: Page, workspace: Workspace) -> None:
    page.goto(urls.feature(STORE, 5, scale="log"))
    expect(page.locator("main h1")).to_contain_text("#5")
    page.get_by_role("button", name="Add this view to a playlist").click()
    expect(page.locator("#playlist-title")).to_have_value(re.compile("#5"))
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#playlist-error")).to_contain_text("A playlist needs a name")
    page.fill("#playlist-name", "talk")
    page.fill("#playlist-title", "Feature five")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#playlist-dialog")).to_be_hidden()
    expect(page.locator("#shell-message")).to_contain_text("Added as step 5 of talk")
    page.locator("#shell-message a").click()
    expect(page.locator(".step").nth(4)).to_contain_text("Feature five")
    page.get_by_role("button", name="Remove: step 2, Gone").click()
    expect(page.locator(".step")).to_have_count(4)
    page.get_by_role("button", name="Move up: step 4, Feature five").click()
    expect(page.locator(".step").nth(2)).to_contain_text("Feature five")
    kept = read_playlist(workspace.playlist_path("talk")).steps
    assert [step.title for step in kept] == ["Welcome", "A feature", "Feature five", "A search"]
    assert kept[2].url == urls.feature(STORE, 5, scale="log")


def test_home_leads_to_the_playlist(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name=re.compile("Lead visitors through the playlist talk")).click()
    expect(page.locator("main h1")).to_have_text("A talk")
