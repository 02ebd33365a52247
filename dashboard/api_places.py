"""What an address of the HTTP interface names: a feature of a store, or a list."""

from typing import NamedTuple

from werkzeug.exceptions import NotFound

from dashboard.api_json import is_whole, read_feature_id
from dashboard.context import workspace
from loaders.errors import FeatureNotFound
from loaders.store import Store


class Place(NamedTuple):
    """A feature that is there."""

    store: Store
    feature_id: int


def read_place(store_id: str, feature: str) -> Place:
    """The store and its feature. Raises StoreNotFound, FeatureNotFound."""
    store, feature_id = workspace().open_store(store_id), read_feature_id(feature)
    require_features(store, [feature_id])
    return Place(store, feature_id)


def require_features(store: Store, features: list[int]) -> None:
    """Raise FeatureNotFound unless the store has all of these."""
    for feature in features:
        if feature >= store.features:
            raise FeatureNotFound(feature, store.features, f"store '{store.id}'")


def read_list_id(text: str) -> int:
    """The id of a list; anything but a whole number is answered with 404."""
    if not is_whole(text):
        raise NotFound(f"'{text[:40]}' is not a list: lists are named by whole numbers, which /api/v1/lists tells.")
    return int(text)
