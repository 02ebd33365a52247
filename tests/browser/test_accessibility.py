"""axe-core, which comes with axe-playwright-python, finds nothing serious on any page, in either theme."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from dashboard import urls
from dashboard.labels_view import TABS

STORE = "tiny-l0@texts"
READY = {  # what is there once a page is whole
    urls.home(): ".home-saes",
    urls.explorer(STORE): "#explorer-grid .sparkline",
    urls.feature(STORE, 1): "#feature-strongest[data-shown]",
    urls.training(): "#training-config-table .ag-row",
    urls.layers("tiny"): "#layers-weights .main-svg",
    **{urls.labels(STORE, tab=tab): "#labels-body > *" for tab in TABS},
    "/nowhere": ".empty-title",
}
TABLES_DRAWN = """() => [...document.querySelectorAll('.ag-root')].every(
    table => table.querySelector('.ag-header-cell') && !table.classList.contains('ag-delay-render'))"""
GRAVE = ("serious", "critical")


def graver(page: Page) -> list[str]:
    """What axe calls serious or critical: the rule, and the elements that break it."""
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {[node['html'][:160] for node in rule['nodes']]}" for rule in found if rule["impact"] in GRAVE
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", READY)
def test_axe_finds_nothing_serious(page: Page, path: str, theme: str) -> None:
    page.emulate_media(color_scheme=theme)
    page.goto(path)
    page.wait_for_selector(READY[path])
    page.wait_for_load_state("networkidle")
    page.wait_for_function(TABLES_DRAWN)
    assert graver(page) == []


def test_axe_is_heard_where_a_control_has_no_name(page: Page) -> None:
    page.goto(urls.home())
    page.wait_for_selector(READY[urls.home()])
    page.evaluate("document.querySelector('.home-saes').before(document.createElement('button'))")
    assert any(found.startswith("button-name") for found in graver(page))
