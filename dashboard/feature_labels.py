"""Labels on the Feature page: reads them, and the callbacks of the editor, which lose no text."""

from typing import Any

from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, ctx, no_update

from catalog.errors import StaleEdit
from catalog.labels import Label, get_label, history, put_label
from dashboard.access.callbacks import requires
from dashboard.components.label_editor import LabelText, base_data, conflict, history_data, label_title
from dashboard.context import catalog, signed, workspace
from loaders.errors import LoupeError
from loaders.store import Store

FIELDS = ("name", "notes", "author")


def newest(store: Store, feature: int) -> LabelText:
    """The newest version of a feature's label."""
    found = get_label(catalog(), store.sae_fingerprint, feature)
    return _text(found) if found else LabelText()


def versions(store: Store, feature: int) -> list[LabelText]:
    """All versions, newest first."""
    return [_text(label) for label in history(catalog(), store.sae_fingerprint, feature)]


def _text(label: Label) -> LabelText:
    return LabelText(label.name, label.notes, label.author, label.version, label.created_at)


def field_errors(sentence: str) -> list[str]:
    """The sentence beside the field that it is about: (name, notes, author)."""
    start = {"The notes": 1, "The author": 2, "A label needs an author": 2}
    at = next((position for words, position in start.items() if sentence.startswith(words)), 0)
    return [sentence if position == at else "" for position in range(len(FIELDS))]


def register() -> None:
    """Add the editor's callbacks; called by the page, once per app."""

    @callback(
        Output("feature-name", "value"),
        Output("feature-notes", "value"),
        Output("feature-base", "data"),
        Output("feature-version", "children"),
        Output("feature-conflict", "hidden"),
        *[Output(f"feature-{field}-error", "children") for field in FIELDS],
        Input("feature-edit", "n_clicks"),
        State("feature-place", "data"),
        prevent_initial_call=True,
    )
    def open_editor(clicks: int | None, place: dict[str, Any]) -> Any:
        """Start from what is saved now, not from what was saved when the page was opened."""
        if not clicks:
            return [no_update] * 8
        label = newest(workspace().open_store(place["store"]), place["feature"])
        words = f"version {label.version}" if label.version else "the first version"
        return label.name, label.notes, base_data(label), words, True, "", "", ""

    @callback(
        Output("feature-saved", "data"),
        Output("feature-title", "children"),
        Output("feature-status", "children"),
        Output("feature-history-data", "data"),
        Output("shell-author", "value", allow_duplicate=True),
        Output("feature-base", "data", allow_duplicate=True),
        Output("feature-theirs", "data"),
        Output("feature-conflict", "hidden", allow_duplicate=True),
        Output("feature-conflict-words", "children"),
        Output("feature-conflict-texts", "children"),
        *[Output(f"feature-{field}-error", "children", allow_duplicate=True) for field in FIELDS],
        Input("feature-save", "n_clicks"),
        Input("feature-save-mine", "n_clicks"),
        State("feature-name", "value"),
        State("feature-notes", "value"),
        State("feature-author", "value"),
        State("feature-base", "data"),
        State("feature-theirs", "data"),
        State("feature-place", "data"),
        prevent_initial_call=True,
        running=[
            (Output("feature-save", "disabled"), True, False),
            (Output("feature-save-mine", "disabled"), True, False),
        ],
    )
    @requires("labeller")
    def save(
        _save: Any,
        _mine: Any,
        name: Any,
        notes: Any,
        author: Any,
        base: dict[str, Any],
        theirs: Any,
        place: dict[str, Any],
    ) -> list[Any]:
        """Save the next version; a stale edit comes back with both texts, a bad text with its sentence."""
        if not ctx.triggered or not ctx.triggered[0]["value"]:
            return [no_update] * 13
        store, feature = workspace().open_store(place["store"]), place["feature"]
        seen = theirs["version"] if ctx.triggered_id == "feature-save-mine" and theirs else base["version"]
        try:
            saved = put_label(
                catalog(), store.sae_id, store.sae_fingerprint, feature, name or "", notes or "", signed(author), seen
            )
        except StaleEdit as error:
            current, mine = _text(error.current), LabelText(name or "", notes or "")
            return [
                *[no_update] * 6,
                base_data(current),
                False,
                str(error),
                conflict(current, mine),
                *[""] * 3,
            ]
        except LoupeError as error:
            return [*[no_update] * 10, *field_errors(str(error))]
        label = _text(saved)
        return [
            saved.version,
            label_title(label),
            f"Saved as version {saved.version}.",
            history_data(versions(store, feature)),
            saved.author,
            base_data(label),
            None,
            True,
            "",
            [],
            *[""] * 3,
        ]

    @callback(
        Output("feature-name", "value", allow_duplicate=True),
        Output("feature-notes", "value", allow_duplicate=True),
        Output("feature-base", "data", allow_duplicate=True),
        Output("feature-title", "children", allow_duplicate=True),
        Output("feature-history-data", "data", allow_duplicate=True),
        Output("feature-conflict", "hidden", allow_duplicate=True),
        Input("feature-take-theirs", "n_clicks"),
        State("feature-place", "data"),
        prevent_initial_call=True,
    )
    def take_theirs(clicks: int | None, place: dict[str, Any]) -> Any:
        """Drop one's own texts for the saved ones."""
        if not clicks:
            return [no_update] * 6
        store, feature = workspace().open_store(place["store"]), place["feature"]
        found = versions(store, feature)
        label = found[0] if found else LabelText()
        return label.name, label.notes, base_data(label), label_title(label), history_data(found), True

    @callback(Output("feature-history-data", "data", allow_duplicate=True), Input("feature-place", "data"),
              prevent_initial_call="initial_duplicate")  # fmt: skip
    def show_history(place: dict[str, Any]) -> dict[str, Any]:
        """All versions of the label."""
        return history_data(versions(workspace().open_store(place["store"]), place["feature"]))

    clientside_callback(
        ClientsideFunction("labels", "open"),
        Output("feature-edit", "data-opened"),
        Input("feature-edit", "n_clicks"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("labels", "close"),
        Output("feature-editor", "data-closed"),
        Input("feature-saved", "data"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("labels", "typed"),
        Output("feature-name-count", "children"),
        Output("feature-name-count", "className"),
        Output("feature-notes-count", "children"),
        Output("feature-notes-count", "className"),
        Output("feature-editor", "data-changed"),
        Input("feature-name", "value"),
        Input("feature-notes", "value"),
        Input("feature-base", "data"),
    )
