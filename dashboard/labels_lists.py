"""Lists of features on the Labels page: all of them, or the features on one in its order."""

from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from catalog.labels import labels_of
from catalog.lists import (
    FeatureList,
    ListItem,
    list_items,
    lists,
    make_list,
    order_list,
    remove_from_list,
    rename_list,
)
from dashboard import urls
from dashboard.components import empty_state, panel, plural
from dashboard.components.label_words import when_words
from dashboard.components.labels import ask, feature_name
from dashboard.context import author, catalog, workspace
from dashboard.explorer_frame import features_frame
from dashboard.labels_bookmarks import bookmarks_panel
from dashboard.labels_view import View
from dashboard.list_owner import may_remove, remove_own_list
from loaders.errors import BadInput
from loaders.store import Store

Asked = dict[str, Any]
Feature = tuple[str, int]


def body(store: Store, view: View) -> list[Any]:
    """The open list, or all of them."""
    known = lists(catalog())
    opened = next((each for each in known if str(each.list_id) == view.list), None)
    if opened is not None:
        return [_items(store, opened)]
    return [_all(store, known, gone=bool(view.list)), bookmarks_panel(store)]


def _all(store: Store, known: list[FeatureList], gone: bool) -> html.Section:
    begin = html.Div(
        [
            html.Label("Name of a new list", htmlFor="list-name", className="visually-hidden"),
            dbc.Input(id="list-name", name="name", placeholder="Name of a new list", autocomplete="off"),
            ask("Begin a list", "begin-list"),
        ],
        className="row-gap writes list-begin",
        **{"data-form": "list"},
    )
    rows = [
        html.Tr(
            [
                html.Td(dcc.Link(each.name, href=urls.labels(store.id, tab="lists", list=each.list_id))),
                html.Td(f"{each.size:,}", className="num"),
                html.Td(each.owner),
                html.Td(when_words(each.changed_at)),
            ]
        )
        for each in known
    ]
    heads = [("List", ""), ("Features", "num"), ("Begun by", ""), ("Changed", "")]
    head = html.Thead(html.Tr([html.Th(words, className=kind, scope="col") for words, kind in heads]))
    table = html.Div(html.Table([head, html.Tbody(rows)], className="data-table"), className="scroll-x")
    empty = empty_state(
        "There is no list yet",
        "Begin one here, or choose features in the Explorer and add them to a list.",
        icon_name="list-add",
    )
    note = "That list was removed." if gone else "of all SAEs; everybody sees them"
    return panel("Lists", [begin, table if rows else empty], note=note)


def _items(store: Store, opened: FeatureList) -> html.Section:
    items = list_items(catalog(), opened.list_id)
    stores = {each.sae_fingerprint: each for each in _stores()}
    names = {fingerprint: labels_of(catalog(), fingerprint) for fingerprint in {item.sae_fingerprint for item in items}}
    rows = [
        _item(opened, item, place, len(items), stores.get(item.sae_fingerprint), names[item.sae_fingerprint])
        for place, item in enumerate(items)
    ]
    heads = ("Feature", "SAE", "Note", "Added", "")
    head = html.Thead(html.Tr([html.Th(words, scope="col") for words in heads]))
    table = html.Div(html.Table([head, html.Tbody(rows)], className="data-table"), className="scroll-x")
    empty = empty_state(
        "Nothing is on this list", "Choose features in the Explorer and add them to it.", icon_name="list-add"
    )
    change = html.Div(
        [
            html.Label("Name of the list", htmlFor="list-name", className="visually-hidden"),
            dbc.Input(id="list-name", name="name", value=opened.name, autocomplete="off"),
            ask("Rename", "rename-list", list=opened.list_id),
            *(
                [ask("Remove the list", "remove-list", list=opened.list_id, sure="Remove it for everybody?")]
                if may_remove(opened)
                else []
            ),
        ],
        className="row-gap writes list-begin",
        **{"data-form": "list"},
    )
    back = dcc.Link("All lists", href=urls.labels(store.id, tab="lists"))
    note = [f"{plural(len(items), 'feature')}, begun by {opened.owner} · ", back]
    return panel(opened.name, [change, table if rows else empty], note=note)


def _stores() -> list[Store]:
    space = workspace()
    return [space.open_store(one) for one in space.store_ids()]


def _item(
    opened: FeatureList, item: ListItem, place: int, size: int, store: Store | None, names: dict[int, Any]
) -> html.Tr:
    """One feature of the list; the SAE of a store that was removed is named only."""
    label = names.get(item.feature_id)
    if store is None:
        link: Any = f"#{item.feature_id} {label.name if label else ''}"
    else:
        tokens = features_frame(store)["tokens"].iloc[item.feature_id]
        href = urls.feature(store.id, item.feature_id)
        link = feature_name(href, item.feature_id, label.name if label else "", tokens)
    key = {"list": opened.list_id, "feature": item.feature_id, "sae": item.sae_fingerprint}
    up = ask("Up", "up-list", place=place, **key) if place else None
    down = ask("Down", "down-list", place=place, **key) if place < size - 1 else None
    return html.Tr(
        [
            html.Td(link, className="feature"),
            html.Td(item.sae_id, className="token-text"),
            html.Td(item.note),
            html.Td(f"{item.added_by}, {when_words(item.added_at)}"),
            html.Td(html.Div([up, down, ask("Take off", "off-list", **key)], className="row-gap is-end")),
        ]
    )


def _begin(_store: Store, asked: Asked) -> str:
    made = make_list(catalog(), _name(asked), author())
    return f"“{made.name}” begins."


def _rename(_store: Store, asked: Asked) -> str:
    rename_list(catalog(), _list(asked), _name(asked))
    return "Renamed."


def _remove(_store: Store, asked: Asked) -> str:
    remove_own_list(_list(asked))
    return "The list is removed; the features and their labels stay."


def _take_off(_store: Store, asked: Asked) -> str:
    remove_from_list(catalog(), _list(asked), [_feature(asked)])
    return f"Feature {asked['feature']} is off the list."


def _up(store: Store, asked: Asked) -> str:
    return _move(asked, -1)


def _down(store: Store, asked: Asked) -> str:
    return _move(asked, 1)


def _move(asked: Asked, by: int) -> str:
    items: list[Feature] = [(item.sae_fingerprint, item.feature_id) for item in list_items(catalog(), _list(asked))]
    moved = _feature(asked)
    if moved not in items:
        raise BadInput("This feature is no longer on the list: it is shown as it is now when you reload.")
    at = items.index(moved)
    items.insert(max(at + by, 0), items.pop(at))
    order_list(catalog(), _list(asked), items)
    return ""


def _name(asked: Asked) -> str:
    return str((asked.get("fields") or {}).get("name") or "")


def _list(asked: Asked) -> int:
    try:
        return int(asked["list"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("A list's number is missing from what was asked: reload the page.") from error


def _feature(asked: Asked) -> Feature:
    try:
        return str(asked["sae"]), int(asked["feature"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("A feature's number is missing from what was asked: reload the page.") from error


ACTIONS = {
    "begin-list": _begin,
    "rename-list": _rename,
    "remove-list": _remove,
    "off-list": _take_off,
    "up-list": _up,
    "down-list": _down,
}
