"""Labels: what people say about a store's features, who says what next, where two differ, lists, and dictionary files."""

from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html, no_update

from dashboard import (
    bulk_labels,
    labels_bookmarks,
    labels_files,
    labels_lists,
    labels_queue,
    labels_reviews,
    labels_table,
    urls,
)
from dashboard.access.callbacks import requires
from dashboard.access.visitor import visitor
from dashboard.components import empty_state
from dashboard.components.bulk import bulk_dialog
from dashboard.components.label_editor import editor_stores, label_editor
from dashboard.components.labels import progress_lines, tabs
from dashboard.context import author, workspace
from dashboard.known_labels import known_labels
from dashboard.labelling import progress
from dashboard.labels_view import TABS, View
from loaders.errors import BadInput, StoreNotFound
from loaders.store import Store

BODIES = {
    "labels": labels_table.body,
    "queue": labels_queue.body,
    "reviews": labels_reviews.body,
    "lists": labels_lists.body,
    "files": labels_files.body,
}
ACTIONS = {**labels_queue.ACTIONS, **labels_reviews.ACTIONS, **labels_lists.ACTIONS, **labels_bookmarks.ACTIONS}
bulk_labels.register()
labels_table.register()
labels_queue.register()
labels_files.register()


def layout(store: str | None = None, **query: Any) -> html.Div:
    """The page of a store, its view restored from the address; without a store the first one's."""
    first = next((one for members in workspace().sets().values() for one in members), None)
    shown = store or first
    if shown is None:
        words = "The pipeline writes one store per SAE; labels belong to their features."
        action = dcc.Link("See the pipeline on Home", href=urls.home())
        return _page([html.Section(empty_state("No store is ready yet", words, action=action), className="panel")])
    try:
        opened = workspace().open_store(shown)
    except StoreNotFound as error:
        action = dcc.Link("Go to Home", href=urls.home())
        return _page(
            [html.Section(empty_state("There is no such store", str(error), action=action), className="panel")]
        )
    view = View.read(query)
    return _page(
        [
            dcc.Store(id="labels-place", data={"store": opened.id, "view": view._asdict()}),
            dcc.Store(id="labels-do"),
            html.Div(_progress(opened), id="labels-progress"),
            tabs(_tabs(opened, view)),
            html.P(id="labels-said", className="labels-said", role="status"),
            html.Div(BODIES[view.tab](opened, view), id="labels-body", className="stack"),
            *editor_stores(),
            label_editor(author(), is_known=visitor().is_person),
            bulk_dialog(),
        ],
        opened,
    )  # fmt: skip


dash.register_page(__name__, path_template="/labels/<store>", title="Labels · Loupe", layout=layout)
dash.register_page("pages.labels_first", path="/labels", title="Labels · Loupe", layout=layout)


def _tabs(store: Store, view: View) -> dict[str, tuple[str, bool]]:
    """The tabs' addresses; the table's filters go along."""
    return {
        words: (urls.labels(store.id, **view._replace(tab=tab, list="").query()), tab == view.tab)
        for tab, words in TABS.items()
    }


def _page(children: list[Any], store: Store | None = None) -> html.Div:
    lead = [html.Span(store.sae_id, className="token-text"), f"  labels of {store.hook}"] if store else []
    header = html.Header(
        [html.H1("Labels", className="page-title"), html.Span(lead, className="page-lead num")], className="page-header"
    )
    return html.Div([header, *children], className="page labels-page")


def _progress(store: Store) -> Any:
    return progress_lines(progress(store, known_labels(store)), store.samples, store.dataset.id)


@callback(
    Output("labels-body", "children"),
    Output("labels-progress", "children"),
    Output("labels-said", "children"),
    Input("labels-do", "data"),
    State("labels-place", "data"),
    prevent_initial_call=True,
    running=[(Output("labels-body", "aria-busy"), "true", "false")],
)
@requires("labeller")
def act(asked: dict[str, Any] | None, place: dict[str, Any]) -> Any:
    """Do what a button asks for, then show the tab as it is now; what was typed stays where it is refused."""
    if not asked:
        return (no_update,) * 3
    if asked.get("do") not in ACTIONS:
        raise BadInput(f"The Labels page cannot do '{str(asked.get('do'))[:40]}': reload it.")
    store, view = workspace().open_store(place["store"]), View.read(place["view"])
    said = ACTIONS[str(asked["do"])](store, asked)
    return BODIES[view.tab](store, view), _progress(store), said


@callback(
    Output("labels-body", "children", allow_duplicate=True),
    Output("labels-progress", "children", allow_duplicate=True),
    Output("labels-said", "children", allow_duplicate=True),
    Input("label-saved", "data"),
    Input("bulk-done", "data"),
    State("labels-place", "data"),
    prevent_initial_call=True,
)
def follow(saved: dict[str, Any] | None, done: dict[str, Any] | None, place: dict[str, Any]) -> Any:
    """After a label was saved here: progress anew, and the tab; the table reads its rows by itself, an import has said so."""
    if not saved and not done:
        return (no_update,) * 3
    store, view = workspace().open_store(place["store"]), View.read(place["view"])
    body = no_update if view.tab in ("labels", "files") else BODIES[view.tab](store, view)
    return body, _progress(store), ""


clientside_callback(
    ClientsideFunction("labelling", "refresh"),
    Output("labels-progress", "data-refreshed"),
    Input("label-saved", "data"),
    Input("bulk-done", "data"),
    prevent_initial_call=True,
)
