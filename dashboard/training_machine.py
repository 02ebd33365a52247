"""The time machine of the Training page: one run, one of its snapshots and one feature, and everything drawn of them."""

from collections.abc import Sequence
from typing import Any

from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html, no_update

from dashboard import urls
from dashboard.components import figures as three_digits
from dashboard.components import plural
from dashboard.components.training import BLANK
from dashboard.components.training_history import (
    FIGURE_HEIGHT,
    HISTORY_WORDS,
    LEDGER_WORDS,
    body,
    controls,
    nothing,
)
from dashboard.context import catalog, workspace
from dashboard.figures.training_history import draw_density, draw_direction
from dashboard.figures.training_saes import draw_snapshot_densities
from dashboard.training_history import way_of
from dashboard.training_place import Place, View, facts_of, feature_words, followed, query, view_of, whole_number
from dashboard.training_runs import TrainingRun, collect
from dashboard.training_tables import died_rows, ledger_rows, moved_rows, nearest_rows
from loaders.errors import LoupeError


def machine(found: Sequence[TrainingRun], chosen: Sequence[TrainingRun], wanted: Place) -> html.Section:
    """The whole time machine for a URL: of the run it names, else of the first ticked one that has snapshots."""
    runs = followed(found)
    drawn = {run.sae_id for run in chosen}
    run = min(runs, key=lambda one: (one.sae_id != wanted.run, one.sae_id not in drawn), default=None)
    facts = facts_of(run, is_own=wanted.run is None)
    steps = facts["steps"] or [1]
    step = whole_number(wanted.step) if whole_number(wanted.step) in steps else steps[-1]
    feature = whole_number(wanted.feature)
    feature = feature if feature is not None and feature < facts["features"] else facts["default"]
    bar = controls([one.sae_id for one in runs], facts["run"], steps, step, feature, facts["features"])
    title = html.Div([html.H2("Time machine", className="section-title"), bar], className="section-bar")
    return html.Section(
        [
            dcc.Store(id="training-snapshots", data=facts),
            dcc.Store(id="training-place"),
            html.Div(None if facts["steps"] else nothing(), className="training-machine-none"),
            html.Div(title, className="training-machine-body"),
            html.P(_words(facts), id="training-history-words", className="training-words muted"),
            html.Div(body(), className="training-machine-body training-machine-panels"),
        ],
        id="training-machine",
        className=_class(facts),
        **{"aria-label": "Time machine"},
    )


def _words(facts: dict[str, Any]) -> list[Any]:
    return [HISTORY_WORDS, *(html.Strong(f" {sentence}") for sentence in facts["damaged"])]


def _class(facts: dict[str, Any]) -> str:
    return "training-machine" if facts["steps"] else "training-machine is-empty"


def register() -> None:
    """Declare the callbacks; called by the page whenever an app runs it."""

    @callback(
        Output("training-snapshots", "data"),
        Output("training-history-run", "options"),
        Output("training-history-run", "value"),
        Output("training-step", "max"),
        Output("training-step", "value"),
        Output("training-feature", "max"),
        Output("training-feature", "value"),
        Output("training-history-words", "children"),
        Output("training-machine", "className"),
        Input("training-history-run", "value"),
        Input("training-poll", "n_intervals"),
        Input("training-statuses", "data"),
        Input("shell-generation", "data"),
        State("training-snapshots", "data"),
        State("training-step", "value"),
        State("training-feature", "value"),
        prevent_initial_call=True,
    )
    def watch(
        name: str, _n: Any, _statuses: Any, _generation: Any, facts: dict[str, Any], at: Any, feature: Any
    ) -> Any:
        """Follow another run, or the same one as its snapshots arrive; at its newest one, stay with the newest."""
        is_other = name != facts["run"]
        if not is_other and name and workspace().snapshot_steps(name) == facts["steps"]:
            return [no_update] * 9
        runs = followed(collect(workspace(), catalog()))
        run = next((run for run in runs if run.sae_id == name), runs[0] if runs else None)
        found = facts_of(run, is_own=facts["is_own"] and not is_other)
        if found == facts:
            return [no_update] * 9
        old, steps = facts["steps"], found["steps"]
        shown = old[whole_number(at) or 0] if old and not is_other and (whole_number(at) or 0) < len(old) - 1 else None
        return [
            found,
            [run.sae_id for run in runs],
            found["run"],
            max(len(steps) - 1, 0),
            steps.index(shown) if shown in steps else max(len(steps) - 1, 0),
            found["features"] - 1,
            found["default"] if is_other or not old else feature,
            _words(found),
            _class(found),
        ]

    @callback(
        Output("training-then", "figure"),
        Output("training-then-title", "children"),
        Output("training-then-note", "children"),
        Output("training-step-words", "children"),
        Output("training-ledger", "rowData"),
        Output("training-ledger-words", "children"),
        Input("training-step", "value"),
        Input("training-snapshots", "data"),
    )
    def show_step(place: Any, facts: dict[str, Any]) -> Any:
        """Densities at the chosen step with those at the last one faintly behind, and the ledger of all steps."""
        view = view_of(place, facts)
        if view is None:
            return {"layout": BLANK}, "Densities", "", "", [], ""
        now, last = view.now, view.snapshots[-1]
        words = (f"step {now.step:,}", f"step {last.step:,}, the last")
        silent, dead = int((now.density == 0).sum()), int(now.is_dead.sum())
        note = f"exact, on {plural(now.rows, 'held-out row')} · {plural(silent, 'feature')} silent on them, not drawn"
        note += f" · {dead:,} dead in training · FVU {three_digits(now.fvu)} · grey: step {last.step:,}"
        rows = [{**row, "is_now": row["step"] == now.step} for row in ledger_rows(view.snapshots)]
        return (
            draw_snapshot_densities(now.density, last.density, facts["colour"], words, now.rows, height=FIGURE_HEIGHT),
            f"Densities at step {now.step:,}",
            note,
            f"{now.step:,} ({view.place + 1} of {len(view.snapshots)})",
            rows,
            LEDGER_WORDS.format(dead_after=f"{now.dead_after:,}"),
        )

    @callback(
        Output("training-direction", "figure"),
        Output("training-density", "figure"),
        Output("training-way-title", "children"),
        Output("training-way-note", "children"),
        Output("training-nearest", "rowData"),
        Output("training-nearest-title", "children"),
        Output("training-place", "data"),
        Input("training-step", "value"),
        Input("training-feature", "value"),
        Input("training-snapshots", "data"),
    )
    def show_feature(place: Any, number: Any, facts: dict[str, Any]) -> Any:
        """One feature over the steps, and what is nearest to it at the chosen one."""
        view, feature = view_of(place, facts), whole_number(number)
        blank = {"layout": BLANK}
        if view is None:
            return blank, blank, "Feature", "", [], "Nearest features", {}
        if feature is None or feature >= view.now.features:
            words = f"no such feature: wanted 0 to {view.now.features - 1:,}"
            return blank, blank, "Feature", words, [], "Nearest features", no_update
        try:
            way = way_of(view.snapshots, feature)
            rows = nearest_rows(view.snapshots, view.place, feature, facts["store"])
        except LoupeError as error:
            return blank, blank, f"Feature #{feature}", str(error), [], "Nearest features", no_update
        found, step, colour = way.trajectory, view.now.step, facts["colour"]
        counted = [snapshot.rows for snapshot in view.snapshots]
        return (
            draw_direction(found.step, way.to_start, way.to_end, step, colour, height=FIGURE_HEIGHT),
            draw_density(found.step, found.density, counted, step, colour, height=FIGURE_HEIGHT),
            f"Feature #{feature}",
            _feature_note(view, feature, way.to_end[view.place]),
            rows,
            f"Nearest to #{feature} at step {step:,}",
            query(view, feature),
        )

    @callback(
        Output("training-moved", "rowData"),
        Output("training-moved-note", "children"),
        Input("training-step", "value"),
        Input("training-moved-to", "value"),
        Input("training-snapshots", "data"),
    )
    def show_moved(place: Any, to: str, facts: dict[str, Any]) -> Any:
        """The features that turned farthest before or after the chosen step."""
        view = view_of(place, facts)
        try:
            return moved_rows(view.snapshots, view.place, to, facts["store"]) if view else ([], "")
        except LoupeError as error:
            return [], str(error)

    @callback(
        Output("training-died", "rowData"),
        Output("training-died-note", "children"),
        Input("training-step", "value"),
        Input("training-died-kind", "value"),
        Input("training-snapshots", "data"),
    )
    def show_died(place: Any, kind: str, facts: dict[str, Any]) -> Any:
        """Which features the ledger counts at the chosen step."""
        view = view_of(place, facts)
        return died_rows(view.snapshots, view.place, kind, facts["store"]) if view else ([], "")

    _register_in_browser()


def _feature_note(view: View, feature: int, to_end: float) -> list[Any]:
    words: list[Any] = [feature_words(view, feature, to_end)]
    if store := view.facts["store"]:
        words += [" · ", dcc.Link("open its page", href=urls.feature(store, feature))]
    return words


def _register_in_browser() -> None:
    clientside_callback(
        ClientsideFunction("training", "showMarks"),
        Output("training-step-marks", "data-shown"),
        Input("training-snapshots", "data"),
    )
    clientside_callback(
        ClientsideFunction("training", "play"),
        Output("training-play-clock", "disabled"),
        Output("training-step", "value", allow_duplicate=True),
        Input("training-play", "n_clicks"),
        Input("training-play-clock", "n_intervals"),
        State("training-play-clock", "disabled"),
        State("training-step", "value"),
        State("training-step", "max"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("training", "showPlaying"),
        Output("training-play", "data-state"),
        Input("training-play-clock", "disabled"),
        prevent_initial_call=True,
    )
