"""One's own bookmarks on the Labels page: the features that one person wants to find again."""

from typing import Any

from dash import html

from catalog.bookmarks import Bookmark, bookmarks_of, put_bookmark
from dashboard import urls
from dashboard.components import empty_state, panel
from dashboard.components.label_words import when_words
from dashboard.components.labels import ask, feature_name
from dashboard.context import author, catalog
from dashboard.explorer_frame import features_frame
from dashboard.known_labels import known_labels
from loaders.errors import BadInput
from loaders.store import Store


def bookmarks_panel(store: Store) -> html.Section:
    """Whoever looks sees their own, of this SAE, the latest first."""
    rows = [_row(store, mark) for mark in bookmarks_of(catalog(), author(), store.sae_fingerprint)]
    empty = empty_state("No bookmark yet", "A feature's page has a button for it, beside its lists.", icon_name="tags")
    heads = html.Tr([html.Th("Feature", scope="col"), html.Th("Marked", scope="col"), html.Th("")])
    table = html.Table([html.Thead(heads), html.Tbody(rows)], className="data-table")
    note = f"of {author()}, on this SAE"
    return panel("Your bookmarks", html.Div(table, className="scroll-x") if rows else empty, note=note)


def _row(store: Store, mark: Bookmark) -> html.Tr:
    label = known_labels(store).get(mark.feature_id)
    tokens = features_frame(store)["tokens"].iloc[mark.feature_id]
    link = feature_name(urls.feature(store.id, mark.feature_id), mark.feature_id, label.name if label else "", tokens)
    off = html.Div(ask("Take off", "unmark", feature=mark.feature_id), className="row-gap is-end")
    return html.Tr([html.Td(link, className="feature"), html.Td(when_words(mark.created_at)), html.Td(off)])


def _unmark(store: Store, asked: dict[str, Any]) -> str:
    try:
        feature = int(asked["feature"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("A feature's number is missing from what was asked: reload the page.") from error
    put_bookmark(catalog(), author(), store.sae_id, store.sae_fingerprint, feature, is_set=False)
    return f"Feature {feature} is no longer marked."


ACTIONS = {"unmark": _unmark}
