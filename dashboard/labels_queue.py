"""The queue of the Labels page: the most valuable feature without a label is somebody's for a while, then the next."""

from typing import Any

from dash import ClientsideFunction, Input, Output, clientside_callback, dcc, html

from catalog.labels import get_label
from catalog.queue import CLAIM, Claim, claims_of, release_claim, renew_claim
from dashboard import urls
from dashboard.access.visitor import may, require, visitor
from dashboard.components import badge, empty_state, panel, percent
from dashboard.components.labels import ask, feature_name
from dashboard.components.numbers import figures
from dashboard.context import ANONYMOUS, author, catalog
from dashboard.explorer_frame import features_frame
from dashboard.feature_panels import facts_of, strongest, strongest_panel
from dashboard.known_labels import known_labels
from dashboard.label_queue import blind_share, set_blind_share, take_after, take_next
from dashboard.labelling import activation_masses, by_value
from dashboard.labels_view import View
from loaders.errors import BadInput
from loaders.store import Store

SHOWN = 20
Asked = dict[str, Any]


def body(store: Store, _view: View) -> list[Any]:
    """What is this person's now, and what waits."""
    claims = claims_of(catalog(), store.sae_fingerprint)
    waiting = by_value(store, known_labels(store))
    own = [claim for claim in claims if claim.person == author()]
    return [
        *(_claimed(store, claim) for claim in own),
        *([] if own else [_nothing_claimed(waiting)]),
        _waiting(store, waiting, claims),
        _share(store),
    ]


def _nothing_claimed(waiting: list[int]) -> html.Section:
    if not waiting:
        words = "Every feature that fires has a label."
        return html.Section(empty_state("The queue is empty", words, icon_name="check"), className="panel")
    if not may("labeller"):
        words = (
            "Nothing can be taken on a read-only server: below is what has no label, the most valuable feature first."
            if visitor().is_read_only
            else "Those who may label take the most valuable feature first: below is what waits for them."
        )
        return html.Section(empty_state("You are only looking", words, icon_name="tags"), className="panel")
    minutes = int(CLAIM.total_seconds() // 60)
    sign = " Sign in the top bar first, so that others see whose it is." if _is_nobody() else ""
    return html.Section(
        empty_state(
            "Nothing is yours",
            f"Take the most valuable feature without a label: for {minutes} minutes it is offered to nobody else.{sign}",
            action=ask("Take the next feature", "take", is_primary=True, icon_name="pencil"),
            icon_name="tags",
        ),
        className="panel",
    )


def _is_nobody() -> bool:
    return not visitor().is_person and author() == ANONYMOUS


def _claimed(store: Store, claim: Claim) -> html.Section:
    """The feature that is somebody's: what it responds to, and what to do about it."""
    facts = facts_of(store, claim.feature_id)
    examples = strongest_panel(facts, strongest(store, claim.feature_id))
    href = urls.feature(store.id, claim.feature_id)
    frame = features_frame(store)
    tokens = frame["tokens"].iloc[claim.feature_id]
    label = get_label(catalog(), store.sae_fingerprint, claim.feature_id)
    share = activation_masses(store)[claim.feature_id] / activation_masses(store).sum()
    words = [f"yours until {claim.expires_at:%H:%M} UTC", f"fires on {percent(facts.density)} of samples",
             f"{percent(share)} of the activation mass", f"maximum {figures(facts.maximum)}"]  # fmt: skip
    blind = badge("double-blind", "accent") if claim.is_blind else None
    removed = f" Its label was removed by {label.author}." if label is not None and label.is_cleared else ""
    return panel(
        ["Feature ", dcc.Link(f"#{claim.feature_id}", href=href), " ", blind],
        [
            html.Div([html.Span(token, className="chip") for token in tokens], className="queue-tokens"),
            dcc.Store(id="queue-examples-data", data=examples.data),
            html.Div(id="queue-examples", className="fill"),
            html.Div(
                [
                    html.Button(
                        "Label it",
                        className="button button-primary writes",
                        **{"data-edit-label": f"{store.id}/{claim.feature_id}"},
                    ),
                    ask("Skip, take another", "skip", feature=claim.feature_id),
                    ask(f"Keep it for {int(CLAIM.total_seconds() // 60)} minutes", "keep", feature=claim.feature_id),
                    ask("Give it back", "give-back", feature=claim.feature_id),
                    dcc.Link("Everything about it", href=href),
                ],
                className="row-gap",
            ),
        ],
        note=" · ".join(words) + removed,
        class_name="queue-claimed",
    )


def _waiting(store: Store, waiting: list[int], claims: list[Claim]) -> html.Section:
    """The head of the queue, as a table."""
    masses, frame = activation_masses(store), features_frame(store)
    whose: dict[int, list[str]] = {}
    for claim in claims:
        whose.setdefault(claim.feature_id, []).append(claim.person)
    heads = (
        ("Feature", "", None),
        ("Value", "num", "Its activations, added up over all samples, as a share of those of all features"),
        ("Density", "num", "Share of samples on which it fires"),
        ("Mean", "num", "Mean activation over the samples on which it fires"),
        ("Whose", "", "Who has claimed it"),
    )
    rows = []
    for feature in waiting[:SHOWN]:
        row = frame.iloc[feature]
        cells = (percent(masses[feature] / masses.sum()), f"{figures(row['density'])} %", figures(row["mean"]))
        rows.append(
            html.Tr(
                [
                    html.Td(
                        feature_name(urls.feature(store.id, feature), feature, "", row["tokens"]), className="feature"
                    ),
                    *[html.Td(text, className="num") for text in cells],
                    html.Td(", ".join(whose.get(feature, [])), className="muted"),
                ]
            )
        )
    head = html.Thead(html.Tr([html.Th(words, className=kind, title=hint, scope="col") for words, kind, hint in heads]))
    table = html.Div(html.Table([head, html.Tbody(rows)], className="data-table"), className="scroll-x")
    note = f"{len(waiting):,} features fire and have no label; the {len(rows)} of most value first: density × strength"
    return panel("What waits", table if rows else empty_state("Nothing waits", icon_name="check"), note=note)


def _share(store: Store) -> html.Section:
    """How many features two people label unseen by each other; an admin may change it."""
    share = blind_share(store)
    change = [
        html.Label("Per cent of features", htmlFor="queue-share"),
        dcc.Input(
            id="queue-share", name="share", type="number", min=0, max=100, step="any", value=100 * share,
            className="form-control",
        ),
        ask("Set", "share"),
    ]  # fmt: skip
    words = (
        f"Two people label {percent(share)} of the features without seeing each other's words; where they differ, a third "
        "decides."
        if share
        else "No feature is labelled double-blind: one person's label is enough for each."
    )
    return panel(
        "Double-blind share",
        html.Div(
            [html.P(words), html.Div(change, className="row-gap", **{"data-form": "share"}) if may("admin") else None]
        ),
        class_name="queue-share",
    )


def _take(store: Store, _asked: Asked) -> str:
    claim = take_next(store)
    return f"Feature {claim.feature_id} is yours." if claim else "Nothing is free: others have what is left."


def _skip(store: Store, asked: Asked) -> str:
    claim = take_after(store, _feature(asked))
    return f"Feature {claim.feature_id} is yours." if claim else "Nothing else is free."


def _keep(store: Store, asked: Asked) -> str:
    is_kept = renew_claim(catalog(), store.sae_fingerprint, _feature(asked), author())
    return "Kept." if is_kept else "The claim has run out: somebody else may have it by now."


def _give_back(store: Store, asked: Asked) -> str:
    release_claim(catalog(), store.sae_fingerprint, _feature(asked), author())
    return f"Feature {_feature(asked)} is anybody's again."


def _set_share(store: Store, asked: Asked) -> str:
    require("admin")
    try:
        share = float(asked["fields"]["share"]) / 100
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("The double-blind share is a number of per cent, 0 to 100: found none.") from error
    set_blind_share(store, share)
    return f"{percent(share)} of the features are double-blind from now on."


def _feature(asked: Asked) -> int:
    try:
        return int(asked["feature"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("A feature's number is missing from what was asked: reload the page.") from error


ACTIONS = {"take": _take, "skip": _skip, "keep": _keep, "give-back": _give_back, "share": _set_share}


def register() -> None:
    """Draw the strongest examples of what is claimed, in the browser."""
    clientside_callback(
        ClientsideFunction("labelling", "examples"),
        Output("queue-examples", "data-shown"),
        Input("queue-examples-data", "data"),
    )
