"""The label editor's callbacks: it opens on what is saved now, and loses no text, whoever else saves."""

import time
import uuid
from typing import Any

from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, ctx, html, no_update

from catalog.errors import StaleEdit
from catalog.evidence import read_place
from catalog.label_text import Label
from catalog.labels import get_label, put_label, words_used
from catalog.reviews import is_under_review, review_of, submit_blind
from dashboard.access.callbacks import requires
from dashboard.components.label_editor import NO_EVIDENCE, conflict
from dashboard.components.label_words import FIELDS, LabelText
from dashboard.context import author, catalog, signed, workspace
from dashboard.feature_panels import strongest
from dashboard.label_queue import own_claim
from dashboard.label_reading import origin_words, text_of
from loaders.errors import BadInput, LoupeError
from loaders.store import Store

ERRORS = ("name", "category", "confidence", "notes", "evidence", "author")
STARTS = {  # how a sentence begins -> the field that it stands beside; anything else stands beside the name
    "The notes": "notes",
    "The author": "author",
    "A label needs an author": "author",
    "The category": "category",
    "A confidence": "confidence",
    "The evidence": "evidence",
}
REVIEWED = {
    "waiting": "Saved; nobody sees it until a second person has spoken.",
    "differs": "Saved. The two of you differ: a third person decides.",
    "decided": "Saved. Two people said the same: that is the label now.",
}


def field_errors(sentence: str) -> list[str]:
    """The sentence beside the field that it is about, in the order of ERRORS."""
    at = next((field for start, field in STARTS.items() if sentence.startswith(start)), "name")
    return [sentence if field == at else "" for field in ERRORS]


def base_data(store: Store, feature: int, label: LabelText) -> dict[str, Any]:
    """The texts and the version that an edit of a feature starts from, and the key by which it is saved no more than once."""
    texts = {field: getattr(label, field) for field in FIELDS}
    return {**texts, "store": store.id, "feature": feature, "version": label.version, "key": uuid.uuid4().hex}


def read_edit(name: Any, category: Any, confidence: Any, notes: Any, evidence: Any) -> LabelText:
    """What the dialog's fields say. Raises BadInput."""
    try:
        said = str(confidence or "").strip().removesuffix("%").strip() if confidence != 0 else "0"
        sure = float(said) / 100 if said else None
    except (TypeError, ValueError) as error:
        raise BadInput(f"A confidence is a number of per cent: found '{str(confidence)[:40]}'.") from error
    if sure is not None and not 0 <= sure <= 1:
        raise BadInput(f"A confidence is from 0 to 100 per cent: found {confidence}.")
    place = "" if evidence in (None, NO_EVIDENCE) else str(evidence)
    try:
        read_place(place)
    except BadInput as error:
        raise BadInput("The evidence is a context of a store: choose one of the list.") from error
    return LabelText(str(name or ""), str(notes or ""), category=str(category or ""), confidence=sure, evidence=place)


def evidence_options(store: Store, feature: int, chosen: str) -> list[dict[str, str]]:
    """The strongest examples to point at, and what is pointed at now."""
    found = [{"value": NO_EVIDENCE, "label": "none"}]
    for item in strongest(store, feature).items:
        words = " ".join("".join(item.pieces).split())[:60]
        place = f"{store.id}/{item.context}/{item.position}"
        found.append({"value": place, "label": f"context {item.context:,}, position {item.position}: {words}"})
    if chosen and all(option["value"] != chosen for option in found):
        found.append({"value": chosen, "label": chosen})
    return found


def _claim_words(store: Store, feature: int, person: str) -> str:
    """What the person should know before they save: that the feature is theirs, that it is double-blind."""
    claim = own_claim(store, feature, person)
    mine = f"From the queue, yours until {claim.expires_at:%H:%M} UTC. " if claim else ""
    if not is_under_review(catalog(), store.sae_fingerprint, feature):
        return mine
    review = review_of(catalog(), store.sae_fingerprint, feature, person)
    if review is not None and review.state == "differs":
        return "Double-blind: two people differ, and a third decides on the Labels page."
    if review is not None and review.labels:
        return "Double-blind: you have spoken, and a second person is next."
    return f"{mine}Double-blind: what you save is seen by nobody until two people have spoken; evidence is not kept."


def _save(
    store: Store, feature: int, mine: LabelText, person: str, seen: int | None, key: str
) -> tuple[Label | None, str]:
    """Save for whoever signs, blind where the feature is; the label (None: nobody may see it yet) and what to say."""
    if is_under_review(catalog(), store.sae_fingerprint, feature):
        if mine.evidence:
            raise BadInput("The evidence of a double-blind label is not kept: choose none.")
        review = submit_blind(
            catalog(),
            store.sae_id,
            store.sae_fingerprint,
            feature,
            person,
            mine.name,
            mine.notes,
            category=mine.category,
            confidence=mine.confidence,
        )
        return None, REVIEWED[review.state]
    saved = put_label(
        catalog(),
        store.sae_id,
        store.sae_fingerprint,
        feature,
        mine.name,
        mine.notes,
        person,
        seen,
        category=mine.category,
        confidence=mine.confidence,
        evidence=read_place(mine.evidence),
        edit_key=key,
    )
    return saved, f"Saved as version {saved.version}."


def _require_change(mine: LabelText, base: dict[str, Any]) -> None:
    """Raise BadInput where the texts are those that the edit started from."""
    if all(getattr(mine, field) == base[field] for field in FIELDS):
        raise BadInput("There is nothing to save: the label is as it was when you opened it.")


def register() -> None:
    """Add the editor's callbacks, once per app; they work on every page that shows it."""
    fields = [Output(f"label-{field}", "value") for field in FIELDS]
    errors = [Output(f"label-{field}-error", "children") for field in ERRORS]

    @callback(
        *fields,
        Output("label-evidence", "options"),
        Output("label-base", "data"),
        Output("label-title", "children"),
        Output("label-version", "children"),
        Output("label-claim", "children"),
        Output("label-origin", "children"),
        Output("label-categories", "children"),
        Output("label-conflict", "hidden"),
        *errors,
        Input("label-place", "data"),
        prevent_initial_call=True,
    )
    def open_editor(place: dict[str, Any] | None) -> Any:
        """Start from what is saved now, not from what was saved when the page was opened."""
        if not place:
            return [no_update] * (len(fields) + 8 + len(errors))
        store, feature = workspace().open_store(str(place["store"])), int(place["feature"])
        store.feature(feature)
        saved = get_label(catalog(), store.sae_fingerprint, feature)
        label = text_of(saved)
        return [
            *_values(label),
            evidence_options(store, feature, label.evidence),
            base_data(store, feature, label),
            f"Label of #{feature} of {store.sae_id}",
            f"version {label.version}" if label.version else "the first version",
            _claim_words(store, feature, author()),
            origin_words(saved),
            [html.Option(value=word) for word in words_used(catalog(), store.sae_fingerprint, "category")],
            True,
            *[""] * len(errors),
        ]

    @callback(
        Output("label-saved", "data"),
        Output("shell-author", "value", allow_duplicate=True),
        Output("label-base", "data", allow_duplicate=True),
        Output("label-theirs", "data"),
        Output("label-conflict", "hidden", allow_duplicate=True),
        Output("label-conflict-words", "children"),
        Output("label-conflict-texts", "children"),
        *[Output(f"label-{field}-error", "children", allow_duplicate=True) for field in ERRORS],
        Input("label-save", "n_clicks"),
        Input("label-save-mine", "n_clicks"),
        *[State(f"label-{field}", "value") for field in FIELDS],
        State("label-author", "value"),
        State("label-base", "data"),
        State("label-theirs", "data"),
        State("label-place", "data"),
        prevent_initial_call=True,
        running=[(Output("label-save", "disabled"), True, False), (Output("label-save-mine", "disabled"), True, False)],
    )
    @requires("labeller")
    def save(
        _save_clicks: Any, _mine: Any, name: Any, category: Any, confidence: Any, notes: Any, evidence: Any,
        typed: Any, base: Any, theirs: Any, place: Any,
    ) -> list[Any]:  # fmt: skip
        """Save the next version; a stale edit comes back with both texts, a bad text with its sentence."""
        if not ctx.triggered or not ctx.triggered[0]["value"] or not place or not base:
            return [no_update] * (7 + len(errors))
        store, feature, person = workspace().open_store(str(place["store"])), int(place["feature"]), signed(typed)
        is_on_top = bool(ctx.triggered_id == "label-save-mine" and theirs)
        seen = theirs["version"] if is_on_top else base["version"]
        mine = LabelText()
        try:
            if (base["store"], base["feature"]) != (store.id, feature):
                raise BadInput("The dialog was not filled for this feature yet: close it and open it again.")
            mine = read_edit(name, category, confidence, notes, evidence)
            if not is_on_top:
                _require_change(mine, base)
            saved, words = _save(store, feature, mine, person, seen, base["key"])
        except StaleEdit as error:
            current = text_of(error.current)
            words = f"{current.author} saved version {current.version} in the meantime: take it, or save yours on top."
            told = [base_data(store, feature, current), False, words, conflict(current, mine)]
            return [
                _outcome(store, feature, current.version, stays=True),
                no_update,
                no_update,
                *told,
                *[""] * len(errors),
            ]
        except LoupeError as error:
            return [*[no_update] * 7, *field_errors(str(error))]
        version = saved.version if saved else None
        done = _outcome(store, feature, version, words)
        label = text_of(saved) if saved else mine
        return [done, person.strip(), base_data(store, feature, label), None, True, "", [], *[""] * len(errors)]

    @callback(
        *[Output(f"label-{field}", "value", allow_duplicate=True) for field in FIELDS],
        Output("label-base", "data", allow_duplicate=True),
        Output("label-saved", "data", allow_duplicate=True),
        Output("label-conflict", "hidden", allow_duplicate=True),
        Input("label-take-theirs", "n_clicks"),
        State("label-place", "data"),
        prevent_initial_call=True,
    )
    def take_theirs(clicks: int | None, place: dict[str, Any] | None) -> Any:
        """Drop one's own texts for the saved ones; the editor stays open on them."""
        if not clicks or not place:
            return [no_update] * (len(FIELDS) + 3)
        store, feature = workspace().open_store(str(place["store"])), int(place["feature"])
        label = text_of(get_label(catalog(), store.sae_fingerprint, feature))
        seen = _outcome(store, feature, label.version, stays=True)
        return [*_values(label), base_data(store, feature, label), seen, True]

    clientside_callback(
        ClientsideFunction("label_editor", "close"),
        Output("label-editor", "data-closed"),
        Input("label-saved", "data"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("label_editor", "typed"),
        Output("label-name-count", "children"),
        Output("label-name-count", "className"),
        Output("label-notes-count", "children"),
        Output("label-notes-count", "className"),
        Output("label-editor", "data-changed"),
        *[Input(f"label-{field}", "value") for field in FIELDS],
        Input("label-base", "data"),
    )


def _outcome(
    store: Store, feature: int, version: int | None, words: str = "", *, stays: bool = False
) -> dict[str, Any]:
    """What is saved now, for the page around; `stays`: the editor is not done with it."""
    at = time.time()
    return {"store": store.id, "feature": feature, "version": version, "words": words, "at": at, "stays": stays}


def _values(label: LabelText) -> list[Any]:
    """The label in the dialog's fields, in the order of FIELDS."""
    sure = None if label.confidence is None else round(100 * label.confidence, 4)
    return [label.name, label.category, sure, label.notes, label.evidence or NO_EVIDENCE]
