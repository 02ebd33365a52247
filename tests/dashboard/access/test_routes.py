"""Every route for every kind of visitor: a new route fails here until it is in the table."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from loaders.store import Store

VISITORS = ("anonymous", "viewer", "labeller", "admin", "read-only")
OPEN, SEEN, CALLED, LABELS, RULES = "open", "seen", "called", "labels", "rules"
ROUTES = {  # (method, rule): who gets in
    ("GET", "/"): SEEN,
    ("GET", "/<path:path>"): SEEN,
    ("GET", "/_dash-component-suites/<string:package_name>/<path:fingerprinted_path>"): SEEN,
    ("GET", "/_dash-dependencies"): SEEN,
    ("GET", "/_dash-layout"): SEEN,
    ("POST", "/_dash-update-component"): CALLED,
    ("GET", "/_favicon.ico"): SEEN,
    ("GET", "/_reload-hash"): SEEN,
    ("GET", "/account"): SEEN,
    ("POST", "/account"): CALLED,
    ("GET", "/api"): SEEN,
    ("GET", "/api/"): SEEN,
    ("GET", "/api/<path:rest>"): SEEN,
    ("GET", "/api/v1"): SEEN,
    ("GET", "/api/v1/"): SEEN,
    ("GET", "/api/v1/bookmarks"): SEEN,
    ("GET", "/api/v1/health"): SEEN,
    ("GET", "/api/v1/lists"): SEEN,
    ("POST", "/api/v1/lists"): LABELS,
    ("DELETE", "/api/v1/lists/<list_id>"): LABELS,
    ("GET", "/api/v1/lists/<list_id>"): SEEN,
    ("PUT", "/api/v1/lists/<list_id>"): LABELS,
    ("DELETE", "/api/v1/lists/<list_id>/items"): LABELS,
    ("POST", "/api/v1/lists/<list_id>/items"): LABELS,
    ("PUT", "/api/v1/lists/<list_id>/order"): LABELS,
    ("GET", "/api/v1/openapi.json"): SEEN,
    ("GET", "/api/v1/saes"): SEEN,
    ("GET", "/api/v1/stores"): SEEN,
    ("GET", "/api/v1/stores/<store_id>"): SEEN,
    ("GET", "/api/v1/stores/<store_id>/contexts/<context>"): SEEN,
    ("GET", "/api/v1/stores/<store_id>/features"): SEEN,
    ("GET", "/api/v1/stores/<store_id>/features/<feature>"): SEEN,
    ("GET", "/api/v1/stores/<store_id>/features/<feature>/activations"): SEEN,
    ("GET", "/api/v1/stores/<store_id>/features/<feature>/activations.arrow"): SEEN,
    ("DELETE", "/api/v1/stores/<store_id>/features/<feature>/bookmark"): LABELS,
    ("PUT", "/api/v1/stores/<store_id>/features/<feature>/bookmark"): LABELS,
    ("DELETE", "/api/v1/stores/<store_id>/features/<feature>/claim"): LABELS,
    ("PUT", "/api/v1/stores/<store_id>/features/<feature>/claim"): LABELS,
    ("GET", "/api/v1/stores/<store_id>/features/<feature>/comments"): SEEN,
    ("POST", "/api/v1/stores/<store_id>/features/<feature>/comments"): LABELS,
    ("GET", "/api/v1/stores/<store_id>/features/<feature>/label"): SEEN,
    ("PUT", "/api/v1/stores/<store_id>/features/<feature>/label"): LABELS,
    ("GET", "/api/v1/stores/<store_id>/features/<feature>/label/history"): SEEN,
    ("POST", "/api/v1/stores/<store_id>/features/<feature>/label/restore"): LABELS,
    ("GET", "/api/v1/stores/<store_id>/features/<feature>/review"): SEEN,
    ("POST", "/api/v1/stores/<store_id>/features/<feature>/review"): LABELS,
    ("POST", "/api/v1/stores/<store_id>/features/<feature>/review/verdict"): LABELS,
    ("GET", "/api/v1/stores/<store_id>/features/<feature>/votes"): SEEN,
    ("PUT", "/api/v1/stores/<store_id>/features/<feature>/votes"): LABELS,
    ("GET", "/api/v1/stores/<store_id>/labels"): SEEN,
    ("PUT", "/api/v1/stores/<store_id>/labels"): LABELS,
    ("GET", "/api/v1/stores/<store_id>/labels/export"): SEEN,
    ("POST", "/api/v1/stores/<store_id>/labels/import"): LABELS,
    ("GET", "/api/v1/stores/<store_id>/labels/progress"): SEEN,
    ("POST", "/api/v1/stores/<store_id>/labels/undo"): LABELS,
    ("GET", "/api/v1/stores/<store_id>/queue"): SEEN,
    ("PUT", "/api/v1/stores/<store_id>/queue/blind_share"): RULES,
    ("GET", "/api/v1/stores/<store_id>/queue/claims"): SEEN,
    ("POST", "/api/v1/stores/<store_id>/queue/claims"): LABELS,
    ("GET", "/api/v1/stores/<store_id>/reviews"): SEEN,
    ("GET", "/api/v1/stores/<store_id>/vocab"): SEEN,
    ("GET", "/assets/<path:filename>"): SEEN,
    ("GET", "/health"): OPEN,
    ("GET", "/health/live"): OPEN,
    ("GET", "/login"): OPEN,
    ("POST", "/login"): OPEN,
    ("GET", "/login.css"): OPEN,
    ("POST", "/logout"): CALLED,
    ("GET", "/metrics"): SEEN,
}
KEPT_OUT = {  # (kind, visitor): the gate's status; everybody else is let through to the route itself
    **{(kind, "anonymous"): 401 for kind in (SEEN, CALLED, LABELS, RULES)},
    (LABELS, "viewer"): 403,
    (LABELS, "read-only"): 403,
    **{(RULES, visitor): 403 for visitor in ("viewer", "labeller", "read-only")},
}


def filled(rule: str, store: Store) -> str:
    """An address that the rule takes."""
    suites = "/_dash-component-suites/dash/deps/polyfill@7.min.js"
    if rule.startswith("/_dash-component-suites"):
        return suites
    values = {
        "store_id": store.id,
        "feature": "1",
        "context": "1",
        "list_id": "1",
        "path:path": "explorer",
        "path:rest": "v1/nothing",
    }
    for name, value in {**values, "path:filename": "loupe.css"}.items():
        rule = rule.replace(f"<{name}>", value)
    assert "<" not in rule, rule
    return rule


def registered(server: Flask) -> set[tuple[str, str]]:
    found = set()
    for rule in server.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            if rule.endpoint != "api.unknown" or method == "GET":  # its other methods only answer with an error
                found.add((method, rule.rule))
    return found


@pytest.fixture(params=VISITORS)
def asked_by(
    request: pytest.FixtureRequest, guarded: Flask, ruled: Callable[..., Flask], log_in: Callable[..., FlaskClient]
) -> tuple[str, FlaskClient]:
    if request.param == "anonymous":
        return request.param, guarded.test_client()
    client = log_in(guarded, "admin" if request.param == "read-only" else request.param)
    if request.param == "read-only":
        ruled(is_read_only=True)
    return request.param, client


def test_every_route_is_in_the_table(server: Flask) -> None:
    assert registered(server) == set(ROUTES)


def test_every_route_lets_in_who_may_and_nobody_else(asked_by: tuple[str, FlaskClient], store: Store) -> None:
    visitor, client = asked_by
    last = ("POST", "/logout")  # ends the session
    for method, rule in [*sorted(set(ROUTES) - {last}), last]:
        expected = KEPT_OUT.get((ROUTES[method, rule], visitor))
        body = {"json": {"name": "x", "replaces": 9}} if method != "GET" else {}
        answer = client.open(filled(rule, store), method=method, **body)
        is_let_through = answer.status_code not in (401, 403) or rule in ("/login", "/account")
        if expected is None:
            assert is_let_through, (method, rule, visitor, answer.status_code, answer.text)
        else:
            assert answer.status_code == expected, (method, rule, visitor)
            assert answer.get_json()["error"].endswith(".")


def test_other_methods_are_no_way_round_the_gate(guarded: Flask, store: Store) -> None:
    client = guarded.test_client()
    for _, rule in ROUTES:
        for method in ("HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "GEt"):
            if not rule.startswith(("/login", "/health")):
                answer = client.open(filled(rule, store), method=method)
                assert answer.status_code == 401, (method, rule)
                assert "Allow" not in answer.headers


@pytest.mark.parametrize(
    "path", ["//_dash-layout", "/_dash-layout/", "/%5fdash-layout", "/login/../_dash-layout", "/login;/_dash-layout",
             "/assets/../app.py", "/login.css/x", "/LOGIN", "/health/x", "/api/v1/health/"],
)  # fmt: skip
def test_no_spelling_of_a_path_is_a_way_round_the_gate(guarded: Flask, path: str) -> None:
    assert guarded.test_client().get(path).status_code in (301, 308, 401)
