"""The Training page laid out for a URL: every panel in its place, what needs a callback blank and of its final height."""

from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from catalog.jobs import jobs
from dashboard.components import empty_state, panel, plural
from dashboard.components.training import (
    FVU_WORDS,
    config_switch,
    controls,
    curve_panel,
    graph,
    more_metrics,
    runs_height,
    runs_table,
    slim_panel,
)
from dashboard.context import catalog, workspace
from dashboard.training_comparison import run_rows, steps
from dashboard.training_machine import machine
from dashboard.training_panels import ALWAYS, PANELS, Panel, Settings, present, undrawn
from dashboard.training_place import Place
from dashboard.training_runs import TrainingRun, choose, collect

POLL_MS = 2_000
CURVE_HEIGHT = 200
FIGURE_HEIGHT = 290
CONFIG_HEIGHT = 372
WORDS_HEIGHT = 44  # of the definitions below the runs, where they take two lines


def screen(wanted: str | None, settings: Settings, place: Place) -> list[Any]:
    """Everything on the page; `wanted` are the ids that the URL ticks, separated by commas."""
    found = collect(workspace(), catalog())
    title = [
        html.H1("Training", className="page-title"),
        html.P("Curves of every SAE, while it trains and afterwards.", className="page-lead"),
    ]
    if not found:
        return [html.Div(title, className="page-header"), *_nothing_yet()]
    live = html.Div(live_words(found), id="training-live", className="page-actions num", role="status")
    return [html.Div([*title, live], className="page-header"), *_body(found, wanted, settings, place)]


def _nothing_yet() -> list[Any]:
    return [
        panel(
            "Runs",
            empty_state(
                "No SAE has been trained in this workspace yet",
                [
                    "The pipeline trains them by itself; alone, ",
                    html.Code("loupe train"),
                    " does. Their curves appear here from the first step on.",
                ],
                icon_name="graph-up",
            ),
            min_height=200,
        ),
        dcc.Interval(id="training-wake", interval=POLL_MS, disabled=not _is_busy()),
    ]


def _is_busy() -> bool:
    return any(job.status in ("running", "waiting") for job in jobs(catalog()))


def _body(found: list[TrainingRun], wanted: str | None, settings: Settings, place: Place) -> list[Any]:
    chosen, unknown = choose(found, wanted)
    note = f"{plural(len(found), 'SAE')}, the latest first; the ticked ones are drawn"
    note += f" · not in this workspace: {', '.join(unknown)}" if unknown else ""
    axes = [name for name, is_on in (("y", settings.is_log_y), ("x", settings.is_log_x)) if is_on]
    return [
        dcc.Interval(id="training-poll", interval=POLL_MS, disabled=not is_live(found)),
        *[dcc.Store(id=f"training-{name}") for name in ("seen", "statuses", "zoom", "href")],
        dcc.Store(id="training-chosen", data=[run.sae_id for run in chosen]),
        panel(
            "Runs",
            [
                runs_table(run_rows(found), [run.sae_id for run in chosen]),
                html.P(FVU_WORDS, className="training-words muted"),
            ],
            note=html.Span(note, id="training-note"),
            min_height=runs_height(len(found)) + WORDS_HEIGHT,
        ),
        html.Div(
            [
                html.H2("Curves", className="section-title"),
                html.Span("drag to zoom in to single steps, double-click to see all", className="muted training-hint"),
                html.Span("", id="training-warning", className="muted", role="status"),
                controls(settings.smoothing, axes, "time" if settings.by_time else "step"),
            ],
            className="section-bar",
        ),
        html.Div(
            [curve_panel(one.name, one.title, one.note, CURVE_HEIGHT) for one in PANELS if one.name in ALWAYS],
            className="grid is-even",
        ),
        html.Div([other_panel(one) for one in present(chosen)], id="training-others", className="grid is-even"),
        more_metrics(CURVE_HEIGHT),
        html.Div(
            [
                slim_panel(
                    "L0-FVU frontier",
                    graph("training-frontier", FIGURE_HEIGHT),
                    name="training-frontier",
                    min_height=FIGURE_HEIGHT,
                    class_name="span-6",
                ),
                slim_panel(
                    "Feature densities",
                    html.Div(id="training-densities"),
                    name="training-densities",
                    min_height=FIGURE_HEIGHT,
                    class_name="span-6",
                ),
            ],
            className="grid is-even",
        ),
        machine(found, chosen, place),
        slim_panel(
            "Configurations",
            html.Div(id="training-configs"),
            name="training-configs",
            actions=config_switch(),
            min_height=CONFIG_HEIGHT,
            class_name="",
        ),
    ]


def other_panel(one: Panel, figure: Any = None) -> html.Section:
    """A chart that is there as long as a ticked run has a value for it."""
    return curve_panel({"type": "training-other", "name": one.name}, one.title, one.note, CURVE_HEIGHT, figure)


def is_live(found: Sequence[TrainingRun]) -> bool:
    """Whether there may be something new in a moment: a run goes on, waits, or a long file is still being read."""
    return any(run.status == "running" or not run.curves.is_whole for run in found) or _is_busy()


def live_words(found: Sequence[TrainingRun]) -> Any:
    """Which runs are training, and how far they are."""
    running = [run for run in found if run.status == "running"]
    if not running:
        return ""
    words = ", ".join(f"{run.sae_id}: step {steps(run)}" for run in running)
    return [html.Span(className="training-pulse", **{"aria-hidden": "true"}), f"Training {words}"]


def warning(chosen: Sequence[TrainingRun], settings: Settings) -> str:
    """What the curves leave out, and what went wrong with the ticked runs."""
    words = []
    if not chosen:
        words.append("No run is ticked.")
    words += [
        f"Reading {run.sae_id}: up to step {run.curves.step:,} so far." for run in chosen if not run.curves.is_whole
    ]
    unfinite, below = undrawn(chosen, settings)
    if unfinite:
        words.append(f"{plural(unfinite, 'value')} not finite and not drawn.")
    if below:
        words.append(f"{plural(below, 'value')} at or below 0, which a log axis cannot show.")
    if skipped := sum(run.curves.skipped for run in chosen):
        words.append(f"{plural(skipped, 'damaged line')} of metrics.jsonl passed over.")
    words += [f"{run.sae_id} failed: {run.error}" for run in chosen if run.error]
    return " ".join(words)
