"""Logging in, looking only, and hostile names in Chromium."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect

from catalog.catalog import Catalog
from catalog.labels import put_label
from catalog.people import add_person, end_sessions
from dashboard.access.passwords import hash_password
from dashboard.access.rules import Rules
from loaders.store import Store

PASSWORD = "correct horse battery"


@pytest.fixture
def people(server: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """The dashboard has accounts for the length of a test."""
    opened = Catalog(f"sqlite:///{tmp_path / 'people.sqlite'}")
    for name, role in (("ada", "labeller"), ("vera", "viewer")):
        add_person(
            opened, name, role=role, display_name=f"{name.title()} <b>L.</b>", password_hash=hash_password(PASSWORD)
        )
    monkeypatch.setitem(server.config["LOUPE"], "catalog", opened)
    yield opened
    opened.close()


@pytest.fixture
def known(chromium: Browser, people: Catalog, live_server: str) -> Iterator[Callable[[str, str], Page]]:
    """Logs somebody in through the form, on the way to a page."""
    contexts: list[BrowserContext] = []

    def call(name: str, path: str) -> Page:
        context = chromium.new_context(base_url=live_server, viewport={"width": 1400, "height": 1000})
        contexts.append(context)
        page = context.new_page()
        page.goto(path)
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        return page

    yield call
    for context in contexts:
        context.close()


def test_who_logs_in_comes_to_the_page_that_was_asked_for_and_signs_with_that_name(known, settle) -> None:
    page = known("ada", "/feature/tiny-l0@texts/21")
    settle(page)
    expect(page.locator(".top-who")).to_contain_text("Ada <b>L.</b>")
    page.keyboard.press("e")
    expect(page.locator("#label-version")).not_to_be_empty()
    expect(page.locator("#label-author")).to_have_value("ada")
    expect(page.locator("#label-author")).not_to_be_editable()
    page.locator("#label-name").fill("named by ada")
    page.locator("#label-save").click()
    expect(page.locator("#feature-status")).to_have_text("Saved as version 1.")
    expect(page.locator("#feature-history")).to_contain_text("ada")


def test_a_viewer_is_not_offered_what_a_viewer_may_not_do(known, settle) -> None:
    page = known("vera", "/feature/tiny-l0@texts/21")
    settle(page)
    expect(page.locator("#feature-edit")).to_be_hidden()
    page.keyboard.press("e")
    expect(page.locator("#label-editor")).to_be_hidden()
    expect(page.locator("#shell-message")).to_be_hidden()
    page.evaluate("dash_clientside.set_props('label-save', {n_clicks: 1})")
    expect(page.locator("#shell-message")).to_contain_text("needs the role 'labeller'")


def test_a_session_that_ends_while_a_page_is_open_says_so_and_shows_the_way_in(known, settle, people) -> None:
    page = known("vera", "/feature/tiny-l0@texts/21")
    settle(page)
    end_sessions(people, "vera")
    page.locator("#feature-next").click()
    expect(page.locator("#shell-message")).to_contain_text("You are no longer logged in.")
    page.locator("#shell-message a").click()
    expect(page).to_have_title("Log in · Loupe")


def test_logging_out_leads_to_the_form_and_the_way_back_is_closed(known) -> None:
    page = known("ada", "/explorer")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_read_only_server_says_so_calmly_and_offers_no_editor(open_feature, server, monkeypatch) -> None:
    monkeypatch.setitem(server.config["LOUPE"], "rules", Rules(is_read_only=True))
    page = open_feature(22)
    expect(page.locator(".read-only-banner")).to_contain_text("Read-only")
    expect(page.locator("#feature-edit")).to_be_hidden()
    expect(page.locator("#shell-message")).to_be_hidden()


def test_the_content_policy_blocks_an_injected_script(chromium: Browser, live_server: str) -> None:
    page = chromium.new_page(base_url=live_server)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    for path in ("/", "/login"):
        page.goto(path, wait_until="load")
        page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "window.injected = true";
                document.body.append(script);
                const image = document.createElement("img");
                image.setAttribute("onerror", "window.injected = true");
                image.src = "data:,";
                document.body.append(image);
                const link = document.createElement("a");
                link.href = "javascript:window.injected = true";
                document.body.append(link);
                link.click();
                setTimeout("window.injected = true", 0);
            }"""
        )
        page.wait_for_timeout(300)
        assert page.evaluate("window.injected") is None
    assert any("Content Security Policy" in words for words in said)
    page.close()


MARKUP = "<img src=x onerror=\"document.title='bad'\"><script>document.title='bad'</script>"


def test_markup_in_labels_and_addresses_is_text_wherever_it_is_shown(
    open_feature, visitor: BrowserContext, live_server: str, server: Flask, store: Store
) -> None:
    label = put_label(
        server.config["LOUPE"]["catalog"], store.sae_id, store.sae_fingerprint, 23, MARKUP, MARKUP, MARKUP, None
    )
    page = open_feature(23)
    expect(page.locator("#feature-title")).to_have_text(MARKUP)
    expect(page.locator("#feature-history")).to_contain_text(MARKUP)
    hostile = quote(MARKUP, safe="")
    for path in (f"/explorer/{store.id}?q={quote('<img')}", f"/feature/{hostile}/1", f"/explorer/{hostile}",
                 f"/feature/{store.id}/{hostile}", f"/layers/{hostile}", f"/training?runs={hostile}", f"/{hostile}"):  # fmt: skip
        page.goto(live_server + path)
        page.wait_for_load_state("networkidle")
        assert page.locator("main img, main script").count() == 0, path
        assert page.title() != "bad", path
    page.goto(f"{live_server}/explorer/{store.id}?q={quote('<img')}")
    expect(page.locator("#explorer-grid")).to_contain_text(MARKUP)
    assert label.version == 1
