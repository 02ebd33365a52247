"""What people say about a feature: the versions of its label, votes, comments, lists and one's own bookmark."""

import time
from typing import Any

import dash_bootstrap_components as dbc
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html, no_update

from catalog.bookmarks import bookmarks_of, put_bookmark
from catalog.comments import comments_on, put_comment
from catalog.errors import StaleEdit
from catalog.labels import history, restore_label
from catalog.lists import lists, lists_with
from catalog.votes import put_vote, votes_on
from dashboard import urls
from dashboard.access.callbacks import requires
from dashboard.bulk_labels import put_on_list
from dashboard.components import panel
from dashboard.components.label_words import when_words
from dashboard.components.labels import ask
from dashboard.context import author, catalog, workspace
from dashboard.feature_versions import versions_data
from loaders.errors import BadInput
from loaders.store import Store

Asked = dict[str, Any]


def versions_panel() -> html.Section:
    """The history of the label; `assets/discussion.js` fills this and the panels below from `feature-talk`."""
    return panel(
        "Versions of the label",
        [
            html.P(id="feature-talk-said", className="talk-said", role="status"),
            html.Div(id="feature-history", className="fill", **{"data-to": "feature-do"}),
        ],
        class_name="span-7 talk-panel",
    )


def remarks_panels() -> list[html.Section]:
    """Comments, and the lists that the feature is on."""
    comment = html.Div(
        [
            html.Label("Your comment", htmlFor="feature-comment", className="visually-hidden"),
            dbc.Textarea(id="feature-comment", name="text", rows=2, placeholder="Your comment"),
            ask("Comment", "comment"),
        ],
        id="feature-comment-form",
        className="writes talk-form",
        **{"data-form": "comment", "data-to": "feature-do"},
    )
    listing = html.Div(
        [
            html.Label("List, or the name of a new one", htmlFor="feature-list", className="visually-hidden"),
            dbc.Input(id="feature-list", name="list", placeholder="A list, or a new one", list="feature-list-names"),
            html.Datalist(id="feature-list-names"),
            ask("Add to it", "list"),
        ],
        className="writes talk-form is-line",
        **{"data-form": "list", "data-to": "feature-do"},
    )
    return [
        panel("Comments", [html.Div(id="feature-comments", className="fill"), comment], class_name="span-7 talk-panel"),
        panel(
            "Lists",
            [html.Div(id="feature-lists", className="fill"), listing],
            actions=ask("Bookmark", "bookmark", to="feature-do"),
            class_name="span-5 talk-panel",
        ),
    ]


def discussion_stores() -> list[dcc.Store]:
    """What the panels show, and what a button asks for."""
    return [dcc.Store(id="feature-talk"), dcc.Store(id="feature-do")]


def discussion_data(store: Store, feature: int) -> dict[str, Any]:
    """Everything said about one feature, as it is now."""
    place = catalog(), store.sae_fingerprint, feature
    versions = history(*place)
    return {
        "person": author(),
        "versions": versions_data(versions, votes_on(*place)),
        "total": len(versions),
        "comments": [
            {"version": each.version, "by": each.author, "when": when_words(each.created_at), "text": each.text}
            for each in comments_on(*place)
        ],
        "lists": [
            {"name": each.name, "size": each.size, "href": urls.labels(store.id, tab="lists", list=each.list_id)}
            for each in lists_with(*place)
        ],
        "names": [each.name for each in lists(catalog())],
        "isBookmarked": any(
            each.feature_id == feature for each in bookmarks_of(catalog(), author(), store.sae_fingerprint)
        ),
    }


def register() -> None:
    """Add the panels' callbacks to the Feature page."""

    @callback(
        Output("feature-talk", "data", allow_duplicate=True),
        Output("feature-talk-said", "children"),
        Output("label-saved", "data", allow_duplicate=True),
        Output("feature-comment", "value"),
        Output("feature-list", "value"),
        Input("feature-do", "data"),
        State("feature-place", "data"),
        prevent_initial_call=True,
        running=[(Output("feature-history", "aria-busy"), "true", "false")],
    )
    @requires("labeller")
    def act(asked: Asked | None, place: dict[str, Any]) -> Any:
        """Do what a button asks for; what was typed goes only once it is saved."""
        if not asked:
            return (no_update,) * 5
        what = str(asked.get("do"))
        if what not in ACTIONS:
            raise BadInput(f"The Feature page cannot do '{what[:40]}': reload it.")
        store, feature = workspace().open_store(place["store"]), int(place["feature"])
        store.feature(feature)
        saved, said = no_update, ""
        try:
            version = ACTIONS[what](store, feature, asked)
        except StaleEdit as error:
            said = f"Nothing is restored: {error.current.author} saved version {error.current.version} in the meantime. Look at it, then restore again."  # noqa: E501
        else:
            if version is not None:
                words = f"Version {_number(asked, 'version')} is restored as version {version}."
                saved = {"store": store.id, "feature": feature, "version": version, "words": words, "at": time.time()}
        sent = ["" if what == name else no_update for name in ("comment", "list")]
        return [discussion_data(store, feature), said, saved, *sent]

    clientside_callback(
        ClientsideFunction("discussion", "show"),
        Output("feature-history", "data-shown"),
        Input("feature-talk", "data"),
    )


def _restore(store: Store, feature: int, asked: Asked) -> int:
    version, replaces = _number(asked, "version"), _number(asked, "replaces")
    return restore_label(catalog(), store.sae_fingerprint, feature, version, author(), replaces).version


def _vote(store: Store, feature: int, asked: Asked) -> None:
    put_vote(catalog(), store.sae_fingerprint, feature, _number(asked, "version"), author(), _number(asked, "value"))


def _comment(store: Store, feature: int, asked: Asked) -> None:
    text = str((asked.get("fields") or {}).get("text") or "")
    put_comment(catalog(), store.sae_fingerprint, feature, _number(asked, "version"), text, author())


def _list(store: Store, feature: int, asked: Asked) -> None:
    put_on_list(store, [feature], str((asked.get("fields") or {}).get("list") or ""), author())


def _bookmark(store: Store, feature: int, asked: Asked) -> None:
    is_set = str(asked.get("set")) == "true"
    put_bookmark(catalog(), author(), store.sae_id, store.sae_fingerprint, feature, is_set)


def _number(asked: Asked, key: str) -> int:
    try:
        return int(asked[key])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"A number '{key}' is missing from what was asked: reload the page.") from error


ACTIONS = {"restore": _restore, "vote": _vote, "comment": _comment, "list": _list, "bookmark": _bookmark}
