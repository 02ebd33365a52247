"""Every callback for every kind of visitor, and requests that were forged, relabelled or sent once more."""

from collections.abc import Callable
from typing import Any

import dash
import pytest
from flask import Flask, g
from flask.testing import FlaskClient

from catalog import people as kept
from catalog.catalog import Catalog
from catalog.labels import get_label
from dashboard.access.callbacks import requires
from dashboard.access.errors import Refused
from dashboard.access.gate import INSIDE_KEY
from dashboard.access.visitor import READ_ONLY, Visitor
from dashboard.context import catalog
from loaders.store import Store

CALLBACKS = "/_dash-update-component"
SAVE = "label-saved.data < label-save.n_clicks"
NEEDED = {  # first output < first input: the role that the callback needs
    "_pages_content.children < _pages_location.pathname": "viewer",
    "bulk-done.data < bulk-save.n_clicks": "labeller",
    "bulk-done.data < bulk-undo.n_clicks": "labeller",
    "bulk-words.children < bulk-place.data": "viewer",
    "explorer-grid.getRowsResponse < explorer-grid.getRowsRequest": "viewer",
    "explorer-map.figure < shell-generation.data": "viewer",
    "explorer-waiting.href < shell-generation.data": "viewer",
    "feature-band-data.data < feature-place.data": "viewer",
    "feature-categories.children < feature-place.data": "viewer",
    "feature-first.children < shell-generation.data": "viewer",
    "feature-histogram.figure < feature-scale.value": "viewer",
    "feature-href.data < feature-scale.value": "viewer",
    "feature-talk.data < feature-do.data": "labeller",
    "feature-title.children < feature-place.data": "viewer",
    "feature-tokens-data.data < feature-place.data": "viewer",
    "home-hub.children < home-hub-poll.n_intervals": "viewer",
    "home-pipeline.children < home-poll.n_intervals": "viewer",
    SAVE: "labeller",
    "label-name.value < label-place.data": "viewer",
    "label-name.value < label-take-theirs.n_clicks": "viewer",
    "files-plan.children < files-apply.n_clicks": "labeller",
    "files-plan.children < files-upload.contents": "labeller",
    "labels-body.children < label-saved.data": "viewer",
    "labels-body.children < labels-do.data": "labeller",
    "labels-grid.getRowsResponse < labels-grid.getRowsRequest": "viewer",
    "layers-comparison.children < layers-table.selectedRows": "viewer",
    "layers-flow.figure < layers-pair.value": "viewer",
    "layers-pair.value < layers-flow.clickData": "viewer",
    "layers-weights.children < layers-weights-sae.value": "viewer",
    "playlist-names.children < playlist-view-data.data": "viewer",
    "playlist-saved.data < playlist-save.n_clicks": "labeller",
    "present-steps-data.data < present-change.data": "labeller",
    "presenter-data.data < presenter-wanted.data": "viewer",
    "shell-generation.data < shell-poll.n_intervals": "viewer",
    "shell-navigate.href < explorer-map.clickData": "viewer",
    "shell-navigate.href < layers-wake.n_intervals": "viewer",
    "shell-navigate.href < shell-search.n_submit": "viewer",
    "shell-navigate.href < shell-store.value": "viewer",
    "shell-store.options < shell-location.pathname": "viewer",
    "training-configs.children < training-chosen.data": "viewer",
    "training-curve-fvu.figure < training-poll.n_intervals": "viewer",
    "training-died.rowData < training-step.value": "viewer",
    "training-direction.figure < training-step.value": "viewer",
    "training-frontier.figure < training-chosen.data": "viewer",
    "training-href.data < training-chosen.data": "viewer",
    "training-moved.rowData < training-step.value": "viewer",
    "training-others.children < training-more-collapse.is_open": "viewer",
    "training-page.children < training-wake.n_intervals": "viewer",
    "training-snapshots.data < training-history-run.value": "viewer",
    "training-then.figure < training-step.value": "viewer",
}


@pytest.fixture
def listed(server: Flask) -> dict[str, dict[str, Any]]:
    """The callbacks that run on the server, as their pages' own requests name them."""
    inside = {INSIDE_KEY: True}
    asked = server.test_client().get("/_dash-dependencies", environ_overrides=inside).get_json()
    found = {name(one): one for one in asked if dash.get_app().callback_map[one["output"]].get("callback")}
    assert len(found) == sum("callback" in one for one in dash.get_app().callback_map.values())
    return found


def name(one: dict[str, Any]) -> str:
    output = one["output"].strip(".").split("...")[0].split("@")[0]
    return f"{output} < {one['inputs'][0]['id']}.{one['inputs'][0]['property']}"


def request_of(one: dict[str, Any], **values: Any) -> dict[str, Any]:
    """What a page would send to a callback; `values` by component id with `_` for `-`, None everywhere else."""

    def filled(places: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**place, "value": values.get(str(place["id"]).replace("-", "_"))} for place in places]

    outputs = [part.split("@")[0].rpartition(".") for part in one["output"].strip(".").split("...")]
    shaped: Any = [{"id": id_, "property": property_} for id_, _, property_ in outputs]
    return {
        "output": one["output"],
        "outputs": shaped if one["output"].startswith("..") else shaped[0],
        "inputs": filled(one["inputs"]),
        "state": filled(one["state"]),
        "changedPropIds": [f"{one['inputs'][0]['id']}.{one['inputs'][0]['property']}"],
    }


@pytest.fixture
def edit(listed: dict[str, dict[str, Any]], store: Store) -> dict[str, Any]:
    """The request that saves a label."""
    return request_of(
        listed[SAVE],
        label_save=1,
        label_name="forged",
        label_author="somebody else",
        label_base={"store": store.id, "feature": 3, "version": None, "name": "", "key": "a-key"},
        label_place={"store": store.id, "feature": 3},
    )


def saved(catalog: Catalog, store: Store) -> Any:
    return get_label(catalog, store.sae_fingerprint, 3)


def needed(one: dict[str, Any]) -> str:
    """The role that the function itself asks for, found under Dash's wrapping."""
    function = dash.get_app().callback_map[one["output"]]["callback"]
    while not hasattr(function, "needs_role"):
        if not hasattr(function, "__wrapped__"):
            return "viewer"
        function = function.__wrapped__
    return str(function.needs_role)


def test_every_callback_is_in_the_table_with_the_role_that_it_asks_for(listed: dict[str, dict[str, Any]]) -> None:
    assert {key: needed(one) for key, one in listed.items()} == NEEDED


def test_nobody_reaches_any_callback_without_logging_in(guarded: Flask, listed: dict[str, dict[str, Any]]) -> None:
    client = guarded.test_client()
    for key, one in listed.items():
        assert client.post(CALLBACKS, json=request_of(one)).status_code == 401, key


@pytest.mark.parametrize("who", ["viewer", "read-only"])
def test_who_may_only_look_reaches_those_that_show_and_none_that_writes(
    guarded: Flask, listed: dict[str, dict[str, Any]], log_in: Callable[..., FlaskClient], who: str, ruled: Any
) -> None:
    client = log_in(guarded, "admin" if who == "read-only" else who)
    if who == "read-only":
        ruled(is_read_only=True)
    for key, one in listed.items():
        asked = request_of(one)
        asked["inputs"][0]["value"] = 1
        is_refused = client.post(CALLBACKS, json=asked).status_code == 403
        assert is_refused == (NEEDED[key] != "viewer"), key


def test_a_page_that_opens_asks_a_writing_callback_and_is_answered_with_nothing(
    guarded: Flask, edit: dict[str, Any], log_in: Callable[..., FlaskClient], people: Catalog, store: Store
) -> None:
    edit["inputs"] = [{**one, "value": None} for one in edit["inputs"]]
    answer = log_in(guarded, "viewer").post(CALLBACKS, json=edit)
    assert (answer.status_code, answer.data) == (204, b"")
    assert saved(people, store) is None


def test_a_saved_label_is_signed_by_who_is_logged_in_and_not_by_what_is_typed(
    guarded: Flask, edit: dict[str, Any], log_in: Callable[..., FlaskClient], people: Catalog, store: Store
) -> None:
    assert log_in(guarded, "labeller").post(CALLBACKS, json=edit).status_code == 200
    assert (saved(people, store).name, saved(people, store).author) == ("forged", "labeller")


def test_a_relabelled_request_still_runs_the_function_that_asks_for_its_role(
    guarded: Flask, edit: dict[str, Any], log_in: Callable[..., FlaskClient], people: Catalog, store: Store
) -> None:
    """dash-auth let requests through whose first input called itself the URL; whatever the parts are called, it runs here."""
    client = log_in(guarded, "viewer")
    location = {"id": "_pages_location", "property": "pathname", "value": "/login"}
    outputs = [{"id": "_pages_content", "property": "children"}]
    for change in (
        {"inputs": [location, *edit["inputs"][1:]]},
        {"inputs": [{**one, "id": "shell-location"} for one in edit["inputs"]]},
        {"outputs": outputs},
        {"outputs": outputs, "inputs": [location], "state": []},
        {"changedPropIds": ["_pages_location.pathname"]},
        {"changedPropIds": []},
    ):
        answer = client.post(CALLBACKS, json={**edit, **change})
        assert (answer.status_code, answer.data) == (204, b"") or answer.status_code >= 400, change
        assert saved(people, store) is None


def test_the_name_of_a_harmless_callback_does_not_carry_a_harmful_one(
    guarded: Flask, edit: dict[str, Any], log_in: Callable[..., FlaskClient], people: Catalog, store: Store
) -> None:
    client = log_in(guarded, "viewer")
    client.post(CALLBACKS, json={**edit, "output": "explorer-waiting.href"})
    client.post(f"{CALLBACKS}?next=/login", json=edit)
    assert saved(people, store) is None


def test_a_request_without_its_sessions_token_is_refused(
    guarded: Flask, edit: dict[str, Any], log_in: Callable[..., FlaskClient], people: Catalog, store: Store
) -> None:
    client = log_in(guarded, "labeller")
    for headers in ({}, {"X-CSRFToken": ""}, {"X-CSRFToken": "x" * 43}, {"X-CSRFToken": "ü"}):
        answer = client.post(CALLBACKS, json=edit, headers=headers)
        assert answer.status_code == 403 and "reload the page" in answer.get_json()["error"]
    other = log_in(guarded, "labeller")
    assert client.post(CALLBACKS, json=edit, headers={"X-CSRFToken": other.token}).status_code == 403
    assert saved(people, store) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
    ],
)
def test_another_sites_request_is_refused_although_it_carries_cookie_and_token(
    guarded: Flask, edit: dict[str, Any], log_in: Callable[..., FlaskClient], headers: dict[str, str]
) -> None:
    client = log_in(guarded, "labeller")
    answer = client.post(CALLBACKS, json=edit, headers={"X-CSRFToken": client.token, **headers})
    assert answer.status_code == 403 and "another site" in answer.get_json()["error"]


@pytest.mark.parametrize("end", ["log out", "new password", "disabled"])
def test_a_request_sent_once_more_after_the_session_is_over_is_refused(
    guarded: Flask, edit: dict[str, Any], log_in: Callable[..., FlaskClient], people: Catalog, store: Store, end: str
) -> None:
    client = log_in(guarded, "labeller")
    stolen = guarded.test_client()
    for name in ("loupe_session", "_csrf_token"):
        stolen.set_cookie(name, client.get_cookie(name).value)
    replay = {"json": edit, "headers": {"X-CSRFToken": client.token}}
    assert stolen.get("/_dash-layout").status_code == 200
    if end == "log out":
        assert client.post("/logout").status_code == 303
    else:
        change = {"new password": kept.set_password_hash, "disabled": kept.set_disabled}[end]
        change(people, "labeller", None if end == "new password" else True)
    assert stolen.post(CALLBACKS, **replay).status_code == 401
    assert saved(people, store) is None


def test_a_smaller_role_counts_from_the_next_request(
    guarded: Flask, edit: dict[str, Any], log_in: Callable[..., FlaskClient], people: Catalog
) -> None:
    client = log_in(guarded, "labeller")
    kept.set_role(people, "labeller", "viewer")
    assert client.post(CALLBACKS, json=edit).status_code == 403


def test_a_cookie_that_another_key_signed_is_worth_nothing(guarded: Flask, log_in: Callable[..., FlaskClient]) -> None:
    kept, guarded.secret_key = guarded.secret_key, "another key"
    try:
        forged = log_in(guarded, "admin")
    finally:
        guarded.secret_key = kept
    assert forged.get("/_dash-layout").status_code == 401


def test_on_a_read_only_server_an_admins_write_is_refused_in_words(
    guarded: Flask, edit: dict[str, Any], log_in: Callable[..., FlaskClient], ruled: Callable[..., Flask]
) -> None:
    client = log_in(guarded, "admin")
    ruled(is_read_only=True)
    answer = client.post(CALLBACKS, json=edit)
    assert answer.status_code == 403 and answer.get_json()["error"] == READ_ONLY


def test_the_mark_refuses_inside_of_the_function_and_knows_its_roles() -> None:
    with pytest.raises(ValueError, match="owner"):
        requires("owner")
    assert requires("admin")(lambda: "done")() == "done"  # where no gate stands: the person at the machine


def test_a_writing_callback_that_nobody_marked_is_refused_by_the_catalog_that_it_gets(guarded: Flask) -> None:
    with guarded.test_request_context("/"):
        g.loupe_visitor = Visitor("viewer", "Viewer", "viewer", "session")
        with pytest.raises(Refused, match="'labeller'"), catalog().write():
            pass
        with catalog().read() as reading:
            assert reading is not None
        g.loupe_visitor = Visitor("labeller", "Labeller", "labeller", "session")
        with catalog().write() as writing:
            assert writing is not None
