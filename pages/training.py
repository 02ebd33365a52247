"""Training: live curves while an SAE trains, every run afterwards, and how finished SAEs compare."""

from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, ctx, dcc, html, no_update

from catalog.jobs import jobs
from dashboard import urls
from dashboard.components import empty_state, panel, plural
from dashboard.components.training import BLANK, FVU_WORDS, config_table, controls, curve_panel, graph, runs_table
from dashboard.context import catalog, workspace
from dashboard.figures.theme import CONFIG
from dashboard.figures.training import draw_densities
from dashboard.training_panels import (
    PANELS,
    Settings,
    densities,
    draw_panel,
    draw_runs_frontier,
    read_settings,
    run_rows,
    steps,
    unfinite,
    write_settings,
)
from dashboard.training_runs import MOST_CHOSEN, NOTHING, TrainingRun, choose, collect, compare_configs

dash.register_page(__name__, path="/training", title="Training · Loupe")

POLL_MS = 2_000
CURVE_HEIGHT = 200
FIGURE_HEIGHT = 290


def layout(
    runs: str | None = None, smooth: str | None = None, log: str | None = None, x: str | None = None, **_: str
) -> html.Div:
    """The whole page for a URL; `runs` are SAE ids separated by commas."""
    return html.Div(_page(runs, read_settings(smooth, log, x)), id="training-page", className="page")


def _page(wanted: str | None, settings: Settings) -> list[Any]:
    found = collect(workspace(), catalog())
    title = [
        html.H1("Training", className="page-title"),
        html.P("Curves of every SAE, while it trains and afterwards.", className="page-lead"),
    ]
    if not found:
        return [html.Div(title, className="page-header"), *_nothing_yet()]
    live = html.Div(_live_words(found), id="training-live", className="page-actions num", role="status")
    return [html.Div([*title, live], className="page-header"), *_body(found, wanted, settings)]


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


def _body(found: list[TrainingRun], wanted: str | None, settings: Settings) -> list[Any]:
    chosen, unknown = choose(found, wanted)
    note = "the ticked ones are drawn" + (f" · not in this workspace: {', '.join(unknown)}" if unknown else "")
    axes = [name for name, is_on in (("y", settings.is_log_y), ("x", settings.is_log_x)) if is_on]
    return [
        dcc.Interval(id="training-poll", interval=POLL_MS, disabled=not _is_live(found)),
        dcc.Store(id="training-seen"),
        dcc.Store(id="training-statuses"),
        dcc.Store(id="training-href"),
        panel(
            "Runs",
            [
                runs_table(run_rows(found), [run.sae_id for run in chosen]),
                html.P(FVU_WORDS, className="training-words muted"),
            ],
            note=html.Span(note, id="training-note"),
            min_height=120,
        ),
        html.Div(
            [
                html.H2("Curves", className="section-title"),
                html.Span("", id="training-warning", className="muted"),
                controls(settings.smoothing, axes, "time" if settings.by_time else "step"),
            ],
            className="section-bar",
        ),
        html.Div([curve_panel(p.name, p.title, p.note, CURVE_HEIGHT) for p in PANELS], className="grid"),
        html.Div(
            [
                panel(
                    "L0-FVU frontier",
                    graph("training-frontier", FIGURE_HEIGHT),
                    note=html.Span(id="training-frontier-note"),
                    min_height=FIGURE_HEIGHT,
                    class_name="span-6",
                ),
                panel(
                    "Feature densities",
                    html.Div(id="training-densities"),
                    note=html.Span(id="training-densities-note"),
                    min_height=FIGURE_HEIGHT,
                    class_name="span-6",
                ),
            ],
            className="grid is-even",
        ),
        panel(
            "Configurations",
            html.Div(id="training-configs"),
            note=html.Span(id="training-configs-note"),
            min_height=372,
        ),
    ]


def _is_live(found: list[TrainingRun]) -> bool:
    return any(run.status == "running" for run in found) or _is_busy()


def _live_words(found: list[TrainingRun]) -> Any:
    running = [run for run in found if run.status == "running"]
    if not running:
        return ""
    words = ", ".join(f"{run.sae_id}: step {steps(run)}" for run in running)
    return [html.Span(className="training-pulse", **{"aria-hidden": "true"}), f"Training {words}"]


@callback(
    Output("training-page", "children"),
    Input("training-wake", "n_intervals"),
    prevent_initial_call=True,
)
def wake(_: int | None) -> Any:
    """Replace the empty page as soon as the first run has started."""
    return _page(None, Settings()) if collect(workspace(), catalog()) else no_update


@callback(
    *[Output(f"training-curve-{panel.name}", "figure") for panel in PANELS],
    Output("training-runs", "rowData"),
    Output("training-runs", "selectedRows"),
    Output("training-live", "children"),
    Output("training-warning", "children"),
    Output("training-smoothing-value", "children"),
    Output("training-poll", "disabled"),
    Output("training-seen", "data"),
    Output("training-statuses", "data"),
    Input("training-poll", "n_intervals"),
    Input("shell-generation", "data"),
    Input("training-runs", "selectedRows"),
    Input("training-smoothing", "value"),
    Input("training-log", "value"),
    Input("training-x", "value"),
    State("training-seen", "data"),
    State("training-statuses", "data"),
)
def draw(
    _n: int | None,
    _generation: Any,
    selected: Any,
    smoothing: float | str,
    log: list[str],
    x: str,
    seen: Any,
    statuses: Any,
) -> list[Any]:
    """Draw the ticked runs; a run that starts while all are ticked joins them, a poll that finds nothing new is silent."""
    found = collect(workspace(), catalog())
    now = [[run.sae_id, run.status, run.curves.step, run.quality.fvu] for run in found]
    status_of = {run.sae_id: run.status for run in found}
    is_live = _is_live(found)
    if ctx.triggered_id == "training-poll" and now == seen:
        return [*[no_update] * (len(PANELS) + 5), not is_live, no_update, no_update]
    ticked = _ids(selected)
    started = status_of.keys() - (statuses or status_of).keys()
    if started and ticked == (statuses or {}).keys() and len(found) <= MOST_CHOSEN:
        ticked |= started
    chosen = [run for run in found if run.sae_id in ticked]
    settings = Settings(float(smoothing), "y" in log, "x" in log, x == "time")
    figures = [draw_panel(one, chosen, settings, height=CURVE_HEIGHT) for one in PANELS]
    rows = no_update if now == seen else run_rows(found)
    changed = status_of if status_of != statuses else no_update
    selection = {"ids": sorted(ticked)} if started & ticked else no_update
    return [
        *figures,
        rows,
        selection,
        _live_words(found),
        _warning(chosen),
        f"{settings.smoothing:.2f}",
        not is_live,
        now,
        changed,
    ]


def _ids(selected: Any) -> set[str]:
    """Ids of the ticked rows: rows once the table is there, ids where the page asked for them."""
    return set(selected["ids"]) if isinstance(selected, dict) else {row["id"] for row in selected or []}


def _warning(chosen: list[TrainingRun]) -> str:
    words = []
    if not chosen:
        words.append("No run is ticked.")
    if lost := unfinite(chosen):
        words.append(f"{plural(lost, 'value')} not finite and not drawn.")
    if skipped := sum(run.curves.skipped for run in chosen):
        words.append(f"{plural(skipped, 'damaged line')} of metrics.jsonl passed over.")
    words += [f"{run.sae_id} failed: {run.error}" for run in chosen if run.error]
    return " ".join(words)


@callback(
    Output("training-frontier", "figure"),
    Output("training-frontier-note", "children"),
    Output("training-densities", "children"),
    Output("training-densities-note", "children"),
    Output("training-configs", "children"),
    Output("training-configs-note", "children"),
    Input("training-runs", "selectedRows"),
    Input("shell-generation", "data"),
    Input("training-statuses", "data"),
)
def compare(selected: Any, _generation: Any, _statuses: Any) -> tuple[Any, ...]:
    """Frontier of all finished SAEs; densities and configurations of the ticked ones."""
    found = collect(workspace(), catalog())
    chosen = [run for run in found if run.sae_id in _ids(selected)]
    measured = [run.quality.rows for run in found if run.quality.fvu is not None and run.quality.rows]
    frontier_note = f"{plural(len(measured), 'finished SAE')}, held-out rows" if measured else "no SAE has finished yet"
    if measured:
        low, high = min(measured), max(measured)
        frontier_note += f" ({low:,} each)" if low == high else f" ({low:,} to {high:,})"
    rows = compare_configs(chosen)
    differing = sum(differs for _, _, differs in rows)
    config_note = f"{plural(len(rows), 'field')}, {differing:,} in which the ticked runs differ" if rows else ""
    return (
        draw_runs_frontier(found, chosen, height=FIGURE_HEIGHT) if measured else {"layout": BLANK},
        frontier_note,
        *_densities(chosen),
        config_table([run.sae_id for run in chosen], rows),
        config_note,
    )


def _densities(chosen: list[TrainingRun]) -> tuple[Any, str]:
    drawn, note = densities(workspace(), chosen)
    if not drawn:
        return empty_state(
            "No finished store among the ticked runs", "Densities are counted over a harvested dataset."
        ), ""
    figure = draw_densities(drawn, height=FIGURE_HEIGHT)
    return dcc.Graph(figure=figure, config=CONFIG, style={"height": f"{FIGURE_HEIGHT}px"}), note


@callback(
    Output("training-href", "data"),
    Input("training-runs", "selectedRows"),
    Input("training-smoothing", "value"),
    Input("training-log", "value"),
    Input("training-x", "value"),
    State("training-runs", "rowData"),
    prevent_initial_call=True,
)
def name_view(selected: Any, smoothing: float | str, log: list[str], x: str, rows: list[dict[str, Any]]) -> str:
    """The URL of what is shown."""
    settings = Settings(float(smoothing), "y" in log, "x" in log, x == "time")
    known = [row["id"] for row in rows]
    names = [name for name in known if name in _ids(selected)]
    is_all = len(names) == len(known) <= MOST_CHOSEN
    return urls.training(None if is_all else names or [NOTHING], **write_settings(settings))


clientside_callback(
    ClientsideFunction("loupe", "writeUrl"),
    Output("shell-url-written", "data", allow_duplicate=True),
    Input("training-href", "data"),
    prevent_initial_call=True,
)
