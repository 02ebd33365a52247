"""Who is let in: at a desk of one's own, on a network, with a token, through a proxy, on an open server."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from catalog import people as kept
from catalog import tokens
from catalog.catalog import Catalog
from dashboard.access import accounts
from dashboard.access.gate import INSIDE_KEY
from dashboard.access.rules import Rules, is_loopback, read_rules
from loaders.errors import BadInput
from loaders.store import Store
from tests.dashboard.access.conftest import PAGE

PROXY = read_rules(
    {
        "LOUPE_PROXY_ADDRESSES": "10.0.0.0/24, ::1",
        "LOUPE_PROXY_USER_HEADER": "X-User",
    }
)


def ask_at(server: Flask, host: str, path: str = "/_dash-layout") -> Any:
    """An answer of the server listening on `host`, whatever the request's own Host header says."""
    return server.test_client().get(path, headers=PAGE if path == "/" else {}, environ_overrides={"SERVER_NAME": host})


@pytest.fixture
def label(store: Store) -> str:
    return f"/api/v1/stores/{store.id}/features/5/label"


@pytest.fixture
def proxied(guarded: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FlaskClient]:
    """A client whose requests arrive from an address, at a server behind a proxy."""

    def call(address: str, rules: Rules = PROXY) -> FlaskClient:
        monkeypatch.setitem(guarded.config["LOUPE"], "rules", rules)
        monkeypatch.setattr(guarded.wsgi_app, "_rules", rules)
        client = guarded.test_client()
        client.environ_base["REMOTE_ADDR"] = address
        return client

    return call


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "::1"])
def test_at_a_desk_of_ones_own_everything_is_open(server: Flask, host: str) -> None:
    assert ask_at(server, host).status_code == 200
    assert "Set-Cookie" not in ask_at(server, host, "/").headers


def ask_by_name(server: Flask, name: str) -> Any:
    """An answer of the server on the loopback address, asked for by the name that a browser was made to find there."""
    return server.test_client().get(
        "/_dash-layout", headers={"Host": name}, environ_overrides={"SERVER_NAME": "127.0.0.1"}
    )


@pytest.mark.parametrize(
    "name", ["localhost:8050", "127.0.0.1:8050", "[::1]:8050", "LOCALHOST", "loupe.localhost:8050"]
)
def test_a_desk_is_asked_for_by_the_names_of_its_machine(server: Flask, name: str) -> None:
    assert ask_by_name(server, name).status_code == 200


@pytest.mark.parametrize(
    "name", ["rebound.example", "rebound.example:8050", "localhost.example", "192.0.2.7", "[::2]:8050"]
)
def test_a_name_that_was_made_to_point_here_is_refused(server: Flask, ruled: Callable[..., Flask], name: str) -> None:
    answer = ask_by_name(server, name)
    assert answer.status_code == 403
    assert "LOUPE_HOSTS" in answer.get_json()["error"]
    assert ask_by_name(ruled(is_open=True), name).status_code == 200


def test_further_names_of_a_desk_are_listed(ruled: Callable[..., Flask]) -> None:
    rules = read_rules({"LOUPE_HOSTS": "desk.example, Lab.Example"})
    server = ruled(hosts=rules.hosts)
    assert ask_by_name(server, "lab.example:443").status_code == 200
    assert ask_by_name(server, "other.example").status_code == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "lab.example", ""])
def test_without_accounts_a_server_on_the_network_lets_nobody_in_unless_it_was_opened(
    server: Flask, ruled: Callable[..., Flask], host: str
) -> None:
    answer = ask_at(server, host)
    assert answer.status_code == 403 and "loupe users add" in answer.get_json()["error"]
    ruled(is_open=True)
    assert ask_at(server, host).status_code == 200


def test_the_first_person_closes_a_running_server(
    server: Flask, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'c.sqlite'}")
    monkeypatch.setitem(server.config["LOUPE"], "catalog", catalog)
    monkeypatch.setattr(accounts, "RECHECK_SECONDS", -1.0)
    assert server.test_client().get("/_dash-layout").status_code == 200
    kept.add_person(catalog, "ada", role="viewer")
    assert server.test_client().get("/_dash-layout").status_code == 401
    kept.set_disabled(catalog, "ada", True)
    assert server.test_client().get("/_dash-layout").status_code == 401
    catalog.close()


def test_without_its_catalog_the_gate_lets_nobody_in(guarded: Flask, people: Catalog, tmp_path: Any) -> None:
    for file in tmp_path.glob("people.sqlite*"):
        file.write_bytes(b"not a database" * 100)
    people.close()
    answer = guarded.test_client().get("/_dash-layout")
    assert answer.status_code in (401, 503) and "props" not in answer.text


def test_only_the_server_itself_can_ask_from_inside(guarded: Flask) -> None:
    client = guarded.test_client()
    assert client.get("/", environ_overrides={INSIDE_KEY: True}).status_code == 200
    for name in ("loupe.inside", "Loupe.Inside", "LOUPE_INSIDE", "loupe-inside"):
        assert client.get("/", headers={name: "True"}).status_code == 401


def test_a_token_needs_no_cookie_and_may_do_what_its_role_may(
    guarded: Flask, label: str, token: Callable[..., dict[str, str]], people: Catalog
) -> None:
    client = guarded.test_client()
    assert client.get("/api/v1/stores", headers=token("viewer")).status_code == 200
    edit = {"json": {"name": "by a program", "replaces": None}}
    assert client.put(label, **edit, headers=token("viewer")).status_code == 403
    assert client.put(label, **edit, headers=token("labeller", "viewer")).status_code == 403  # the person might
    made = token("admin", "labeller")
    kept.add_person(people, "another", role="admin")
    kept.set_role(people, "admin", "viewer")
    assert client.put(label, **edit, headers=made).status_code == 403  # the token might
    saved = client.put(label, **edit, headers={**token("labeller", "labeller"), "Cookie": "loupe_author=Somebody"})
    assert saved.status_code == 200 and saved.get_json()["author"] == "labeller"
    assert "Set-Cookie" not in saved.headers


@pytest.mark.parametrize("why", ["unknown", "over", "revoked", "disabled", "empty", "not ascii"])
def test_a_token_that_is_not_good_is_refused(
    guarded: Flask, token: Callable[..., dict[str, str]], people: Catalog, why: str
) -> None:
    headers = token("viewer", days=-1 if why == "over" else 1)
    if why == "revoked":
        tokens.revoke_token(people, tokens.tokens(people)[0].token_id)
    elif why == "disabled":
        kept.set_disabled(people, "viewer", True)
    elif why != "over":
        headers = {"Authorization": {"unknown": "Bearer loupe_x", "empty": "Bearer ", "not ascii": "Bearer é"}[why]}
    answer = guarded.test_client().get("/api/v1/stores", headers=headers)
    assert answer.status_code == 401 and "Bearer" in answer.headers["WWW-Authenticate"]


def test_a_tokens_text_is_kept_nowhere(token: Callable[..., dict[str, str]], people: Catalog, tmp_path: Any) -> None:
    secret = token("viewer")["Authorization"].split()[1]
    people.close()
    assert all(secret.encode() not in file.read_bytes() for file in tmp_path.glob("people.sqlite*"))


def test_a_bad_token_is_not_helped_by_a_good_session(guarded: Flask, log_in: Callable[..., FlaskClient]) -> None:
    client = log_in(guarded, "admin")
    assert client.get("/_dash-layout", headers={"Authorization": "Bearer x"}).status_code == 401


def test_the_proxy_vouches_for_a_name_and_the_catalog_has_its_role(
    proxied: Callable[..., FlaskClient], label: str
) -> None:
    client = proxied("10.0.0.7")
    assert client.get("/_dash-layout", headers={"X-User": "viewer"}).status_code == 200
    assert client.get("/", headers={"X-User": "labeller", **PAGE}).status_code == 200
    token = client.get_cookie("_csrf_token").value
    edit = {"json": {"name": "through the proxy", "replaces": None}}
    assert client.put(label, **edit, headers={"X-User": "labeller"}).status_code == 403  # no token of a page
    saved = client.put(label, **edit, headers={"X-User": "labeller", "X-CSRFToken": token})
    assert saved.get_json()["author"] == "labeller"


@pytest.mark.parametrize("address", ["10.0.1.7", "127.0.0.1", "203.0.113.5"])
def test_the_header_from_anywhere_else_is_refused(proxied: Callable[..., FlaskClient], address: str) -> None:
    client = proxied(address)
    for more in ({}, {"X-Forwarded-For": "10.0.0.7"}, {"Forwarded": "for=10.0.0.7"}):
        answer = client.get("/_dash-layout", headers={"X-User": "admin", **more})
        assert answer.status_code == 403 and "configured proxy" in answer.get_json()["error"]
    assert client.get("/_dash-layout").status_code == 401


def test_the_proxy_is_believed_for_itself_and_not_for_who_stands_behind_it(proxied: Callable[..., FlaskClient]) -> None:
    client = proxied("10.0.0.7")
    forwarded = {"X-User": "viewer", "X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https"}
    answer = client.get("/", headers={**forwarded, **PAGE})
    assert answer.status_code == 200 and "Secure" in answer.headers["Set-Cookie"]


def test_who_has_no_role_or_was_disabled_is_told_so(proxied: Callable[..., FlaskClient], people: Catalog) -> None:
    client = proxied("10.0.0.7")
    assert "loupe users add" in client.get("/", headers={"X-User": "stranger"}).get_json()["error"]
    kept.set_disabled(people, "viewer", True)
    assert client.get("/", headers={"X-User": "viewer"}).status_code == 403


def test_a_role_header_gives_the_role_and_no_other_word(proxied: Callable[..., FlaskClient]) -> None:
    rules = Rules(proxies=PROXY.proxies, user_header="X-User", role_header="X-Role")
    client = proxied("10.0.0.7", rules)
    assert client.get("/_dash-layout", headers={"X-User": "stranger", "X-Role": "viewer"}).status_code == 200
    for role in ("", "owner", "Admin", "viewer,admin"):
        assert client.get("/_dash-layout", headers={"X-User": "stranger", "X-Role": role}).status_code == 403


def test_a_browser_without_the_proxys_name_is_told_in_words(proxied: Callable[..., FlaskClient]) -> None:
    answer = proxied("10.0.0.7").get("/", headers=PAGE)
    assert answer.status_code == 401 and "<h1>Nobody is logged in</h1>" in answer.text


def test_on_an_open_server_guests_look_around_and_people_label(
    guarded: Flask, ruled: Callable[..., Flask], label: str, log_in: Callable[..., FlaskClient]
) -> None:
    ruled(is_open=True)
    guest, edit = guarded.test_client(), {"json": {"name": "by a guest", "replaces": None}}
    assert guest.get("/_dash-layout").status_code == 200
    assert "log in first" in guest.put(label, **edit).get_json()["error"]
    assert guest.get("/login").status_code == 200
    assert log_in(guarded, "labeller").put(label, **edit).status_code == 200


def test_on_a_read_only_desk_nothing_is_changed(server: Flask, ruled: Callable[..., Flask], label: str) -> None:
    ruled(is_read_only=True)
    answer = server.test_client().put(label, json={"name": "x", "replaces": None})
    assert answer.status_code == 403 and "read-only" in answer.get_json()["error"]
    assert server.test_client().get("/_dash-layout").status_code == 200


def test_every_answer_carries_the_headers_that_keep_other_sites_out(guarded: Flask) -> None:
    for path in ("/login", "/_dash-layout", "/login.css", "/nothing"):
        headers = guarded.test_client().get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "SAMEORIGIN" and headers["Referrer-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
        if headers["Content-Type"].startswith(("text/html", "application/json")):
            assert "frame-ancestors" in headers["Content-Security-Policy"]


def test_a_body_without_end_is_refused_before_it_is_read(server: Flask) -> None:
    answer = server.test_client().post(
        "/_dash-update-component", data=b" " * (33 * 2**20), content_type="application/json"
    )
    assert answer.status_code == 413 and "too large" in answer.get_json()["error"]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"LOUPE_OPEN": "maybe"}, "LOUPE_OPEN"),
        ({"LOUPE_PROXY_USER_HEADER": "X-User"}, "LOUPE_PROXY_ADDRESSES"),
        ({"LOUPE_PROXY_ADDRESSES": "the proxy"}, "addresses or networks"),
        ({"LOUPE_PROXY_ROLE_HEADER": "X-Role"}, "belongs to a name"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(environment: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        read_rules(environment)


def test_no_setting_is_a_desk_of_ones_own() -> None:
    assert read_rules({}) == Rules()
    assert read_rules({"LOUPE_OPEN": "1", "LOUPE_READ_ONLY": "yes", "LOUPE_HTTPS": "0"}) == Rules(True, True)


@pytest.mark.parametrize(
    ("host", "answer"),
    [("[::1]", True), ("127.0.0.1", True), ("0.0.0.0", False), ("localhost.example", False), ("", False)],
)
def test_only_a_loopback_address_is_this_machine_alone(host: str, answer: bool) -> None:
    assert is_loopback(host) is answer
