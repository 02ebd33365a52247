"""Lists of features over HTTP: begun, named, filled, put in order and removed as on the Labels page."""

from flask import Response

from catalog.labels import labels_of
from catalog.lists import (
    NOTE_LIMIT,
    add_to_list,
    get_list,
    list_items,
    lists,
    make_list,
    order_list,
    remove_from_list,
    rename_list,
)
from catalog.texts import NAME_LIMIT
from dashboard import api_body
from dashboard.api_body import Body
from dashboard.api_json import answer, answer_list, is_whole
from dashboard.api_places import read_list_id, require_features
from dashboard.api_route import BASE, JSON, Parameter, Route, words
from dashboard.api_schema import FLAG, TEXT, WHOLE, listing, or_null, record, several
from dashboard.context import author, catalog, workspace
from dashboard.labelling import MOST
from dashboard.list_owner import remove_own_list
from loaders.errors import BadInput

LIST = BASE + "/lists/{list_id}"
MOST_IN_ORDER = 100_000
NAME = Body("A list", '{"name": "..."}', (api_body.text("name", NAME_LIMIT).needed(),))
FEATURES = Body(
    "What goes on a list",
    '{"store": "...", "features": [3, 17], "note": ""}',
    (
        api_body.text("store", NAME_LIMIT, "Id of a store.").needed(),
        api_body.feature_ids("features", MOST).needed(),
        api_body.text("note", NOTE_LIMIT, "Why they are on it; the same for all of them."),
    ),
)
ITEM = Body(
    "An item",
    '{"sae_fingerprint": "...", "feature_id": 3}',
    (api_body.text("sae_fingerprint", NAME_LIMIT).needed(), api_body.whole("feature_id", "a feature id").needed()),
)
ORDER = Body(
    "An order",
    '{"items": [{"sae_fingerprint": "...", "feature_id": 3}]}',
    (api_body.several("items", f"a list of 1 to {MOST_IN_ORDER:,} items", ITEM.schema, MOST_IN_ORDER).needed(),),
)


def _read_features(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    wrong = next((part for part in parts if not is_whole(part)), None)
    if wrong is not None:
        raise BadInput(f"'features' must be feature ids with commas between them: found '{wrong[:40]}'.")
    if len(parts) > MOST:
        raise BadInput(f"'features' may name up to {MOST:,} features: found {len(parts):,}.")
    return [int(part) for part in parts]


SAE = words("sae", "Fingerprint of the SAE, as the list's items tell it; needed.", NAME_LIMIT)
OFF = Parameter(
    "features",
    "Ids of the features to take off, with commas between them; needed.",
    {"type": "string", "pattern": "^[0-9]+(,[0-9]+)*$"},
    _read_features,
)


def all_lists() -> Response:
    """All lists by name; they are of all SAEs, and everybody sees them."""
    return answer_list([each._asdict() for each in lists(catalog())])


def begin_list() -> Response:
    """Begin an empty list, which is of whoever asks."""
    return _whole(make_list(catalog(), NAME.read()["name"], author()).list_id)


def read_list(list_id: str) -> Response:
    """One list with the features on it, in its order; `label` is the newest name of each."""
    return _whole(read_list_id(list_id))


def name_list(list_id: str) -> Response:
    """Give the list another name."""
    wanted = read_list_id(list_id)
    rename_list(catalog(), wanted, NAME.read()["name"])
    return _whole(wanted)


def end_list(list_id: str) -> Response:
    """Remove the list for everybody, which its owner and admins may; features and labels stay."""
    wanted = read_list_id(list_id)
    remove_own_list(wanted)
    return answer({"list_id": wanted, "is_removed": True})


def put_features_on(list_id: str) -> Response:
    """Add features of a store at the end; those that are on the list stay where they are."""
    wanted, sent = read_list_id(list_id), FEATURES.read()
    store = workspace().open_store(sent["store"])
    require_features(store, sent["features"])
    place = store.sae_id, store.sae_fingerprint
    add_to_list(catalog(), wanted, *place, sent["features"], author(), sent.get("note", ""))
    return _whole(wanted)


def take_features_off(list_id: str) -> Response:
    """Take features of an SAE off the list; those that are not on it are passed over."""
    wanted, sae, features = read_list_id(list_id), SAE.asked(), OFF.asked()
    if sae is None or features is None:
        raise BadInput("Which features? Send 'sae', the fingerprint that the list's items tell, and 'features'.")
    remove_from_list(catalog(), wanted, [(sae, feature) for feature in features])
    return _whole(wanted)


def put_in_order(list_id: str) -> Response:
    """Put these items first, in this order; the others follow as they were."""
    wanted = read_list_id(list_id)
    items = [ITEM.check(each) for each in ORDER.read()["items"]]
    order_list(catalog(), wanted, [(each["sae_fingerprint"], each["feature_id"]) for each in items])
    return _whole(wanted)


def _whole(list_id: int) -> Response:
    found, items = get_list(catalog(), list_id), list_items(catalog(), list_id)
    labels = {sae: labels_of(catalog(), sae) for sae in {item.sae_fingerprint for item in items}}
    named = [labels[item.sae_fingerprint].get(item.feature_id) for item in items]
    told = [
        {**item._asdict(), "label": label.name if label else None} for item, label in zip(items, named, strict=True)
    ]
    return answer({**found._asdict(), "items": told})


_LIST = record(list_id=WHOLE, name=TEXT, owner=TEXT, created_at=TEXT, changed_at=TEXT, size=WHOLE)
_ITEM = record(
    sae_id=TEXT,
    sae_fingerprint=TEXT,
    feature_id=WHOLE,
    note=TEXT,
    added_by=TEXT,
    added_at=TEXT,
    label=or_null(TEXT),
)
_WHOLE = {JSON: record(**_LIST["properties"], items=several(_ITEM))}
_READS_BODY = {"refusals": (413, 415), "role": "labeller"}

ROUTES = (
    Route("GET", f"{BASE}/lists", all_lists, {JSON: listing(_LIST)}),
    Route("POST", f"{BASE}/lists", begin_list, _WHOLE, body=NAME.schema, **_READS_BODY),
    Route("GET", LIST, read_list, _WHOLE),
    Route("PUT", LIST, name_list, _WHOLE, body=NAME.schema, **_READS_BODY),
    Route("DELETE", LIST, end_list, {JSON: record(list_id=WHOLE, is_removed=FLAG)}, role="labeller"),
    Route("POST", f"{LIST}/items", put_features_on, _WHOLE, body=FEATURES.schema, **_READS_BODY),
    Route("DELETE", f"{LIST}/items", take_features_off, _WHOLE, (SAE, OFF), role="labeller"),
    Route("PUT", f"{LIST}/order", put_in_order, _WHOLE, body=ORDER.schema, **_READS_BODY),
)
