"""A page that is open while PostgreSQL dies says so in its message bar, and goes on once the server is back."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from catalog.catalog import Catalog
from catalog.labels import labels_of, put_label
from loaders.store import Store
from tests.postgres import Postgres


@pytest.fixture
def catalog(server: Flask, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """A catalog in the session's PostgreSQL, behind the dashboard."""
    opened = Catalog(postgres.make_database())
    monkeypatch.setitem(server.config["LOUPE"], "catalog", opened)
    yield opened
    opened.close()
    if not postgres.is_running:
        postgres.start()


@pytest.fixture
def page(chromium: Browser, live_server: str) -> Iterator[Page]:
    """A page whose console may tell of requests that failed, and of nothing else."""
    context = chromium.new_context(base_url=live_server, viewport={"width": 1400, "height": 1000})
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: said.append(f"uncaught: {error}"))
    yield opened
    context.close()
    assert [words for words in said if "503" not in words and "Callback failed" not in words] == []


def test_a_label_that_is_saved_in_an_outage_is_kept_in_its_dialog_and_saved_after_it(
    page: Page, catalog: Catalog, postgres: Postgres, store: Store
) -> None:
    page.goto(f"/feature/{store.id}/21")
    page.wait_for_selector("#feature-strongest[data-shown]")
    page.keyboard.press("e")
    expect(page.locator("#label-version")).not_to_be_empty()
    page.locator("#label-name").fill("oak tree")
    postgres.kill()
    page.locator("#label-save").click()
    expect(page.locator("#label-name-error").or_(page.locator("#shell-message")).first).to_have_text(
        re.compile("catalog.* try again")
    )
    expect(page.locator("#label-name")).to_have_value("oak tree")
    postgres.start()
    page.locator("#label-save").click()
    expect(page.locator("#label-editor")).to_be_hidden()
    assert labels_of(catalog, store.sae_fingerprint)[21].name == "oak tree"


def test_a_table_that_is_searched_in_an_outage_says_so_and_is_filled_once_the_catalog_is_back(
    page: Page, catalog: Catalog, postgres: Postgres, store: Store
) -> None:
    put_label(catalog, store.sae_id, store.sae_fingerprint, 3, "oak tree", "", "ada", None)
    page.goto(f"/labels/{store.id}")
    expect(page.locator("#labels-count")).to_have_text("1 label")
    postgres.kill()
    page.locator("#labels-q").fill("tree")
    expect(page.locator("#shell-message")).to_contain_text("catalog")
    expect(page.locator("#shell-message")).to_contain_text("try again")
    postgres.start()
    expect(page.locator("#labels-count")).to_have_text("1 label found")
    page.locator("#labels-q").fill("elm")
    expect(page.locator("#labels-count")).to_have_text("0 labels found")
