"""Chromium for the browser tests; a page whose console must have stayed empty when the test ends."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from catalog.catalog import Catalog

CHROMIUM = Path("/usr/bin/chromium")
SETTLED = (
    "#feature-strongest[data-shown]",
    "#feature-tokens[data-shown]",
    "#feature-band-examples[data-shown]",
    "#feature-category-rates .main-svg >> nth=0",
    "#feature-influences .main-svg >> nth=0",
)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests."""
    if not CHROMIUM.exists():
        pytest.fail(f"The browser tests need {CHROMIUM}: install the packages chromium and chromium-driver.")
    expect.set_options(timeout=20_000)  # of a machine that does other work as well
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, live_server: str) -> Iterator[Page]:
    """A fresh page at 1400 x 1000 whose relative addresses lead to the dashboard; fails on any console message."""
    context = chromium.new_context(base_url=live_server, viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(15_000)
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: said.append(f"uncaught: {error}"))
    yield opened
    context.close()
    assert said == [], said


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser of one's own; at the end its pages must have had no errors and no warnings."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(15_000)
    expect.set_options(timeout=15_000)
    complaints: list[str] = []
    context.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield context
    context.close()
    assert complaints == []


@pytest.fixture
def settle() -> Callable[[Page], None]:
    """Wait until every panel of a Feature page shows something."""

    def call(page: Page) -> None:
        for panel in SETTLED:
            page.wait_for_selector(panel)

    return call


@pytest.fixture
def catalog(server: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """A catalog of the test's own behind the dashboard."""
    opened = Catalog(f"sqlite:///{tmp_path / 'labels.sqlite'}")
    monkeypatch.setitem(server.config["LOUPE"], "catalog", opened)
    yield opened
    opened.close()


@pytest.fixture
def open_feature(visitor: BrowserContext, live_server: str, settle: Callable[[Page], None]) -> Callable[..., Page]:
    """Open a feature's page in the visitor's browser and wait until it has settled."""

    def call(feature: int, query: str = "", store: str = "tiny-l0@texts") -> Page:
        opened = visitor.new_page()
        opened.goto(f"{live_server}/feature/{store}/{feature}{query}")
        settle(opened)
        return opened

    return call
