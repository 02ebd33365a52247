"""Labels of many features at once: the same name or category for all, cleared, or on a list; all or nothing, with a way back."""

from typing import Any

from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, ctx, html, no_update

from catalog.dictionary.importing import newest_of
from catalog.errors import StaleEdits
from catalog.label_text import Edit, Label
from catalog.labels import put_labels, words_used
from catalog.lists import add_to_list, lists, make_list
from catalog.undoing import undo_edits
from dashboard.access.callbacks import requires
from dashboard.components import plural
from dashboard.context import author, catalog, workspace
from dashboard.labelling import MOST
from loaders.errors import BadInput, LoupeError
from loaders.store import Store

STALE_SHOWN = 6


def bulk_edits(
    store: Store, features: list[int], seen: dict[int, int | None], how: str, texts: tuple[str, str], person: str
) -> list[Edit]:
    """What each label shall say; `seen` are the versions that the person looked at. Raises BadInput where nothing is asked.

    `how`: 'name' (name, and category where one is given), 'category' or 'clear'; the last two pass over features without
    a label. What is not asked for stays as it is.
    """
    name, category = (text.strip() for text in texts)
    if how == "name" and not name:
        raise BadInput("The name is empty: write the one that all of them shall have, or choose 'Clear'.")
    current = newest_of(catalog(), store.sae_fingerprint)
    edits = []
    for feature in features:
        label = current.get(feature)
        if how != "name" and (label is None or label.is_cleared):
            continue
        edit = Edit(store.sae_id, store.sae_fingerprint, feature, name, "", person, seen.get(feature))
        if how == "clear":
            edit = edit._replace(name="")
        elif label is not None:
            edit = edit._replace(
                name=name if how == "name" else label.name,
                notes=label.notes,
                category=category if category or how == "category" else label.category,
                confidence=label.confidence,
                evidence=label.evidence,
            )
        else:
            edit = edit._replace(category=category)
        edits.append(edit)
    if not edits:
        raise BadInput(_nothing_to_save(len(features), len(seen)))
    return edits


def put_on_list(store: Store, features: list[int], name: str, person: str) -> str:
    """Add the features to the list of that name, which begins here if need be; what happened, in words."""
    name = name.strip()
    known = {each.name: each.list_id for each in lists(catalog())}
    list_id = known[name] if name in known else make_list(catalog(), name, person).list_id
    new = add_to_list(catalog(), list_id, store.sae_id, store.sae_fingerprint, features, person)
    there = len(features) - new
    return f"{plural(new, 'feature')} added to “{name}”" + (f", {there} were on it." if there else ".")


def summary(features: list[int], current: dict[int, Label]) -> str:
    """How many are chosen and how many of them have a label."""
    named = sum(feature in current and bool(current[feature].name) for feature in features)
    return f"{plural(len(features), 'feature')}, {named} with a label."


def stale_lines(error: StaleEdits) -> list[str]:
    """Whose labels stand in the way, the first of them one by one."""
    lines = [
        f"#{each.current.feature_id}: “{each.current.name or '(cleared)'}” by {each.current.author}, "
        f"version {each.current.version}"
        for each in error.stale[:STALE_SHOWN]
    ]
    more = len(error.stale) - STALE_SHOWN
    return [*lines, f"and {plural(more, 'other')}"] if more > 0 else lines


def undo_refused(error: StaleEdits) -> str:
    """Why none of the labels was taken back, and where to go on."""
    return (
        f"Nothing was undone, because others have saved since: {'; '.join(stale_lines(error))}. "
        "Restore each label from its feature's history instead."
    )


def register() -> None:
    """Add the dialog's callbacks; they work on every page that shows it."""

    @callback(
        Output("bulk-words", "children"),
        Output("bulk-seen", "data"),
        Output("bulk-categories", "children"),
        Output("bulk-lists", "children"),
        Output("bulk-error", "children"),
        Output("bulk-stale", "hidden"),
        Input("bulk-place", "data"),
        prevent_initial_call=True,
    )
    def open_dialog(place: dict[str, Any] | None) -> Any:
        """Say what was chosen and keep which versions were seen."""
        if not place:
            return (no_update,) * 6
        store, features = _place(place)
        current = newest_of(catalog(), store.sae_fingerprint)
        seen = {str(f): current[f].version if f in current else None for f in features}
        categories = [html.Option(value=word) for word in words_used(catalog(), store.sae_fingerprint, "category")]
        named = [html.Option(value=each.name) for each in lists(catalog())]
        return summary(features, current), seen, categories, named, "", True

    @callback(
        Output("bulk-done", "data"),
        Output("bulk-error", "children", allow_duplicate=True),
        Output("bulk-stale", "hidden", allow_duplicate=True),
        Output("bulk-stale-words", "children"),
        Output("bulk-stale-list", "children"),
        Output("bulk-stale-seen", "data"),
        Input("bulk-save", "n_clicks"),
        Input("bulk-mine", "n_clicks"),
        Input("bulk-leave", "n_clicks"),
        State("bulk-place", "data"),
        State("bulk-seen", "data"),
        State("bulk-stale-seen", "data"),
        State("bulk-how", "value"),
        State("bulk-name", "value"),
        State("bulk-category", "value"),
        State("bulk-list", "value"),
        prevent_initial_call=True,
        running=[(Output(f"bulk-{each}", "disabled"), True, False) for each in ("save", "mine", "leave")],
    )
    @requires("labeller")
    def save(
        _save: Any, _mine: Any, _leave: Any, place: Any, seen: Any, theirs: Any, how: str, name: Any, category: Any, list_: Any
    ) -> Any:  # fmt: skip
        """Save all or nothing; where somebody was quicker, say whose labels these are and ask."""
        if not ctx.triggered or not ctx.triggered[0]["value"]:
            return (no_update,) * 6
        store, features = _place(place)
        versions = {int(f): version for f, version in (seen or {}).items()}
        if ctx.triggered_id == "bulk-mine":
            versions |= {int(f): version for f, version in (theirs or {}).items()}
        elif ctx.triggered_id == "bulk-leave":
            features = [f for f in features if str(f) not in (theirs or {})]
        try:
            if not features:
                raise BadInput(_nothing_to_save(0, len(versions)))
            if how == "list":
                done: dict[str, Any] = {"words": put_on_list(store, features, list_ or "", author()), "undo": []}
            else:
                edits = bulk_edits(store, features, versions, how, (name or "", category or ""), author())
                saved = put_labels(catalog(), edits)
                words = f"{plural(len(saved), 'label')} {'cleared' if how == 'clear' else 'saved'}."
                done = {"words": words, "undo": [[label.feature_id, label.version] for label in saved]}
        except StaleEdits as error:
            newer = {str(each.current.feature_id): each.current.version for each in error.stale}
            return no_update, "", False, str(error), [html.Li(line) for line in stale_lines(error)], newer
        except LoupeError as error:
            return no_update, str(error), True, "", [], None
        return {"store": store.id, **done}, "", True, "", [], None

    @callback(
        Output("bulk-done", "data", allow_duplicate=True),
        Input("bulk-undo", "n_clicks"),
        State("bulk-done", "data"),
        prevent_initial_call=True,
    )
    @requires("labeller")
    def undo(clicks: int | None, done: dict[str, Any] | None) -> Any:
        """Take the last bulk edit back; what it saved stays in the history."""
        if not clicks or not done or not done["undo"]:
            return no_update
        store = workspace().open_store(done["store"])
        pairs = [(int(feature), int(version)) for feature, version in done["undo"]]
        try:
            saved = undo_edits(catalog(), store.sae_id, store.sae_fingerprint, pairs, author())
        except StaleEdits as error:
            return {"store": store.id, "words": undo_refused(error), "undo": []}
        return {"store": store.id, "words": f"{plural(len(saved), 'label')} as before.", "undo": []}

    clientside_callback(
        ClientsideFunction("labelling", "selected"),
        Output("bulk-count", "children"),
        Output("bulk-bar", "data-selected"),
        Input("bulk-selected", "data"),
    )
    clientside_callback(
        ClientsideFunction("labelling", "how"), Output("bulk-dialog", "data-how"), Input("bulk-how", "value")
    )
    clientside_callback(
        ClientsideFunction("labelling", "done"),
        Output("bulk-said", "children"),
        Output("bulk-undo", "hidden"),
        Input("bulk-done", "data"),
    )


def _nothing_to_save(features: int, chosen: int) -> str:
    if not features:
        return "Nothing is left to save: all of the chosen features are left out, close this or choose others."
    if features < chosen:
        return "Nothing is left to save: the features that stay have no label, give them a name first."
    return "None of these features has a label: give them a name first."


def _place(place: dict[str, Any]) -> tuple[Store, list[int]]:
    store = workspace().open_store(str(place["store"]))
    features = [int(feature) for feature in place["features"]]
    if len(features) > MOST:
        raise BadInput(f"Up to {MOST:,} features are edited at once: found {len(features):,}.")
    if not all(0 <= feature < store.features for feature in features):
        raise BadInput(
            f"Store '{store.id}' has features 0 to {store.features - 1:,}: reload the page and choose again."
        )
    return store, features
