"""Training: live curves while an SAE trains, every run afterwards, how finished SAEs compare, and how features moved."""

from typing import Any

import dash
from dash import ALL, ClientsideFunction, Input, Output, State, callback, clientside_callback, ctx, dcc, html, no_update

from dashboard import training_machine, urls
from dashboard.components import empty_state, plural
from dashboard.components.training import BLANK, config_table
from dashboard.context import catalog, workspace
from dashboard.figures.theme import CONFIG
from dashboard.figures.training_saes import draw_densities
from dashboard.training_comparison import densities, draw_frontier, frontier_frame, frontier_words, run_rows
from dashboard.training_panels import (
    ALWAYS,
    PANELS,
    Panel,
    Settings,
    draw_panel,
    more_names,
    more_panel,
    present,
    read_settings,
    read_window,
    write_settings,
)
from dashboard.training_place import Place
from dashboard.training_runs import MOST_CHOSEN, NOTHING, TrainingRun, collect, compare_configs
from dashboard.training_screen import CURVE_HEIGHT, FIGURE_HEIGHT, is_live, live_words, other_panel, screen, warning

dash.register_page(__name__, path="/training", title="Training · Loupe")
training_machine.register()

ALWAYS_DRAWN = [panel for panel in PANELS if panel.name in ALWAYS]
CURVES = [f"training-curve-{panel.name}" for panel in ALWAYS_DRAWN]


def layout(
    runs: str | None = None,
    smooth: str | None = None,
    log: str | None = None,
    x: str | None = None,
    run: str | None = None,
    step: str | None = None,
    feature: str | None = None,
    **_: str,
) -> html.Div:
    """The whole page for a URL; `runs` are SAE ids separated by commas, `run` is the one that the time machine follows."""
    shown = screen(runs, read_settings(smooth, log, x), Place(run, step, feature))
    return html.Div(shown, id="training-page", className="page")


@callback(
    Output("training-page", "children"),
    Input("training-wake", "n_intervals"),
    prevent_initial_call=True,
)
def wake(_: int | None) -> Any:
    """Replace the empty page as soon as the first run has started."""
    return screen(None, Settings(), Place()) if collect(workspace(), catalog()) else no_update


@callback(
    *[Output(curve, "figure") for curve in CURVES],
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
    Input("training-chosen", "data"),
    Input("training-smoothing", "value"),
    Input("training-log", "value"),
    Input("training-x", "value"),
    Input("training-zoom", "data"),
    State("training-seen", "data"),
    State("training-statuses", "data"),
)
def draw(
    _n: int | None,
    _generation: Any,
    ticked_ids: list[str],
    smoothing: float | str,
    log: list[str],
    x: str,
    zoom: dict[str, Any] | None,
    seen: Any,
    statuses: Any,
) -> list[Any]:
    """Draw the ticked runs; a run that starts while all are ticked joins them, a poll that finds nothing new is silent."""
    found = collect(workspace(), catalog())
    now = [[run.sae_id, run.status, run.curves.step, run.curves.is_whole, run.quality.fvu] for run in found]
    status_of = {run.sae_id: run.status for run in found}
    goes_on = is_live(found)
    rest = [*[no_update] * 5, not goes_on, no_update, no_update]
    if ctx.triggered_id == "training-poll" and now == seen:
        return [*[no_update] * len(CURVES), *rest]
    ticked = set(ticked_ids)
    started = status_of.keys() - (statuses or status_of).keys()
    if started and ticked == (statuses or {}).keys() and len(found) <= MOST_CHOSEN:
        ticked |= started
    chosen = [run for run in found if run.sae_id in ticked]
    settings = _settings(smoothing, log, x)
    zoomed = (zoom or {}).get("last") if ctx.triggered_id == "training-zoom" else None
    figures = [
        draw_panel(one, chosen, settings, read_window(zoom, one.name, settings), height=CURVE_HEIGHT)
        if zoomed in (None, one.name)
        else no_update
        for one in ALWAYS_DRAWN
    ]
    if zoomed is not None:
        return [*figures, *rest]
    return [
        *figures,
        no_update if now == seen else run_rows(found),
        {"ids": sorted(ticked)} if started & ticked else no_update,
        live_words(found),
        warning(chosen, settings),
        f"{settings.smoothing:.2f}",
        not goes_on,
        now,
        status_of if status_of != statuses else no_update,
    ]


@callback(
    Output("training-others", "children"),
    Output("training-more", "hidden"),
    Output("training-more-button", "children"),
    Output("training-more-metric", "options"),
    Output("training-more-metric", "value"),
    Output("training-curve-more", "figure"),
    Input("training-more-collapse", "is_open"),
    Input("training-more-metric", "value"),
    Input("training-seen", "data"),
    Input("training-chosen", "data"),
    Input("training-smoothing", "value"),
    Input("training-log", "value"),
    Input("training-x", "value"),
    Input("training-zoom", "data"),
)
def draw_others(
    is_open: bool, metric: str | None, _seen: Any, ticked: list[str], smoothing: Any, log: list[str], x: str, zoom: Any
) -> tuple[Any, ...]:
    """Charts that only some runs have values for, and, once asked for, any metric that the page does not know."""
    chosen = [run for run in collect(workspace(), catalog()) if run.sae_id in ticked]
    settings = _settings(smoothing, log, x)

    def figure(one: Panel) -> Any:
        return draw_panel(one, chosen, settings, read_window(zoom, one.name, settings), height=CURVE_HEIGHT)

    others, names = present(chosen), more_names(chosen)
    known = {one.name for one in others} | {"more"}
    if ctx.triggered_id == "training-zoom" and (zoom or {}).get("last") not in known:
        return (no_update,) * 6
    shown = metric if metric in names else names[0] if names else None
    return (
        [other_panel(one, figure(one)) for one in others],
        not names,
        f"More metrics ({len(names)})",
        names,
        shown,
        figure(more_panel(shown)) if is_open and shown else {"layout": BLANK},
    )


def _settings(smoothing: float | str, log: list[str], x: str) -> Settings:
    return Settings(float(smoothing), "y" in log, "x" in log, x == "time")


@callback(
    Output("training-frontier", "figure"),
    Output("training-frontier-note", "children"),
    Output("training-densities", "children"),
    Output("training-densities-note", "children"),
    Input("training-chosen", "data"),
    Input("shell-generation", "data"),
    Input("training-statuses", "data"),
)
def compare(ticked: list[str], _generation: Any, _statuses: Any) -> tuple[Any, ...]:
    """Frontier of all finished SAEs; densities of the ticked ones."""
    found = collect(workspace(), catalog())
    chosen = [run for run in found if run.sae_id in ticked]
    saes = frontier_frame(found, chosen)
    return draw_frontier(saes, height=FIGURE_HEIGHT), frontier_words(saes), *_densities(chosen)


def _densities(chosen: list[TrainingRun]) -> tuple[Any, str]:
    drawn, note = densities(workspace(), chosen)
    if not drawn:
        words = "Densities are counted over a harvested dataset."
        return empty_state("No finished store among the ticked runs", words), ""
    figure = draw_densities(drawn, height=FIGURE_HEIGHT)
    return dcc.Graph(figure=figure, config=CONFIG, style={"height": f"{FIGURE_HEIGHT}px"}), note


@callback(
    Output("training-configs", "children"),
    Output("training-configs-note", "children"),
    Input("training-chosen", "data"),
    Input("training-config-all", "value"),
    Input("training-statuses", "data"),
)
def compare_settings(ticked: list[str], is_all: bool, _statuses: Any) -> tuple[Any, str]:
    """The fields in which the ticked runs differ, or all of them."""
    chosen = [run for run in collect(workspace(), catalog()) if run.sae_id in ticked]
    rows = compare_configs(chosen)
    differing = [row for row in rows if row[2]]
    shown = rows if is_all or len(chosen) == 1 else differing
    note = f"the ticked runs differ in {len(differing)} of {plural(len(rows), 'field')}" if len(chosen) > 1 else ""
    return config_table([run.sae_id for run in chosen], shown), note


@callback(
    Output("training-href", "data"),
    Input("training-chosen", "data"),
    Input("training-smoothing", "value"),
    Input("training-log", "value"),
    Input("training-x", "value"),
    Input("training-place", "data"),
    State("training-runs", "rowData"),
    prevent_initial_call=True,
)
def name_view(
    ticked: list[str], smoothing: float | str, log: list[str], x: str, place: Any, rows: list[dict[str, Any]]
) -> str:
    """The URL of what is shown."""
    known = [row["id"] for row in rows]
    names = [name for name in known if name in ticked]
    is_all = len(names) == len(known) <= MOST_CHOSEN
    query = {**write_settings(_settings(smoothing, log, x)), **(place or {})}
    return urls.training(None if is_all else names or [NOTHING], **query)


# The table reports its ticks anew when it is drawn: only other ones are worth drawing.
clientside_callback(
    ClientsideFunction("training", "choose"),
    Output("training-chosen", "data"),
    Input("training-runs", "selectedRows"),
    State("training-chosen", "data"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("training", "zoom"),
    Output("training-zoom", "data"),
    *[Input(curve, "relayoutData") for curve in CURVES],
    Input("training-curve-more", "relayoutData"),
    Input({"type": "training-other", "name": ALL}, "relayoutData"),
    State("training-x", "value"),
    State("training-log", "value"),
    State("training-zoom", "data"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("training", "toggle"),
    Output("training-more-collapse", "is_open"),
    Output("training-more-button", "aria-expanded"),
    Input("training-more-button", "n_clicks"),
    State("training-more-collapse", "is_open"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("loupe", "writeUrl"),
    Output("shell-url-written", "data", allow_duplicate=True),
    Input("training-href", "data"),
    prevent_initial_call=True,
)
