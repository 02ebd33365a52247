"""Bookmarks over HTTP: whoever asks marks features, and reads their own marks."""

from flask import Response

from catalog.bookmarks import bookmarks_of, put_bookmark
from dashboard.api_json import answer, answer_list
from dashboard.api_places import read_place
from dashboard.api_route import BASE, FEATURE, JSON, Route, words
from dashboard.api_schema import FLAG, TEXT, WHOLE, listing, record
from dashboard.context import author, catalog, workspace

STORE_ASKED = words("store", "Id of a store: the bookmarks of its SAE only.", 200)


def bookmarks() -> Response:
    """The bookmarks of whoever asks, of all SAEs or of a store's; the latest first."""
    asked = STORE_ASKED.asked()
    fingerprint = workspace().open_store(asked).sae_fingerprint if asked else None
    return answer_list([each._asdict() for each in bookmarks_of(catalog(), author(), fingerprint)])


def set_bookmark(store_id: str, feature: str) -> Response:
    """Mark the feature for whoever asks; marked twice it is marked once."""
    return _mark(store_id, feature, True)


def take_bookmark_off(store_id: str, feature: str) -> Response:
    """Take the mark off, where there is one."""
    return _mark(store_id, feature, False)


def _mark(store_id: str, feature: str, is_set: bool) -> Response:
    store, feature_id = read_place(store_id, feature)
    put_bookmark(catalog(), author(), store.sae_id, store.sae_fingerprint, feature_id, is_set)
    return answer({"store": store.id, "feature_id": feature_id, "is_bookmarked": is_set})


_MARK = {JSON: record(store=TEXT, feature_id=WHOLE, is_bookmarked=FLAG)}
_BOOKMARK = record(sae_id=TEXT, sae_fingerprint=TEXT, feature_id=WHOLE, created_at=TEXT)

ROUTES = (
    Route("GET", f"{BASE}/bookmarks", bookmarks, {JSON: listing(_BOOKMARK)}, (STORE_ASKED,), refusals=(404,)),
    Route("PUT", f"{FEATURE}/bookmark", set_bookmark, _MARK, role="labeller"),
    Route("DELETE", f"{FEATURE}/bookmark", take_bookmark_off, _MARK, role="labeller"),
)
