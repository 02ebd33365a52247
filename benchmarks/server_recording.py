"""What a browser sends to a served workspace: the callbacks of each page and of its label editor, to be sent again."""

from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page

from benchmarks.browser import Watch
from benchmarks.site import CALLBACK

FEATURE, SETTLE_S = 1, 120.0
VIEWPORT = {"width": 1400, "height": 1000}


class Recorded(NamedTuple):
    """The callbacks of each page in their order, and which store and feature they name.

    `editor`: those of the Feature page while a label is opened, changed and saved.
    """

    store: str
    feature: int
    explorer: list[dict[str, Any]]
    page: list[dict[str, Any]]
    editor: list[dict[str, Any]]
    labels: list[dict[str, Any]]
    queue: list[dict[str, Any]]


def record(browser: Browser, address: str, store: str) -> Recorded:
    """Visit the Explorer, a feature, its editor and two tabs of the Labels page in Chromium."""
    page = browser.new_page(viewport=VIEWPORT)  # type: ignore[arg-type]  # a plain dict is what it takes
    watch, bodies = Watch(page), list[dict[str, Any]]()
    page.on("request", lambda request: bodies.append(request.post_data_json) if CALLBACK in request.url else None)

    def sent() -> list[dict[str, Any]]:
        watch.settle(SETTLE_S)
        taken = list(bodies)
        bodies.clear()
        return taken

    def visit(path: str) -> list[dict[str, Any]]:
        page.goto(address + path)
        return sent()

    explorer = visit(f"/explorer/{store}")
    shown = visit(f"/feature/{store}/{FEATURE}")
    save_a_label(page, watch)
    editor = sent()
    labels, queue = visit(f"/labels/{store}"), visit(f"/labels/{store}?tab=queue")
    page.close()
    return Recorded(store, FEATURE, explorer, shown, editor, labels, queue)


def save_a_label(page: Page, watch: Watch) -> None:
    """Open the label editor of the feature that is shown, give it a name, and save."""
    page.keyboard.press("e")
    page.locator("#label-version:not(:empty)").wait_for(timeout=1000 * SETTLE_S)
    watch.settle(SETTLE_S)
    page.fill("#label-name", "recorded")
    page.click("#label-save")
    page.locator("#label-editor").wait_for(state="hidden", timeout=1000 * SETTLE_S)


def asks_for_rows(body: dict[str, Any]) -> bool:
    """Whether a callback is a table's request for a block of its rows."""
    return any(isinstance(each, dict) and each["property"] == "getRowsRequest" for each in body["inputs"])
