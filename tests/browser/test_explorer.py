"""The Explorer in a browser: sort, filter, map and address belong together; a row leads to its feature."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from catalog.catalog import Catalog
from catalog.labels import get_label, put_label
from dashboard import urls
from dashboard.components import figures
from loaders.store import Store
from loaders.workspace import Workspace

ADDRESS = urls.explorer("tiny-l0@texts")
ALL = "128 of 128 features"


def open_explorer(page: Page, **query: str) -> None:
    page.goto(urls.explorer("tiny-l0@texts", **query))
    expect(page.locator(".explorer-open").first).to_be_visible()


def column(page: Page, name: str, rows: int = 10) -> list[str]:
    """Texts of a column's first rows, top to bottom."""
    cells = [page.locator(f'#explorer-grid .ag-row[row-index="{row}"] [col-id="{name}"]') for row in range(rows)]
    expect(cells[-1]).not_to_be_empty()
    return [cell.inner_text() for cell in cells]


def sort_by(page: Page, name: str) -> None:
    page.locator(f'#explorer-grid .ag-header-cell[col-id="{name}"] .ag-header-cell-text').click()


def count(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator("#explorer-count")).to_have_text(text)


def draw_area(page: Page, x0: float, x1: float, y0: float, y1: float) -> None:
    """Drag over the map; ends as shares of its width and height."""
    expect(page.locator("#explorer-map .points path").first).to_be_visible()
    box = page.locator("#explorer-map .nsewdrag").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + x0 * box["width"], box["y"] + y0 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + x1 * box["width"], box["y"] + y1 * box["height"], steps=6)
    page.mouse.up()


def test_every_feature_is_listed_with_its_own_numbers(page: Page, store: Store) -> None:
    open_explorer(page)
    count(page, ALL)
    stats = store.stats()
    assert column(page, "feature_id") == [str(f) for f in range(10)]
    assert column(page, "max") == [figures(value) if value else "–" for value in stats["max"][:10]]
    assert column(page, "density") == [f"{figures(100 * d)} %" if d else "0 %" for d in stats["density"][:10]]
    chips = page.locator('#explorer-grid .ag-row[row-index="0"] [col-id="tokens"] .chip')
    assert chips.all_inner_texts() == store.top_token_names(4)[0]


def test_the_density_of_the_rarest_features_is_not_cut(page: Page) -> None:
    open_explorer(page)
    cell = page.locator('.ag-cell[col-id="density"]').first
    cell.evaluate("e => { (e.querySelector('.ag-cell-value') || e).textContent = '0.000666 %' }")
    cut = "e => [e, ...e.querySelectorAll('*')].some(part => part.scrollWidth > part.clientWidth && part.clientWidth)"
    assert not cell.evaluate(cut)


def test_the_header_names_a_local_model_without_its_folder(page: Page, workspace: Workspace, store: Store) -> None:
    assert store.manifest["model"].startswith(str(workspace.root))
    open_explorer(page)
    facts = f"tiny-l0@texts  tiny, encoder.layer.0, on {store.samples:,} samples of texts"
    expect(page.locator(".page-lead")).to_have_text(facts)
    assert str(workspace.root) not in page.content()


def test_sorting_reorders_all_rows_on_the_server_and_stays_in_the_address(page: Page, store: Store) -> None:
    open_explorer(page)
    sort_by(page, "density")
    expect(page).to_have_url(re.compile(r"sort=density:desc"))
    strongest = np.argsort(-store.stats()["density"].to_numpy(), kind="stable")[:10]
    expect(page.locator('.ag-row[row-index="0"] .explorer-open')).to_have_text(str(strongest[0]))
    assert column(page, "feature_id") == [str(f) for f in strongest]


def test_a_shared_address_restores_sort_filter_and_search(page: Page, store: Store) -> None:
    stats = store.stats()
    tokens = store.top_token_names(4)
    word = next(names[0] for names in tokens if names and len(names[0]) > 2)
    found = [f for f in stats["feature_id"] if any(word in token for token in tokens[f]) and stats["n"][f] > 20]
    open_explorer(
        page, q=word, sort="max:desc", filter='{"n":{"filterType":"number","type":"greaterThan","filter":20}}'
    )
    count(page, f"{len(found)} of 128 features")
    expect(page.locator("#explorer-q")).to_have_value(word)
    expect(page.locator("#explorer-filters")).to_contain_text("samples > 20")
    best = max(found, key=lambda f: (stats["max"][f], -f))
    expect(page.locator('.ag-row[row-index="0"] .explorer-open')).to_have_text(str(best))


def test_a_column_filter_typed_into_the_table_filters_on_the_server(page: Page, store: Store) -> None:
    open_explorer(page)
    header = page.locator('#explorer-grid .ag-header-cell[col-id="feature_id"]')
    header.hover()
    header.locator(".ag-header-cell-filter-button").click()
    page.locator(".ag-filter-menu input").first.fill("17")
    count(page, "1 of 128 features")
    assert column(page, "feature_id", 1) == ["17"]
    expect(page).to_have_url(re.compile("filter="))


def test_the_quick_search_filters_and_clearing_brings_every_feature_back(page: Page) -> None:
    open_explorer(page)
    count(page, ALL)
    page.fill("#explorer-q", "zzzz no such token")
    count(page, "0 of 128 features")
    expect(page.get_by_text("No feature matches")).to_be_visible()
    page.click("#explorer-clear")
    count(page, ALL)
    expect(page.locator("#explorer-q")).to_have_value("")
    expect(page.locator("#explorer-clear")).to_be_disabled()
    assert page.url.endswith(ADDRESS)


def test_an_area_drawn_on_the_map_filters_the_table_and_is_shared_by_the_address(page: Page) -> None:
    open_explorer(page)
    count(page, ALL)
    draw_area(page, 0.1, 0.5, 0.1, 0.9)
    expect(page.locator("#explorer-filters")).to_have_text("area of the map")
    expect(page.locator("#explorer-count")).not_to_have_text(ALL)
    words = page.locator("#explorer-count").inner_text()
    found = int(words.split()[0])
    assert 0 < found < 128
    expect(page).to_have_url(re.compile("box="))
    page.goto(page.url)
    count(page, words)
    expect(page.locator("#explorer-map .selectionlayer path").first).to_be_attached()
    count(page, words)  # drawing the restored area changes nothing
    box = page.locator("#explorer-map .nsewdrag").bounding_box()
    assert box is not None
    page.mouse.dblclick(box["x"] + 3, box["y"] + 3)
    count(page, ALL)


def test_a_filter_dims_the_other_features_on_the_map(page: Page) -> None:
    open_explorer(page, filter='{"feature_id":{"type":"lessThan","filter":5}}')
    count(page, "5 of 128 features")
    bright = "[...document.querySelectorAll('#explorer-map .points path')].filter(p => p.style.opacity > 0.5).length"
    page.wait_for_function(f"{bright} === 5")


def test_the_back_button_returns_to_the_view_before(page: Page) -> None:
    open_explorer(page)
    count(page, ALL)
    page.fill("#explorer-q", "the")
    expect(page).to_have_url(re.compile("q=the"))
    expect(page.locator("#explorer-count")).not_to_have_text(ALL)
    searched = page.locator("#explorer-count").inner_text()
    page.wait_for_timeout(1_000)  # quick changes share one step of the history
    sort_by(page, "max")
    expect(page).to_have_url(re.compile("q=the&sort=max:desc"))
    page.go_back()
    expect(page).to_have_url(re.compile("q=the$"))
    count(page, searched)
    page.go_back()
    count(page, ALL)
    expect(page.locator("#explorer-q")).to_have_value("")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1_000)  # the view that was gone back to has its address before one goes on
    page.go_forward()
    count(page, searched)
    expect(page.locator("#explorer-q")).to_have_value("the")


def test_coming_back_from_a_feature_restores_the_view(page: Page) -> None:
    open_explorer(page, sort="density:desc", filter='{"feature_id":{"type":"lessThan","filter":100}}')
    before = "100 of 128 features"
    count(page, before)
    first = page.locator(".explorer-open").first.inner_text()
    page.locator('.ag-row[row-index="0"] .explorer-open').click()
    expect(page).to_have_url(re.compile(urls.feature("tiny-l0@texts", int(first))))
    page.go_back()
    count(page, before)
    expect(page.locator('.ag-row[row-index="0"] .explorer-open')).to_have_text(first)


def test_the_table_is_walked_by_keys_and_enter_opens_the_feature(page: Page) -> None:
    open_explorer(page)
    page.locator('.ag-row[row-index="2"] [col-id="label"]').click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(urls.feature("tiny-l0@texts", 3) + "$"))


def test_a_click_on_a_point_of_the_map_opens_its_feature(page: Page) -> None:
    open_explorer(page)
    point = page.locator("#explorer-map .points path").nth(9)
    expect(point).to_be_visible()
    box = point.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#explorer-map .hoverlayer")).to_contain_text("Feature")
    named = page.locator("#explorer-map .hoverlayer").text_content()
    page.mouse.down()
    page.mouse.up()
    expect(page).to_have_url(re.compile("/feature/tiny-l0@texts/"))
    assert f"Feature {page.url.rsplit('/', 1)[1]}" in str(named)


def test_labels_are_shown_searched_and_filtered_as_text(page: Page, workspace: Workspace, store: Store) -> None:
    catalog = Catalog(workspace.catalog_url)
    name = "<img src=x onerror=console.log('run')> & months"
    seen = get_label(catalog, store.sae_fingerprint, 77)
    replaces = seen.version if seen else None
    label = put_label(catalog, store.sae_id, store.sae_fingerprint, 77, name, "seen in dates", "Ada", replaces)
    open_explorer(page, q="MONTHS")
    count(page, "1 of 128 features")
    assert column(page, "label", 1) == [name] and column(page, "status", 1) == ["labelled"]
    open_explorer(page, filter='{"status":{"type":"equals","filter":"labelled"}}')
    assert "77" in page.locator("#explorer-grid .ag-center-cols-viewport, #explorer-grid").first.inner_text()
    put_label(catalog, store.sae_id, store.sae_fingerprint, 77, "", "", "Ada", label.version)
    catalog.close()


def test_rows_beyond_the_first_block_arrive_while_scrolling(page: Page) -> None:
    open_explorer(page)
    page.locator('.ag-row[row-index="0"] [col-id="label"]').click()
    page.keyboard.press("Control+End")
    expect(page.locator('.ag-row[row-index="127"] .explorer-open')).to_have_text("127")


def test_the_table_sorts_on_every_column(page: Page) -> None:
    open_explorer(page)
    for name in ("label", "tokens", "max", "mean", "n", "median", "flag", "status", "feature_id"):
        sort_by(page, name)
        expect(page).to_have_url(re.compile(f"sort={name}:"))
    count(page, ALL)


@pytest.mark.parametrize(("store_id", "words"), [("gone@texts", "no store 'gone@texts'"), ("x", "not a store id")])
def test_an_unknown_store_is_answered_in_a_sentence(page: Page, store_id: str, words: str) -> None:
    page.goto(urls.explorer(store_id))
    expect(page.get_by_text(words)).to_be_visible()


def test_an_altered_address_shows_every_feature_and_says_why(page: Page) -> None:
    open_explorer(page, filter='{"density":')
    expect(page.get_by_role("alert")).to_contain_text("cut off or altered")
    count(page, ALL)


def test_switching_the_store_stays_in_the_explorer(page: Page) -> None:
    open_explorer(page)
    page.select_option("#shell-store", "tiny-l1@texts")
    expect(page).to_have_url(re.compile("/explorer/tiny-l1@texts"))
    expect(page.locator(".page-lead")).to_contain_text("encoder.layer.1")


@pytest.fixture
def weigh(page: Page) -> Callable[[], int]:
    """Bytes over the wire since the page was opened."""
    sizes: list[int] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    return lambda: sum(sizes)


def test_the_first_load_with_figures_and_table_is_under_2500_kilobytes(page: Page, weigh: Callable[[], int]) -> None:
    open_explorer(page)
    expect(page.locator("#explorer-map .points path").first).to_be_visible()
    assert 1_000_000 < weigh() < 2_500_000
