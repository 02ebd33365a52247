"""Home: the SAEs of the workspace with their quality, where the pipeline is, where to start."""

from shlex import quote
from typing import Any

import dash
from dash import Input, Output, State, callback, dcc, html, no_update

from catalog.jobs import Job, jobs
from catalog.runs import runs
from dashboard import context, urls
from dashboard.components import empty_state, plural
from dashboard.components.home import Line, Step, pipeline, sae_table, start_links
from dashboard.home_rows import SaeSet, collect_sets
from dashboard.hub_panel import show_hub

dash.register_page(__name__, path="/", title="Loupe")

POLL_MS = 1_000


def layout(**_: str) -> html.Div:
    """The whole page as it is now; it polls only while the pipeline works."""
    found, steps = collect_sets(context.workspace(), runs(context.catalog())), jobs(context.catalog())
    offered, is_waiting = show_hub(context.workspace())
    return html.Div(
        [
            html.Header(
                [
                    html.H1("Loupe", className="page-title"),
                    html.Span(
                        "What each feature of a sparse autoencoder responds to, and how well.", className="page-lead"
                    ),
                ],
                className="page-header",
            ),
            dcc.Interval(id="home-poll", interval=POLL_MS, disabled=not _is_busy(steps)),
            dcc.Store(id="home-shown", data=_signature(found)),
            html.Div(_pipeline(steps), id="home-pipeline"),
            html.Div(_sets(found, steps), id="home-sets", className="stack"),
            dcc.Interval(id="home-hub-poll", interval=POLL_MS, disabled=not is_waiting),
            html.Div(offered, id="home-hub"),
        ],
        className="page home",
    )


def _is_busy(steps: list[Job]) -> bool:
    return any(step.status in ("running", "waiting") for step in steps)


def _signature(found: list[SaeSet]) -> list[Any]:
    sets: list[Any] = [[one.id, [[row.sae, row.state, row.store] for row in one.rows]] for one in found]
    return [sets, context.workspace().playlist_names()]


def _pipeline(steps: list[Job]) -> Any:
    if not steps:
        return None
    shown = [Step(s.title, s.status, s.done, s.total, s.unit, s.note, s.eta_seconds) for s in steps]
    return pipeline(shown)


def _sets(found: list[SaeSet], steps: list[Job]) -> list[Any]:
    """One panel per set; before the first one, words that say what is coming or what to run."""
    if not found:
        return [html.Section(_first_words(steps), className="panel")]
    panels: list[Any] = [_set_panel(one) for one in found]
    first = next((row.store for one in found for row in one.rows if row.store), None)
    if first is None:
        words = "This page fills in by itself; the Explorer opens when the first SAE's features have been read out."
        return [
            html.Section(empty_state("The first SAE is on its way", words, icon_name="clock"), className="panel"),
            *panels,
        ]
    return [_start(first, found), *panels]


def _first_words(steps: list[Job]) -> Any:
    if _is_busy(steps):
        return empty_state(
            "The pipeline is running",
            "It reads the texts, trains one SAE per layer and reads their features out. This page fills in by itself, "
            "and the Explorer opens when the first layer is ready.",
            icon_name="clock",
        )
    command = html.Code(f"loupe demo --workspace {quote(str(context.workspace().root))}")
    return empty_state(
        "This workspace is empty",
        [
            "Run ",
            command,
            " to build the demo here, or ",
            html.Code("loupe build"),
            " for a model and texts of your own.",
        ],
        icon_name="layers",
    )


def _start(store: str, found: list[SaeSet]) -> Any:
    links = [
        ("table", "Explore the features", f"Sort, filter and map every feature of {store}.", urls.explorer(store)),
        (
            "tags",
            "Name what they mean",
            f"The features of {store} that are worth a label next.",
            urls.labels(store, tab="queue"),
        ),
        ("graph-up", "Watch the training", "Curves of every run, live while one trains.", urls.training()),
    ]
    several = next((one for one in found if one.id and sum(row.store is not None for row in one.rows) > 1), None)
    if several is not None and several.id is not None:
        links.append(
            (
                "layers",
                "Follow features through the layers",
                f"Matches across the SAEs of {several.id}.",
                urls.layers(several.id),
            )
        )
    if playlists := context.workspace().playlist_names():
        only = playlists[0] if len(playlists) == 1 else None
        named = f"the playlist {only}" if only else plural(len(playlists), "playlist")
        links.append(("present", "Present", f"Lead visitors through {named}, in large type.", urls.present(only)))
    return start_links(links)


def _set_panel(one: SaeSet) -> Any:
    lines = [
        Line(
            row.sae, urls.explorer(row.store) if row.store else None, row.hook, row.state, row.is_ready, row.quality,
            row.features, row.samples,
        )
        for row in one.rows
    ]  # fmt: skip
    note = f"{plural(len(lines), 'SAE')} of {one.model} on {one.dataset}"
    return sae_table(one.id or (lines[0].name if len(lines) == 1 else "SAEs that stand alone"), note, lines)


@callback(
    Output("home-pipeline", "children"),
    Output("home-sets", "children"),
    Output("home-shown", "data"),
    Output("home-poll", "disabled"),
    Input("home-poll", "n_intervals"),
    Input("shell-generation", "data"),
    State("home-shown", "data"),
    prevent_initial_call=True,
)
def follow_pipeline(_n: int, _generation: Any, known: list[Any]) -> Any:
    """Move the bars every second, and fill the sets in when something about them has changed."""
    found, steps = collect_sets(context.workspace(), runs(context.catalog())), jobs(context.catalog())
    now = _signature(found)
    sets = no_update if now == known else _sets(found, steps)
    return _pipeline(steps), sets, now, not _is_busy(steps)


@callback(
    Output("home-hub", "children"),
    Output("home-hub-poll", "disabled"),
    Input("home-hub-poll", "n_intervals"),
    Input("shell-generation", "data"),
    prevent_initial_call=True,
)
def follow_hub(_n: int, _generation: Any) -> Any:
    """Show what the hub has as soon as it answers, and what came into the workspace meanwhile."""
    offered, is_waiting = show_hub(context.workspace())
    return offered, not is_waiting
