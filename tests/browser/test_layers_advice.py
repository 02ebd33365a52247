"""Below the matches: where to train an SAE, and the weights of the SAE that is chosen, in Chromium."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from loaders.advice import advice_path, read_advice
from loaders.workspace import Workspace
from precompute import advice
from precompute.progress import Progress

ROWS = "#layers-advice-table .ag-center-cols-container .ag-row"


@pytest.fixture(scope="module")
def measured(workspace: Workspace) -> Iterator[Workspace]:
    """The small workspace with its recommendation, which is taken away again."""
    model = str(workspace.models_dir() / "tiny")
    path = advice.run(advice.Config(model, "texts", tokens=2000), workspace, Progress())
    yield workspace
    path.unlink()


def open_page(page: Page, address: str = "/layers/tiny") -> None:
    page.goto(address)
    page.wait_for_selector("#layers-weights .main-svg")


def test_before_the_measurement_the_page_says_how_to_make_it(page: Page, workspace: Workspace) -> None:
    assert not advice_path(workspace, "tiny", "texts").exists()
    open_page(page)
    expect(page.locator("#layers-advice .empty-title")).to_have_text("Compare the hook points of this model")
    command = f"loupe layers tiny --dataset texts --workspace {workspace.root}"
    expect(page.locator("#layers-advice code")).to_have_text(command)


def test_hook_points_are_listed_best_first_with_their_reasons_and_saes(page: Page, measured: Workspace) -> None:
    found = read_advice(advice_path(measured, "tiny", "texts"))
    open_page(page)
    rows = page.locator(ROWS)
    expect(rows).to_have_count(2)
    for row, hook in zip((rows.nth(0), rows.nth(1)), found.ranked, strict=True):
        expect(row).to_contain_text(hook.hook)
        expect(row).to_contain_text(f"has tiny-l{hook.hook[-1]}")
        expect(row.locator(".advice-reasons li")).to_have_count(len(hook.reasons))
        expect(row.locator(".advice-reasons")).to_contain_text(hook.reasons[0].text)
    expect(page.locator("#layers-advice")).to_contain_text(f"Begin at {found.ranked[0].hook}")
    assert page.locator("#layers-advice-scores .bars .point").count() == 2


def test_choosing_an_sae_shows_its_weights_and_the_address_restores_them(page: Page) -> None:
    open_page(page)
    expect(page.locator("#layers-weights .weights-title").first).to_have_text("Norms")
    before = page.locator("#layers-weights").inner_text()
    page.locator("#layers-weights-sae").select_option("tiny-l1")
    page.wait_for_url(re.compile("weights=tiny-l1"))
    expect(page.locator("#layers-weights")).not_to_have_text(before, use_inner_text=True)
    after = page.locator("#layers-weights").inner_text()
    open_page(page, page.url)
    expect(page.locator("#layers-weights-sae")).to_have_value("tiny-l1")
    assert page.locator("#layers-weights").inner_text() == after
    assert "width 32" in after and "128 features" in after


def test_a_row_chosen_later_keeps_the_sae_in_the_address(page: Page) -> None:
    open_page(page, "/layers/tiny?weights=tiny-l1")
    page.wait_for_selector("#layers-table .ag-center-cols-container .ag-row")
    page.locator("#layers-fate input[value=persist]").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_url(re.compile("fate=split.*weights=tiny-l1"))


def test_every_figure_of_the_weights_names_its_axes(page: Page) -> None:
    open_page(page)
    plots = page.locator("#layers-weights .js-plotly-plot")
    expect(plots).to_have_count(4)
    titles = page.evaluate(
        "() => [...document.querySelectorAll('#layers-weights .js-plotly-plot')].map("
        "(plot) => [plot.layout.xaxis.title.text, plot.layout.yaxis.title.text])"
    )
    assert all(x and y == "features" for x, y in titles), json.dumps(titles)
