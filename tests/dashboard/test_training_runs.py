"""Runs as the catalog, the metrics files and finished SAEs tell of them."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from catalog.catalog import Catalog
from catalog.runs import finish_run, start_run
from dashboard.figures.theme import OKABE_ITO
from dashboard.training_comparison import draw_runs_frontier, frontier_frame, frontier_words, run_rows, steps
from dashboard.training_panels import (
    PANELS,
    Settings,
    draw_panel,
    more_names,
    more_panel,
    present,
    undrawn,
)
from dashboard.training_runs import (
    MOST_CHOSEN,
    NOTHING,
    Place,
    assign_looks,
    choose,
    collect,
    compare_configs,
    flatten,
    newest_first,
)
from loaders.workspace import Workspace

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


@pytest.fixture
def catalog(workspace):
    opened = Catalog(workspace.catalog_url)
    yield opened
    opened.close()


def train(workspace, catalog, sae_id, values, *, total=100, config=None, started=NOW):
    directory = workspace.sae_dir(sae_id)
    directory.mkdir(parents=True)
    start_run(catalog, f"{sae_id}-run", sae_id, config or {"k": 32}, total_steps=total, now=started)
    with (directory / "metrics.jsonl").open("w") as file:
        for step, value in enumerate(values, start=1):
            file.write(json.dumps({"step": step, "loss": value, "fvu_train": value, "seconds": step / 2}) + "\n")


def finish(workspace, sae_id, **quality):
    cfg = {"architecture": "topk", "d_sae": 512, "metadata": {"quality": quality}}
    (workspace.sae_dir(sae_id) / "cfg.json").write_text(json.dumps(cfg))


def test_a_run_in_progress_is_shown_with_what_it_has_reached(workspace, catalog):
    train(workspace, catalog, "a-l1", [3.0, 2.0, 1.0])
    (run,) = collect(workspace, catalog, NOW + timedelta(seconds=5))
    assert (run.status, steps(run), run.duration) == ("running", "3 of 100", 1.5)
    assert run.curves.series["loss"].value.tolist() == [3.0, 2.0, 1.0]
    assert run.quality.fvu is None and run.features is None


def test_the_settings_of_a_run_name_a_local_model_without_its_folder(workspace, catalog):
    train(workspace, catalog, "a-l1", [1.0], config={"k": 8, "model": "/srv/lab/models/grammar"})
    (run,) = collect(workspace, catalog, NOW)
    assert run.config == {"k": "8", "model": "grammar"}


def test_a_run_that_went_silent_is_stopped_and_one_that_failed_says_why(workspace, catalog):
    train(workspace, catalog, "a-l1", [1.0])
    train(workspace, catalog, "a-l3", [1.0])
    finish_run(catalog, "a-l3-run", "failed", {}, error_message="the loss is not finite", now=NOW)
    silent, failed = collect(workspace, catalog, NOW + timedelta(minutes=10))
    assert silent.status == "stopped"
    assert (failed.status, failed.error) == ("failed", "the loss is not finite")


def test_a_finished_run_has_its_held_out_figures(workspace, catalog):
    train(workspace, catalog, "a-l1", [1.0], total=1)
    finish(workspace, "a-l1", fvu=0.125, l0=31.9, dead_share=0.5, held_out_samples=2_000)
    finish_run(catalog, "a-l1-run", "done", {}, now=NOW)
    (run,) = collect(workspace, catalog, NOW)
    assert run.status == "finished"
    assert (run.quality.fvu, run.quality.l0, run.quality.rows, run.features) == (0.125, 31.9, 2_000, 512)
    assert run.quality.dead_share is None, "dead is counted on the harvested dataset, and there is none yet"
    (row,) = run_rows([run])
    assert (row["fvu_text"], row["explained_text"], row["dead_text"]) == ("0.125", "87.5 %", "–")


def test_an_sae_brought_from_elsewhere_is_listed_without_a_run(workspace, catalog):
    workspace.sae_dir("foreign").mkdir(parents=True)
    finish(workspace, "foreign")
    (run,) = collect(workspace, catalog, NOW)
    assert (run.sae_id, run.status, run.duration, steps(run)) == ("foreign", "finished", None, "–")
    assert run.config["architecture"] == "topk"


def test_of_several_runs_of_one_sae_the_latest_is_shown(workspace, catalog):
    train(workspace, catalog, "a-l1", [1.0], config={"lr": 0.1})
    start_run(catalog, "second", "a-l1", {"lr": 0.2}, now=NOW + timedelta(hours=1))
    (run,) = collect(workspace, catalog, NOW + timedelta(hours=1))
    assert run.config == {"lr": "0.2"}


def test_a_layer_keeps_its_colour_and_a_second_set_gets_another_line():
    looks = assign_looks(
        {
            "b-l0": Place("b", 0, 20.0),
            "a-l5": Place("a", 5, 12.0),
            "a-l1": Place("a", 1, 10.0),
            "a-l3": Place("a", 3, 11.0),
        }
    )
    assert [looks[sae].colour for sae in ("a-l1", "a-l3", "a-l5")] == list(OKABE_ITO[:3])
    assert looks["b-l0"].colour == OKABE_ITO[0]
    assert looks["a-l1"].dash == "solid" != looks["b-l0"].dash


def test_saes_that_stand_alone_take_colours_in_the_order_of_training():
    looks = assign_looks({"x": Place("", 9, 2.0), "y": Place("", 0, 1.0)})
    assert (looks["y"].colour, looks["x"].colour) == OKABE_ITO[:2]


def test_without_a_choice_all_runs_are_drawn_or_the_newest_of_many(workspace, catalog):
    for number in range(MOST_CHOSEN):
        train(workspace, catalog, f"a-{number}", [1.0], started=NOW + timedelta(seconds=number))
    found = collect(workspace, catalog, NOW)
    assert choose(found, None) == (found, [])
    train(workspace, catalog, "a-newest", [1.0], started=NOW + timedelta(seconds=99))
    chosen, _ = choose(collect(workspace, catalog, NOW), None)
    newest = [f"a-{number}" for number in range(1, MOST_CHOSEN)][::-1]
    assert [run.sae_id for run in chosen] == ["a-newest", *newest]


def test_the_set_that_was_trained_last_comes_first_each_in_the_order_of_its_layers():
    places = {
        "old-l1": Place("old", 1, 1.0),
        "old-l0": Place("old", 0, 2.0),
        "imported": Place("", 0, float("inf")),  # it has no run, so its start is not known
        "new-l0": Place("new", 0, 8.0),
        "new-l1": Place("new", 1, 9.0),
        "alone": Place("", 0, 5.0),
    }
    assert newest_first(places) == ["new-l0", "new-l1", "alone", "old-l0", "old-l1", "imported"]


def test_the_url_chooses_runs_and_unknown_names_are_given_back(workspace, catalog):
    train(workspace, catalog, "a-l1", [1.0])
    train(workspace, catalog, "a-l3", [1.0])
    found = collect(workspace, catalog, NOW)
    chosen, unknown = choose(found, "a-l3,gone")
    assert ([run.sae_id for run in chosen], unknown) == (["a-l3"], ["gone"])
    assert choose(found, NOTHING) == ([], [])


def test_a_configuration_is_compared_field_by_field_the_differing_ones_first(workspace, catalog):
    train(workspace, catalog, "a-l1", [1.0], config={"k": 32, "lr": 0.003, "optimiser": {"name": "adam"}})
    train(workspace, catalog, "a-l3", [1.0], config={"k": 32, "lr": 0.001, "steps": 5})
    rows = compare_configs(collect(workspace, catalog, NOW))
    assert {name for name, _, differs in rows if differs} == {"lr", "steps", "optimiser.name"}
    assert [differs for _, _, differs in rows] == [True, True, True, False]
    assert {name: values for name, values, _ in rows}["steps"] == ["–", "5"]


def test_a_nested_configuration_reads_as_dotted_names():
    assert flatten({"a": {"b": 1, "c": None}, "d": 0.0030}) == {"a.b": "1", "a.c": "–", "d": "0.003"}


def test_smoothing_keeps_the_raw_line_faintly_and_none_draws_it_alone(workspace, catalog):
    train(workspace, catalog, "a-l1", [3.0, 2.0, 1.0])
    found = collect(workspace, catalog, NOW)
    loss = next(panel for panel in PANELS if panel.name == "loss")
    faint, smoothed = draw_panel(loss, found, Settings(smoothing=0.5), height=200).data
    assert list(faint.y) == [3.0, 2.0, 1.0] and list(smoothed.y) != list(faint.y)
    (raw,) = draw_panel(loss, found, Settings(smoothing=0.0), height=200).data
    assert list(raw.y) == [3.0, 2.0, 1.0]


def test_curves_run_over_steps_or_over_seconds(workspace, catalog):
    train(workspace, catalog, "a-l1", [3.0, 2.0])
    found = collect(workspace, catalog, NOW)
    by_step = draw_panel(PANELS[0], found, Settings(), height=200)
    by_time = draw_panel(PANELS[0], found, Settings(by_time=True), height=200)
    assert list(by_step.data[0].x) == [1, 2] and list(by_time.data[0].x) == [0.5, 1.0]
    assert by_time.layout.xaxis.title.text == "seconds of training"


def test_values_that_are_not_finite_are_counted_and_not_drawn(workspace, catalog):
    train(workspace, catalog, "a-l1", [1.0, float("inf"), float("nan")])
    found = collect(workspace, catalog, NOW)
    assert undrawn(found, Settings()) == (4, 0), "in loss and in FVU"
    assert undrawn(found, Settings(is_log_y=True)) == (4, 0)
    (raw,) = draw_panel(PANELS[0], found, Settings(smoothing=0.0), height=200).data
    assert np.isfinite(raw.y).tolist() == [True, False, False]


def test_the_frontier_holds_finished_saes_only(workspace, catalog):
    train(workspace, catalog, "a-l1", [1.0])
    train(workspace, catalog, "a-l3", [1.0])
    finish(workspace, "a-l3", fvu=0.2, l0=32.0, held_out_samples=9)
    found = collect(workspace, catalog, NOW)
    mark, legend = draw_runs_frontier(found, found[:1], height=200).data
    assert mark.name == "a-l3" and mark.marker.symbol.endswith("-open")
    assert (legend.name, legend.showlegend, mark.showlegend) == ("topk", True, False)


def brought(workspace, sae_id, l0, fvu, *, architecture="topk", dataset="docs", hook="layer.1"):
    """A finished SAE of someone else's, measured here."""
    workspace.sae_dir(sae_id).mkdir(parents=True)
    metadata = {"model_id": "m", "hook_name": hook, "dataset": dataset, "quality": {"l0": l0, "fvu": fvu}}
    cfg = {"architecture": "jumprelu", "d_sae": 8, "metadata": {**metadata, "training": {"architecture": architecture}}}
    (workspace.sae_dir(sae_id) / "cfg.json").write_text(json.dumps(cfg))


def test_the_frontier_joins_the_pareto_optimal_saes_of_one_hook_point_and_dataset(workspace, catalog):
    brought(workspace, "a", 10, 0.5)
    brought(workspace, "b", 20, 0.3, architecture="batch_topk")
    brought(workspace, "worse", 30, 0.4)
    brought(workspace, "other-data", 5, 0.1, dataset="tests")
    brought(workspace, "other-hook", 5, 0.1, hook="layer.2")
    found = collect(workspace, catalog, NOW)
    line, *rest = draw_runs_frontier(found, found, height=200).data
    assert (line.mode, list(line.x), list(line.y)) == ("lines", [10, 20], [0.5, 0.3])
    symbols = {trace.name: trace.marker.symbol for trace in rest}
    assert symbols["a"] == symbols["topk"] != symbols["b"] == symbols["batch_topk"], "as trained, not as exported"
    words = frontier_words(frontier_frame(found, found))
    assert "5 finished SAEs" in words and "the 2 Pareto-optimal" in words
    assert "other hook points or datasets are not joined" in words


def test_an_sae_whose_settings_cannot_be_read_does_not_hide_the_others(workspace, catalog):
    brought(workspace, "a", 10, 0.5)
    brought(workspace, "torn", 10, 0.5)
    (workspace.sae_dir("torn") / "cfg.json").write_text("{")
    whole, torn = collect(workspace, catalog, NOW)
    assert whole.quality.fvu == 0.5 and torn.quality.fvu is None
    assert "not valid JSON" in torn.error


def write_rows(workspace, sae_id, rows):
    workspace.sae_dir(sae_id).mkdir(parents=True)
    brought_path = workspace.sae_dir(sae_id) / "metrics.jsonl"
    brought_path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_panel_appears_once_a_ticked_run_has_its_metric_and_unknown_ones_wait_apart(workspace, catalog):
    start_run(catalog, "plain-run", "plain", {}, now=NOW)
    start_run(catalog, "rich-run", "rich", {}, now=NOW)
    write_rows(workspace, "plain", [{"step": 1, "loss": 1.0}])
    extra = {"ce_clean": 3.0, "ce_spliced": 3.5, "ce_ablated": 9.0, "loss_recovered": 0.9, "rows_per_second": 10.0}
    write_rows(workspace, "rich", [{"step": 1, "loss": 1.0, "mine/<b>": 4.0, **extra}])
    plain, rich = collect(workspace, catalog, NOW)
    assert present([plain]) == [] and more_names([plain]) == []
    assert [panel.name for panel in present([plain, rich])] == ["ce", "recovered", "speed"]
    assert more_names([plain, rich]) == ["mine/<b>"]
    assert len(draw_panel(present([rich])[0], [rich], Settings(), height=200).data) == 3
    figure = draw_panel(more_panel("mine/<b>"), [rich], Settings(), height=200)
    assert list(figure.data[0].y) == [4.0] and "<b>" not in figure.layout.yaxis.title.text
