"""Home and the frame in a browser: what is there, where the pipeline is, keys and themes."""

import re

import pytest
from playwright.sync_api import Page, expect

from catalog.catalog import Catalog
from catalog.jobs import put_job
from dashboard import urls
from loaders.workspace import Workspace


@pytest.fixture
def catalog(workspace: Workspace) -> Catalog:
    return Catalog(workspace.catalog_url)


def test_home_shows_every_sae_with_its_quality_and_leads_to_its_features(page: Page, workspace: Workspace) -> None:
    page.goto("/")
    rows = page.locator(".home-saes tbody tr")
    expect(rows).to_have_count(2)
    quality = workspace.open_store("tiny-l0@texts").manifest["quality"]
    expect(rows.first).to_contain_text(f"{quality['fvu']:.3f}")
    expect(rows.first).to_contain_text("ready")
    expect(page.locator(".home-set .panel-note")).to_contain_text(f"{quality['held_out_samples']:,} held-out samples")
    page.get_by_role("link", name="tiny-l0", exact=True).click()
    expect(page).to_have_url(re.compile(urls.explorer("tiny-l0@texts")))


def test_tables_of_all_sets_have_their_columns_in_the_same_places(page: Page, workspace: Workspace) -> None:
    directory = workspace.sae_dir("a-single-one-with-a-rather-long-name")
    directory.mkdir()
    (directory / "cfg.json").write_text('{"architecture": "topk", "d_sae": 8, "metadata": {"hook_name": "h"}}')
    try:
        page.goto("/")
        tables = page.locator(".home-saes")
        expect(tables).to_have_count(2)
        places = "table => [...table.querySelectorAll('th')].map(th => Math.round(th.getBoundingClientRect().left))"
        assert tables.nth(0).evaluate(places) == tables.nth(1).evaluate(places)
    finally:
        (directory / "cfg.json").unlink()
        directory.rmdir()


def test_a_finished_pipeline_takes_no_more_room_than_its_bar(page: Page, catalog: Catalog) -> None:
    put_job(catalog, "match-a", "Match the layers", 901, "running")
    page.goto("/")
    panel = page.locator("#home-pipeline .panel")
    expect(panel.locator(".badge").first).to_have_text("running")
    page.wait_for_function(
        "document.querySelector('#home-pipeline .panel')?.offsetHeight > 150"
    )  # it is drawn anew often
    put_job(catalog, "match-a", "Match the layers", 901, "done")
    expect(panel.locator(".badge").first).to_have_text("done")
    page.wait_for_function("document.querySelector('#home-pipeline .panel')?.offsetHeight < 110")
    panel.locator("summary").click()
    expect(panel.locator(".home-done")).to_contain_text("Match the layers")


def test_the_pipeline_moves_on_home_without_a_reload(page: Page, catalog: Catalog) -> None:
    put_job(catalog, "train-a", "Train the SAE of layer 0", 900, "running", 10, 400, "steps", "FVU 0.31")
    put_job(catalog, "match-a", "Match the layers", 901, "waiting")
    page.goto("/")
    panel = page.locator("#home-pipeline")
    expect(panel).to_contain_text("10 of 400 steps")
    expect(panel).to_contain_text("FVU 0.31")
    expect(panel).to_contain_text("Waiting: Match the layers")
    put_job(catalog, "train-a", "Train the SAE of layer 0", 900, "running", 250, 400, "steps", "FVU 0.15")
    expect(panel).to_contain_text("250 of 400 steps")
    expect(panel).to_contain_text("left")
    put_job(catalog, "train-a", "Train the SAE of layer 0", 900, "failed", 250, 400, "steps", "The disk is full.")
    put_job(catalog, "match-a", "Match the layers", 901, "stopped", note="stopped; run again to continue")
    expect(panel).to_contain_text("The disk is full.")
    expect(panel.locator(".badge", has_text="failed").first).to_be_visible()
    put_job(catalog, "train-a", "Train the SAE of layer 0", 900, "done", 400, 400, "steps")
    put_job(catalog, "match-a", "Match the layers", 901, "done")
    page.reload()
    expect(panel.locator(".badge").first).to_have_text("done")


def test_slash_searches_a_number_opens_the_feature_and_a_word_the_explorer(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#shell-store")).to_have_value("tiny-l0@texts")
    page.keyboard.press("/")
    expect(page.locator("#shell-search")).to_be_focused()
    page.keyboard.type("42")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(urls.feature("tiny-l0@texts", 42)))
    page.locator("body").click(position={"x": 700, "y": 990})
    page.keyboard.press("/")
    page.keyboard.type("the")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/explorer/tiny-l0@texts\?q=the"))
    expect(page.locator("#explorer-q")).to_have_value("the")


def test_question_mark_lists_the_keys_and_escape_closes_the_list(page: Page) -> None:
    page.goto("/")
    expect(page.locator(".home-saes")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("next feature")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_keys_are_only_letters_while_somebody_types(page: Page) -> None:
    page.goto("/")
    expect(page.locator(".home-saes")).to_be_visible()
    theme = page.locator("html").get_attribute("data-bs-theme")
    page.click("#shell-search")
    page.keyboard.type("t?/")
    expect(page.locator("#shell-search")).to_have_value("t?/")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", str(theme))
    expect(page.locator("#shell-keys")).to_be_hidden()


def test_the_theme_follows_the_system_switches_by_button_and_stays(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto("/")
    html = page.locator("html")
    expect(html).to_have_attribute("data-bs-theme", "dark")
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(html).to_have_attribute("data-bs-theme", "light")
    page.reload()
    expect(html).to_have_attribute("data-bs-theme", "light")


def test_figures_follow_the_theme_without_asking_the_server(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(urls.explorer("tiny-l0@texts"))
    label = page.locator("#explorer-densities .xtick text").first
    expect(label).to_be_visible()
    page.wait_for_load_state("networkidle")
    before = label.evaluate("e => getComputedStyle(e).fill")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.keyboard.press("t")
    page.wait_for_function(
        "b => getComputedStyle(document.querySelector('#explorer-densities .xtick text')).fill !== b", arg=before
    )
    assert [url for url in asked if "_dash-update" in url] == []


def test_a_person_signs_with_the_name_in_the_top_bar(page: Page) -> None:
    page.goto("/")
    page.fill("#shell-author", "Zoë O'Neil; admin")
    page.keyboard.press("Enter")
    page.wait_for_function("document.cookie.includes('loupe_author=Zo%C3%AB%20O')")
    page.reload()
    expect(page.locator("#shell-author")).to_have_value("Zoë O'Neil; admin")


def test_an_unknown_address_says_so_and_leads_home(page: Page) -> None:
    page.goto("/nowhere")
    expect(page.get_by_text("There is no page at this address")).to_be_visible()
    page.get_by_role("link", name="Go to Home").click()
    expect(page.locator(".home-saes")).to_be_visible()


def test_the_skip_link_is_the_first_stop_and_leads_to_the_content(page: Page) -> None:
    page.goto("/")
    expect(page.locator(".home-saes")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


@pytest.mark.parametrize("path", ["/", urls.explorer("tiny-l0@texts")])
def test_every_control_has_an_accessible_name(page: Page, path: str) -> None:
    page.goto(path)
    page.wait_for_load_state("networkidle")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll(
                'main button, main a, main input, header button, header input, header select, nav a')]
            .filter(e => e.getClientRects().length > 0 && !e.closest('.ag-root-wrapper, .js-plotly-plot'))
            .filter(e => !(e.innerText || '').trim() && !e.getAttribute('aria-label') && !e.title && !(e.labels || []).length)
            .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
