"""Dictionary files on the Labels page: download the labels, or upload a file, see what it would change, then save that."""

import base64
import binascii
from typing import Any

import dash_bootstrap_components as dbc
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html, no_update

from catalog.dictionary.differences import Change, Differences
from catalog.dictionary.importing import Importer, apply_differences
from catalog.dictionary.problems import FileRefused
from catalog.dictionary.writing import TYPES
from catalog.errors import StaleEdits
from dashboard import urls
from dashboard.access.callbacks import requires
from dashboard.access.visitor import may
from dashboard.components import empty_state, icon, panel, plural
from dashboard.context import catalog, workspace
from dashboard.label_importing import MOST_BYTES, read_import
from dashboard.labels_view import View
from loaders.errors import BadInput
from loaders.store import Store

MOST_SHOWN = 200
SIGNS = {"added": "new", "changed": "changed", "conflicts": "conflict"}
CONFLICTS = {"keep": "leave theirs", "replace": "save the file's on top"}


def body(store: Store, _view: View) -> list[Any]:
    """Both directions, and how labels go over to another SAE."""
    return [_export(store), *([_import()] if may("labeller") else []), _carry(store)]


def _export(store: Store) -> html.Section:
    links = [
        html.A(
            [icon("down"), kind],
            href=urls.api("stores", store.id, "labels", "export", format=kind),
            className="button",
            download="",
        )
        for kind in TYPES
    ]
    everything = html.A(
        [icon("history"), "json with history"],
        href=urls.api("stores", store.id, "labels", "export", format="json", history="yes"),
        className="button",
        download="",
    )
    return panel(
        "Export", html.Div([*links, everything], className="row-gap"), note="the newest version of every label"
    )


def _import() -> html.Section:
    drop = dcc.Upload(
        html.Div([icon("down"), "Drop a file here, or ", html.Span("choose one", className="link-words")]),
        id="files-upload",
        max_size=MOST_BYTES,
        className="files-drop",
    )
    note = (
        "JSON, YAML, CSV, Neuronpedia explanations, mi-crow's and SplatNLP's files; nothing changes before you say so"
    )
    return panel(
        "Import",
        [drop, html.Div(id="files-plan"), dcc.Store(id="files-expected")],
        note=note,
        class_name="files-import",
    )


def _carry(store: Store) -> html.Section:
    command = html.Code(f"loupe labels carry {store.sae_id} OTHER-SAE")
    words = [
        "Labels go over to a retrained or another SAE through matched features: ",
        command,
        " shows what would be inherited, and --apply saves it. Inherited labels are marked as such, with their source and score.",
    ]
    return panel("Carry over to another SAE", html.P(words))


def read_upload(contents: str) -> bytes:
    """The bytes of an upload as dcc.Upload sends them. Raises BadInput."""
    try:
        data = base64.b64decode(contents.partition(",")[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput("The upload arrived incomplete: choose the file again.") from error
    if len(data) > MOST_BYTES:
        raise BadInput(
            f"Up to {MOST_BYTES >> 20} MiB are read: found {len(data) / 2**20:.1f} MiB. Use 'loupe labels import'."
        )
    return data


def plan(found: Differences, importer: Importer) -> list[Any]:
    """Every change with old and new, and the button that saves exactly these."""
    changes = [(kind, each) for kind in SIGNS for each in getattr(found, kind)]
    counts = ", ".join(
        f"{len(getattr(found, kind)):,} {words}"
        for kind, words in (("added", "new"), ("changed", "changed"), ("conflicts", "in conflict"), ("unchanged", "unchanged"))
    )  # fmt: skip
    if not changes:
        return [empty_state("This file changes nothing", f"{counts}.", icon_name="check")]
    heads = ("Line", "Feature", "", "Now", "Then", "By")
    head = html.Thead(html.Tr([html.Th(words, scope="col") for words in heads]))
    rows = [_row(kind, each, importer) for kind, each in changes[:MOST_SHOWN]]
    more = f" The first {MOST_SHOWN} are shown." if len(changes) > MOST_SHOWN else ""
    ask_conflicts = [
        html.Span(f"{plural(len(found.conflicts), 'conflict')}:"),
        dbc.RadioItems(id="files-conflicts", options=CONFLICTS, value="keep", inline=True, className="segmented"),
    ]
    return [
        html.P(f"{importer.file}: {counts}.{more}", className="files-counts"),
        html.Div(html.Table([head, html.Tbody(rows)], className="data-table files-changes"), className="scroll-x"),
        html.Div(
            [
                html.Div(ask_conflicts, className="row-gap", hidden=not found.conflicts),
                html.Button(
                    [icon("check"), "Save these changes"], id="files-apply", className="button button-primary writes"
                ),
            ],
            className="row-gap files-foot",
        ),
    ]


def _row(kind: str, change: Change, importer: Importer) -> html.Tr:
    return html.Tr(
        [
            html.Td(f"{change.entry.line:,}", className="num"),
            html.Td(f"#{change.feature_id}", className="num"),
            html.Td([SIGNS[kind], html.Div(change.reason, className="muted") if change.reason else None]),
            html.Td(_texts(change.old, change.fields)),
            html.Td(_texts(change.new, change.fields)),
            html.Td(importer.author_of(change.entry)),
        ]
    )


def _texts(values: dict[str, Any] | None, fields: list[str]) -> list[Any]:
    if values is None:
        return [html.Span("no label", className="muted")]
    return [
        html.Div([html.Span(f"{field}: ", className="muted") if field != "name" else None, _text(values[field])])
        for field in fields
    ]


def _text(value: Any) -> str:
    text = "(none)" if value in (None, "") else str(value)
    return text if len(text) <= 300 else f"{text[:300]} …"


def problems(error: FileRefused) -> html.Div:
    """Every problem of a refused file with its line."""
    more = error.count - len(error.problems)
    lines = [html.Li(str(each)) for each in error.problems]
    return html.Div(
        [
            html.P(f"Nothing was imported: {plural(error.count, 'problem')}. Correct the file and choose it again."),
            html.Ul([*lines, *([html.Li(f"and {plural(more, 'more problem')}")] if more else [])]),
        ],
        className="editor-conflict",
        role="alert",
    )


def _anew(found: Differences, importer: Importer) -> tuple[Any, ...]:
    """What the file would change by now, to be saved instead; a file that changes nothing any more may be chosen again."""
    words = "Labels were saved since this was shown: nothing was imported. This is what the file would change now."
    said = html.P(words, className="editor-conflict", role="alert")
    is_over = not (found.added or found.changed or found.conflicts)
    return [said, *plan(found, importer)], no_update, None if is_over else no_update, found.digest


def register() -> None:
    """Add the callbacks of the upload; called by the page, once per app."""
    clientside_callback(
        ClientsideFunction("labelling", "nameUpload"), Output("files-plan", "data-named"), Input("files-upload", "id")
    )

    @callback(
        Output("files-plan", "children"),
        Output("files-expected", "data"),
        Input("files-upload", "contents"),
        State("files-upload", "filename"),
        State("labels-place", "data"),
        prevent_initial_call=True,
    )
    @requires("labeller")
    def show_plan(contents: str | None, file: str | None, place: dict[str, Any]) -> Any:
        """Show what the file would change; nothing is changed."""
        if not contents:
            return no_update, no_update
        try:
            asked = read_import(workspace().open_store(place["store"]), read_upload(contents), str(file))
        except FileRefused as error:
            return problems(error), None
        return plan(asked.differences, asked.importer), asked.differences.digest

    @callback(
        Output("files-plan", "children", allow_duplicate=True),
        Output("bulk-done", "data", allow_duplicate=True),
        Output("files-upload", "contents"),
        Output("files-expected", "data", allow_duplicate=True),
        Input("files-apply", "n_clicks"),
        State("files-upload", "contents"),
        State("files-upload", "filename"),
        State("files-expected", "data"),
        State("files-conflicts", "value"),
        State("labels-place", "data"),
        prevent_initial_call=True,
        running=[(Output("files-apply", "disabled"), True, False)],
    )
    @requires("labeller")
    def apply(
        clicks: int | None, contents: str, file: str, expected: str, conflicts: str, place: dict[str, Any]
    ) -> Any:
        """Save exactly what was shown; where labels have changed since, show it anew instead."""
        if not clicks:
            return (no_update,) * 4
        store = workspace().open_store(place["store"])
        _, found, importer = read_import(store, read_upload(contents), str(file))
        if found.digest != expected:
            return _anew(found, importer)
        try:
            saved = apply_differences(catalog(), importer, found, with_conflicts=conflicts == "replace")
        except StaleEdits:
            _, found, importer = read_import(store, read_upload(contents), str(file))
            return _anew(found, importer)
        words = f"{plural(len(saved), 'version')} saved from {file}."
        return (
            html.P(words, role="status", className="files-counts"),
            {"store": store.id, "words": words, "undo": []},
            None,
            None,
        )
