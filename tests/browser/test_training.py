"""The Training page in Chromium: what is drawn, the table, the address, and a run that goes on while one looks."""

import json
import shutil
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from catalog.catalog import Catalog
from catalog.records import RunRecord
from catalog.runs import finish_run, start_run, update_run
from dashboard.training_panels import PANELS
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
        page.wait_for_function(f"id => ({POINTS})(id).length > 0", arg=f"training-curve-{figure}")
    wait_for_lines(page, "training-frontier", 3)
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
    page.wait_for_function(f"id => ({POINTS})(id).join() === 'tiny-l1'", arg="training-curve-loss")
    expect(page.get_by_label("log values")).to_be_checked()
    page.wait_for_function(
        "() => document.querySelector('#training-curve-loss .js-plotly-plot').layout.yaxis.type === 'log'"
    )


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
    wait_for_lines(page, "training-curve-loss", 1)
    assert page.evaluate(LENGTH, "training-curve-loss") == 3
    running(5, 9, tail="")
    page.wait_for_function(f"id => ({LENGTH})(id) > 3", arg="training-curve-loss")
    expect(page.locator("#training-live")).to_contain_text("live: step 9 of 50")


def test_the_ticks_that_the_table_reports_when_it_appears_draw_nothing_anew(page: Page) -> None:
    causes: list[str] = []
    page.on("request", lambda request: causes.extend((request.post_data_json or {}).get("changedPropIds", [])))
    open_page(page)
    page.wait_for_timeout(2_000)
    assert "shell-location.pathname" in causes
    assert not {"training-chosen.data", "training-runs.selectedRows"} & set(causes)
    page.locator("#training-runs .ag-center-cols-container .ag-row input[type=checkbox]").first.click()
    wait_for_lines(page, "training-curve-loss", 1)
    assert "training-chosen.data" in causes


def test_the_page_is_quiet_when_nothing_runs(page: Page) -> None:
    open_page(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for _ in range(10):  # spans longer than a poll; the first ones still draw
        asked.clear()
        page.wait_for_timeout(3_000)
        if not asked:
            break
    assert asked == []


COMPONENTS = "() => JSON.stringify(window.store.getState().layout).split('\"namespace\":').length - 1"
ROWS = "#training-runs .ag-center-cols-container .ag-row"


def write_run(workspace: Workspace, sae_id: str, row: dict[str, float]) -> None:
    """A finished SAE that was brought from elsewhere, with the metrics of two steps."""
    directory = workspace.sae_dir(sae_id)
    directory.mkdir()
    (directory / "metrics.jsonl").write_text("".join(json.dumps({**row, "step": step}) + "\n" for step in (1, 2)))
    (directory / "cfg.json").write_text('{"architecture": "topk", "d_sae": 8, "metadata": {}}')


@pytest.fixture
def forty(workspace: Workspace):
    """Forty runs in all, of which the added ones have a value for every chart and a metric that no chart knows."""
    metrics = {part.metric: 0.5 for panel in PANELS for part in panel.parts} | {"my_own/metric": 1.0}
    added = [f"imported-with-a-long-name-{number:02d}" for number in range(38)]
    for sae_id in added:
        write_run(workspace, sae_id, metrics)
    yield added
    for sae_id in added:
        shutil.rmtree(workspace.sae_dir(sae_id))


def test_the_page_has_few_components_with_forty_runs_and_every_chart(page: Page, forty) -> None:
    page.goto(f"/training?runs={','.join(forty[:3])}")
    expect(page.locator("#training-configs")).to_contain_text("Nothing differs")
    page.get_by_role("button", name="More metrics (1)").click()
    wait_for_lines(page, "training-curve-more", 3)
    expect(page.locator(".dash-graph")).to_have_count(
        len(PANELS) + 5
    )  # one more metric, frontier, three of the time machine
    assert 50 < page.evaluate(COMPONENTS) < 300


def cut_rows(page: Page) -> list[str]:
    """Rows of the runs table of which only a part is inside of the table."""
    return page.evaluate(
        """rows => {
            const shown = document.querySelector("#training-runs .ag-body-viewport").getBoundingClientRect();
            return [...document.querySelectorAll(rows)].filter(row => {
                const place = row.getBoundingClientRect();
                return place.top < shown.bottom - 1 && place.bottom > shown.bottom + 1;
            }).map(row => row.textContent);
        }""",
        ROWS,
    )


@pytest.mark.parametrize("size", [(1400, 1000), (1366, 768)])
def test_seven_runs_are_all_listed_whole(page: Page, workspace: Workspace, size: tuple[int, int]) -> None:
    added = [f"more-{number}" for number in range(5)]
    for sae_id in added:
        write_run(workspace, sae_id, {"loss": 1.0})
    try:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        open_page(page)
        expect(page.locator(ROWS)).to_have_count(7)
        assert cut_rows(page) == []
        table, last = page.locator("#training-runs").bounding_box(), page.locator(ROWS).last.bounding_box()
        assert table and last and last["y"] + last["height"] <= table["y"] + table["height"] + 1
    finally:
        for sae_id in added:
            shutil.rmtree(workspace.sae_dir(sae_id))


@pytest.mark.parametrize("size", [(1400, 1000), (1366, 768)])
def test_forty_runs_scroll_in_whole_rows_with_the_latest_on_top(page: Page, forty, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    open_page(page, "/training?runs=tiny-l0")
    expect(page.locator("#training-note")).to_contain_text("40 SAEs, the latest first")
    expect(page.locator(ROWS).first).to_contain_text("tiny-l0")
    expect(page.locator(ROWS).first.locator("input[type=checkbox]")).to_be_checked()
    assert cut_rows(page) == []
    table = page.locator("#training-runs").bounding_box()
    assert table and table["height"] < size[1] / 2


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
        page.wait_for_selector("#training-config-table .ag-row")  # the chart reports zooms by then
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
