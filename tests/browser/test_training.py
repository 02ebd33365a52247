"""The Training page in Chromium: what is drawn, the table, the address, and a run that goes on while one looks."""

import json
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from catalog.catalog import Catalog
from catalog.records import RunRecord
from catalog.runs import finish_run, start_run, update_run
from loaders.workspace import Workspace
from precompute.snapshots import write_snapshot

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
    assert names(page, "training-frontier") == ["tiny-l0", "tiny-l1", "topk"]
    expect(page.locator("#training-frontier-note")).to_contain_text("2 finished SAEs")
    expect(page.locator("#training-densities .js-plotly-plot")).to_be_visible()
    expect(page.locator(".training-words").first).to_contain_text("squared residuals over squared deviations")


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


def test_only_differing_fields_of_the_configurations_are_shown_until_all_are_asked_for(page: Page) -> None:
    open_page(page)
    rows = page.locator("#training-config-table .ag-center-cols-container .ag-row")
    differing = rows.count()
    assert differing >= 2  # at least the id and the hook point
    assert page.locator("#training-config-table .ag-center-cols-container .ag-row.differs").count() == differing
    page.get_by_label("all fields").check()
    plain = page.locator("#training-config-table .ag-center-cols-container .ag-row:not(.differs)")
    expect(plain.nth(2)).to_be_visible()


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


@pytest.fixture
def no_snapshots(workspace: Workspace):
    """What the trainer kept is put aside for a test."""
    folders = [workspace.sae_dir(sae_id) / "snapshots" for sae_id in workspace.sae_ids()]
    kept = [(folder, folder.rename(folder.with_name("aside"))) for folder in folders if folder.is_dir()]
    yield
    for folder, aside in kept:
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)


@pytest.fixture
def snapshots(workspace: Workspace, no_snapshots):
    """Four snapshots of tiny-l0: feature 7 turns around, 3 dies at step 20 and comes back at 150, the others stay."""
    directory = workspace.sae_dir("tiny-l0")
    directions = np.random.default_rng(0).normal(size=(128, 32))
    for step, turned in ((1, 1.0), (20, 0.5), (100, -0.5), (150, -1.0)):
        w_dec, fired, density = directions.copy(), np.full(128, step), np.full(128, 0.01)
        w_dec[7] = turned * directions[7] + (1 - abs(turned)) * directions[8]
        fired[3] = {1: 1, 150: 150}.get(step, 2)
        density[:3] = (0, step / 1_000, 0.5)
        write_snapshot(directory, step, w_dec, density, fired, 500, 1 / (1 + step), 10)
    yield
    shutil.rmtree(directory / "snapshots")


def test_the_slider_leads_through_the_snapshots_and_the_address_restores_run_step_and_feature(
    page: Page, snapshots
) -> None:
    open_page(page)
    expect(page.locator("#training-then-title")).to_have_text("Densities at step 150")
    expect(page.locator("#training-way-title")).to_have_text("Feature #7")
    expect(page.locator("#training-then-note")).to_contain_text("on 500 held-out rows · 1 feature silent")
    assert names(page, "training-then") == ["step 150, the last", "step 150"]
    page.get_by_label("Step", exact=True).focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#training-then-title")).to_have_text("Densities at step 100")
    expect(page.locator("#training-step-words")).to_have_text("100 (3 of 4)")
    page.wait_for_url("**run=tiny-l0&step=100")
    page.get_by_role("button", name="Next feature (n)").click()
    expect(page.locator("#training-way-title")).to_have_text("Feature #8")
    page.locator("h1").click()
    page.keyboard.press("p")
    page.keyboard.press("p")
    expect(page.locator("#training-way-title")).to_have_text("Feature #6")
    page.wait_for_url("**run=tiny-l0&step=100&feature=6")
    page.reload()
    expect(page.locator("#training-way-title")).to_have_text("Feature #6")
    expect(page.locator("#training-then-title")).to_have_text("Densities at step 100")
    assert names(page, "training-direction") == ["to its start", "to its end"]
    expect(page.locator("#training-way-note a")).to_have_attribute("href", "/feature/tiny-l0@texts/6")


def test_tables_name_what_moved_and_what_died_and_a_click_follows(page: Page, snapshots) -> None:
    open_page(page, "/training?run=tiny-l0&step=20&feature=1")
    expect(page.locator("#training-way-title")).to_have_text("Feature #1")
    page.locator("#training-moved .cell-follow").first.click()
    expect(page.locator("#training-way-title")).to_have_text("Feature #7")
    expect(page.locator("#training-nearest .ag-row").first).to_contain_text("#8")
    expect(page.locator("#training-died .ag-row")).to_have_count(1)
    expect(page.locator("#training-died-note")).to_have_text("1 feature dead at step 20")
    expect(page.locator("#training-ledger-words")).to_contain_text("in the last 10 training steps")
    page.locator("#training-ledger .cell-follow", has_text="150").click()
    expect(page.locator("#training-then-title")).to_have_text("Densities at step 150")
    page.locator("#training-died-kind label", has_text="revived").click()
    expect(page.locator("#training-died-note")).to_have_text("1 feature revived at step 150")
    expect(page.locator("#training-died .ag-row")).to_contain_text("#3")


def test_play_goes_from_the_first_snapshot_to_the_last(page: Page, snapshots) -> None:
    open_page(page)
    expect(page.locator("#training-then-title")).to_have_text("Densities at step 150")
    page.get_by_role("button", name="Play the snapshots").click()
    expect(page.locator("#training-then-title")).to_have_text("Densities at step 1")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.locator("#training-then-title")).to_have_text("Densities at step 150")
    expect(page.get_by_role("button", name="Play the snapshots")).to_be_visible()


def test_without_snapshots_the_time_machine_says_so(page: Page, no_snapshots) -> None:
    open_page(page)
    expect(page.locator("#training-machine")).to_contain_text("No run has snapshots yet")
    expect(page.get_by_label("Step", exact=True)).to_be_hidden()


LENGTH_OF_LIVE = 100_000
SPIKE = 54_321
ZOOM = """([low, high]) => {
    const drawn = document.querySelector("#training-curve-loss .js-plotly-plot");
    return window.Plotly.relayout(drawn, {"xaxis.range[0]": low, "xaxis.range[1]": high});
}"""
SHOWN = """([low, high]) => {
    const drawn = document.querySelector("#training-curve-loss .js-plotly-plot")._fullData[0];
    const inside = Array.from(drawn.x).map((x, i) => [x, drawn.y[i]]).filter(([x]) => x >= low && x <= high);
    return [inside.length, Math.max(...inside.map((point) => point[1]))];
}"""


def test_zooming_in_draws_every_step_and_a_spike_is_there_before_and_after(page: Page, workspace: Workspace) -> None:
    path = workspace.sae_dir("long") / "metrics.jsonl"
    path.parent.mkdir()
    path.write_text(
        "".join(
            f'{{"step": {step}, "loss": {40 if step == SPIKE else 1}, "my_own/metric": {step}}}\n'
            for step in range(1, LENGTH_OF_LIVE + 1)
        )
    )
    (path.parent / "cfg.json").write_text('{"architecture": "topk", "d_sae": 8, "metadata": {}}')
    try:
        page.goto("/training?runs=long")
        wait_for_lines(page, "training-curve-loss", 1)
        count, highest = page.evaluate(SHOWN, [1, LENGTH_OF_LIVE])
        assert count < 1_000 and highest == 40
        near = [SPIKE - 200, SPIKE + 200]
        page.evaluate(ZOOM, near)
        page.wait_for_function(f"near => ({SHOWN})(near)[0] === 401", arg=near)
        assert page.evaluate(SHOWN, near) == [401, 40]
        page.get_by_label("log values").check()
        kind = "() => document.querySelector('#training-curve-loss .js-plotly-plot').layout.yaxis.type === 'log'"
        page.wait_for_function(kind)
        assert page.evaluate(SHOWN, near)[1] == 40
        page.get_by_role("button", name="More metrics (1)").click()
        wait_for_lines(page, "training-curve-more", 1)
        expect(page.get_by_label("Metric")).to_have_value("my_own/metric")
    finally:
        shutil.rmtree(path.parent)
