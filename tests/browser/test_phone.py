"""On a phone nothing is wider than the screen, and what is touched is large enough; on small laptops nothing is cut off."""

import pytest
from playwright.sync_api import Page, expect

from dashboard import urls
from dashboard.labels_view import TABS

STORE = "tiny-l0@texts"
PAGES = {
    urls.home(): ".home-saes",
    urls.explorer(STORE): ".explorer-grid .ag-row",
    urls.feature(STORE, 3): "#feature-tokens[data-shown]",
    urls.training(): "#training-fvu, .section-title",
    urls.layers("tiny"): ".layers-fates",
    **{urls.labels(STORE, tab=tab): "#labels-body > *" for tab in TABS},
    urls.present(): ".empty-state, .playlist",
    urls.presented(urls.feature(STORE, 3), "none", 1): "#feature-tokens[data-shown]",
}
SMALL = """() => [...document.querySelectorAll('button, select, a.button, a.icon-button, .rail-link, .segmented label')]
    .filter(e => e.getClientRects().length > 0 && !e.closest('.ag-root-wrapper, .js-plotly-plot, dialog'))
    .filter(e => getComputedStyle(e).visibility !== 'hidden')
    .map(e => [e.id || e.innerText || e.title, e.getBoundingClientRect()])
    .filter(([_, box]) => box.width < 40 || box.height < 40)
    .map(([name, box]) => `${name}: ${Math.round(box.width)} x ${Math.round(box.height)}`)"""


@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_wider_than_a_small_laptop_or_a_phone_whose_buttons_are_large(page: Page, path: str) -> None:
    page.set_viewport_size({"width": 1366, "height": 768})
    page.goto(path)
    expect(page.locator(PAGES[path]).first).to_be_attached()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1366
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => document.documentElement.scrollWidth === 390")
    assert page.evaluate(SMALL) == []


def test_chips_of_the_queue_are_whole_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(urls.labels(STORE, tab="queue"))
    expect(page.locator("td.feature .chip").first).to_be_visible()
    cut = "() => [...document.querySelectorAll('td.feature .chip')].filter(e => e.scrollWidth > e.clientWidth)"
    assert page.evaluate(f"({cut})().map(e => e.textContent).filter(words => words.length <= 20)") == []


def test_large_type_is_larger_the_larger_the_screen(page: Page) -> None:
    sizes = []
    for width, height, path in (
        (1280, 720, "/training"),
        (1280, 720, "/training?present=none:1"),
        (1920, 1080, "/training?present=none:1"),
    ):
        page.set_viewport_size({"width": width, "height": height})
        page.goto(path)
        expect(page.locator("main h1")).to_be_visible()
        sizes.append(page.evaluate("parseFloat(getComputedStyle(document.querySelector('main h1')).fontSize)"))
    assert 1.2 * sizes[0] <= sizes[1] < sizes[2]
