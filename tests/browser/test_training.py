"""The Training page in Chromium: what is drawn, the table, the address, and a run that goes on while one looks."""

import json
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from catalog.catalog import Catalog
from catalog.records import RunRecord
from catalog.runs import finish_run, start_run, update_run
from loaders.workspace import Workspace

POINTS = "id => { const g = document.querySelector(`#${id} .js-plotly-plot`); return g && g.data ? g.data.map(t => t.name) : [] }"
LENGTH = "id => document.querySelector(`#${id} .js-plotly-plot`)._fullData[0].x.length"


def names(page: Page, figure: str) -> list[str]:
    return page.evaluate(POINTS, figure)


def wait_for_lines(page: Page, figure: str, wanted: int) -> None:
    page.wait_for_function(f"([id, n]) => ({POINTS})(id).length === n", arg=[figure, wanted])


def open_page(page: Page, address: str = "/training") -> None:
    page.goto(address)
    page.wait_for_selector("#training-curve-fvu .js-plotly-plot .scatterlayer")
    page.wait_for_selector("#training-config-table .ag-row")


def test_every_run_is_listed_and_drawn_with_its_held_out_figures(page: Page) -> None:
    open_page(page)
    rows = page.locator("#training-runs .ag-center-cols-container .ag-row")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("finished")
    wait_for_lines(page, "training-curve-fvu", 4)  # training and held out, of two runs
    drawn = names(page, "training-curve-fvu")
    assert drawn[0] == "tiny-l0" and "held-out rows" in drawn[1]
    for figure in ("loss", "l0", "dead", "lr", "grad"):
        assert names(page, f"training-curve-{figure}"), figure
    assert len(names(page, "training-frontier")) == 2
    expect(page.locator("#training-frontier-note")).to_contain_text("2 finished SAEs")
    expect(page.locator("#training-densities .js-plotly-plot")).to_be_visible()
    expect(page.locator(".training-words")).to_contain_text("squared residuals over squared deviations")


def test_unticking_a_run_takes_its_lines_away_and_the_address_restores_the_view(page: Page) -> None:
    open_page(page)
    wait_for_lines(page, "training-curve-loss", 2)
    page.locator("#training-runs .ag-center-cols-container .ag-row input[type=checkbox]").first.click()
    wait_for_lines(page, "training-curve-loss", 1)
    page.wait_for_url("**/training?runs=tiny-l1")
    page.get_by_label("log values").check()
    page.wait_for_url("**/training?runs=tiny-l1&log=y")
    page.reload()
    wait_for_lines(page, "training-curve-loss", 1)
    assert names(page, "training-curve-loss") == ["tiny-l1"]
    expect(page.get_by_label("log values")).to_be_checked()
    kind = "() => document.querySelector('#training-curve-loss .js-plotly-plot').layout.yaxis.type"
    assert page.evaluate(kind) == "log"


def test_smoothing_by_the_arrow_keys_keeps_the_raw_line(page: Page) -> None:
    open_page(page, "/training?runs=tiny-l0")
    wait_for_lines(page, "training-curve-loss", 1)
    page.get_by_label("Smoothing").focus()
    page.keyboard.press("ArrowRight")
    wait_for_lines(page, "training-curve-loss", 2)
    page.wait_for_url("**/training?runs=tiny-l0&smooth=0.01")
    expect(page.locator("#training-smoothing-value")).to_have_text("0.01")
    assert names(page, "training-curve-loss") == ["tiny-l0, as measured", "tiny-l0"]


def test_differing_fields_of_the_configurations_are_marked(page: Page) -> None:
    open_page(page)
    marked = page.locator("#training-config-table .ag-center-cols-container .ag-row.differs")
    assert marked.count() >= 2  # at least the id and the hook point
    plain = page.locator("#training-config-table .ag-center-cols-container .ag-row:not(.differs)")
    assert plain.count() > 2


def test_a_name_that_is_no_run_is_said_and_nothing_breaks(page: Page) -> None:
    page.goto("/training?runs=nobody,tiny-l0&smooth=lots")
    wait_for_lines(page, "training-curve-loss", 1)
    expect(page.locator("#training-note")).to_contain_text("not in this workspace: nobody")


@pytest.fixture
def running(workspace: Workspace):
    """A run that has written three rows and is not done; gone again after the test."""
    catalog = Catalog(workspace.catalog_url)
    path = workspace.sae_dir("live") / "metrics.jsonl"
    path.parent.mkdir()
    start_run(catalog, "live", "live", {"set_id": "", "k": 8}, total_steps=50)

    def write(first: int, last: int, tail: str = "") -> None:
        with path.open("a") as file:
            for step in range(first, last + 1):
                file.write(json.dumps({"step": step, "loss": 1 / step, "fvu_train": 1 / step, "seconds": step}) + "\n")
            file.write(tail)
        update_run(catalog, "live", last, {})

    write(1, 3, tail='{"step": 4, "lo')
    yield write
    finish_run(catalog, "live", "stopped", {}, now=datetime.now(UTC))
    path.unlink()
    path.parent.rmdir()
    with catalog.write() as session:
        session.delete(session.get(RunRecord, "live"))
    catalog.close()


def test_a_running_run_grows_while_one_looks_and_a_half_written_line_is_tolerated(page: Page, running) -> None:
    open_page(page, "/training?runs=live")
    expect(page.locator("#training-live")).to_contain_text("live: step 3 of 50")
    assert page.evaluate(LENGTH, "training-curve-loss") == 3
    running(5, 9, tail="")
    page.wait_for_function(f"id => ({LENGTH})(id) > 3", arg="training-curve-loss")
    expect(page.locator("#training-live")).to_contain_text("live: step 9 of 50")


def test_the_page_is_quiet_when_nothing_runs(page: Page) -> None:
    open_page(page)
    page.wait_for_timeout(500)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3_000)
    assert asked == []


def test_the_page_has_few_components(page: Page) -> None:
    open_page(page)
    count = page.evaluate("() => JSON.stringify(window.store.getState().layout).split('\"namespace\":').length - 1")
    assert 50 < count < 300
