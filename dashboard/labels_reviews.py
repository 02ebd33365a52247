"""Double-blind labels on the Labels page: what waits for a second person, and where a third one decides."""

from typing import Any

import dash_bootstrap_components as dbc
from dash import html

from catalog.labels import Version, get_versions
from catalog.reviews import BlindLabel, Review, adjudicate, reviews_of
from dashboard import urls
from dashboard.access.visitor import may
from dashboard.components import badge, empty_state, panel, percent, plural
from dashboard.components.label_words import when_words
from dashboard.components.labels import ask, feature_name
from dashboard.context import author, catalog
from dashboard.explorer_frame import features_frame
from dashboard.labels_view import View
from loaders.errors import BadInput
from loaders.store import Store

Asked = dict[str, Any]
STATES = {"waiting": ("waits for a second person", "neutral"), "decided": ("decided", "good")}


def body(store: Store, _view: View) -> list[Any]:
    """Where two differ first, then everything else that was said blind."""
    found = reviews_of(catalog(), store.sae_fingerprint)
    differ = [review for review in found if review.state == "differs"]
    if not found:
        words = "With a double-blind share, that many features are labelled by two people, unseen by each other."
        if may("admin"):
            words += " Set it on the Queue."
        return [html.Section(empty_state("Nothing was labelled blind yet", words, icon_name="tags"), className="panel")]
    return [_summary(found), *(_differing(store, review) for review in differ), _others(store, found)]


def _summary(found: list[Review]) -> html.P:
    both = [review for review in found if len(review.labels) == 2]
    agreed = sum(review.verdict is not None and review.verdict.outcome == "agreed" for review in both)
    share = f": {percent(agreed / len(both))} agreed in name and category" if both else ""
    waiting = sum(review.state == "waiting" for review in found)
    return html.P(f"{plural(len(both), 'feature')} labelled by two people{share}; {waiting} wait for the second.")


def _differing(store: Store, review: Review) -> html.Section:
    """Both labels side by side, and the words of who decides."""
    tokens = features_frame(store)["tokens"].iloc[review.feature_id]
    is_one = author() in {each.person for each in review.labels}
    decide = (
        html.P("You are one of the two: somebody else decides.", className="muted")
        if is_one
        else html.Div(
            [
                _field("Name", dbc.Input(name="name", autocomplete="off")),
                _field("Category", dbc.Input(name="category", autocomplete="off")),
                _field("Notes", dbc.Textarea(name="notes", rows=2)),
                ask("Decide", "decide", is_primary=True, feature=review.feature_id),
            ],
            className="review-decide writes",
        )
    )
    return panel(
        feature_name(urls.feature(store.id, review.feature_id), review.feature_id, "", tokens),
        [html.Div([_said(each, not is_one) for each in review.labels], className="conflict-texts"), decide],
        note="two people differ",
        class_name="review",
        id=f"review-{review.feature_id}",
    )


def _said(label: BlindLabel, may_take: bool) -> html.Div:
    take = html.Button(
        "Start from this",
        className="button writes",
        type="button",
        **{"data-take": "", "data-name": label.name, "data-category": label.category, "data-notes": label.notes},
    )
    sure = "" if label.confidence is None else f", {percent(label.confidence, 2)} sure"
    return html.Div(
        [
            html.Div(f"{label.person}, {when_words(label.submitted_at)}{sure}", className="conflict-title"),
            html.Div(
                [label.name, *([" ", badge(label.category)] if label.category else [])], className="conflict-name"
            ),
            html.Div(label.notes, className="conflict-notes"),
            take if may_take else None,
        ],
        className="conflict-text",
    )


def _field(words: str, control: Any) -> html.Div:
    return html.Div(html.Label([words, control]), className="field")


def _others(store: Store, found: list[Review]) -> html.Section:
    saved = [(each.feature_id, each.verdict.label_version) for each in found if each.verdict]
    names = {key: label.name for key, label in get_versions(catalog(), store.sae_fingerprint, saved).items()}
    rows = [_row(store, review, names) for review in found if review.state != "differs"]
    heads = [html.Th(words, scope="col") for words in ("Feature", "State", "How it ended", "By", "When")]
    table = html.Div(
        html.Table([html.Thead(html.Tr(heads)), html.Tbody(rows)], className="data-table"), className="scroll-x"
    )
    return panel("All the others", table if rows else empty_state("There are none", icon_name="circle"))


def _row(store: Store, review: Review, names: dict[Version, str]) -> html.Tr:
    words, kind = STATES[review.state]
    verdict = review.verdict
    name = names[review.feature_id, verdict.label_version] if verdict else ""
    tokens = features_frame(store)["tokens"].iloc[review.feature_id]
    link = feature_name(urls.feature(store.id, review.feature_id), review.feature_id, name, tokens)
    ended = ["", "", ""]
    if verdict is not None:
        people = ", ".join(each.person for each in review.labels) if verdict.outcome == "agreed" else verdict.person
        ended = [f"{verdict.outcome}, version {verdict.label_version}", people, when_words(verdict.decided_at)]
    return html.Tr(
        [html.Td(link, className="feature"), html.Td(badge(words, kind)), *[html.Td(text) for text in ended]]
    )


def _decide(store: Store, asked: Asked) -> str:
    fields = asked.get("fields") or {}
    try:
        feature = int(asked["feature"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("A feature's number is missing from what was asked: reload the page.") from error
    label = adjudicate(
        catalog(),
        store.sae_fingerprint,
        feature,
        author(),
        str(fields.get("name") or ""),
        str(fields.get("notes") or ""),
        category=str(fields.get("category") or ""),
    )
    return f"Decided: feature {feature} is “{label.name}”."


ACTIONS = {"decide": _decide}
