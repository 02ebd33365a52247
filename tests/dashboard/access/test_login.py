"""The log-in page: who gets in, who waits, where it leads, and what its cookies allow."""

from collections.abc import Callable

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from catalog.attempts import try_under
from catalog.catalog import Catalog
from catalog.people import set_password_hash
from dashboard.access import accounts, passwords
from dashboard.access.login import WRONG, local_path
from tests.dashboard.access.conftest import PAGE, PASSWORD, form_token


def attempt(client: FlaskClient, name: str, password: str = PASSWORD, **more: str):
    data = {"name": name, "password": password, "csrf_token": form_token(client), **more}
    return client.post("/login", data=data)


def test_a_page_leads_to_the_form_and_the_form_back_to_the_page(guarded: Flask) -> None:
    client = guarded.test_client()
    sent = client.get("/explorer?q=a%26b", headers=PAGE)
    assert sent.status_code == 302 and sent.headers["Location"] == "/login?next=%2Fexplorer%3Fq%3Da%2526b"
    form = client.get(sent.headers["Location"]).text
    assert 'value="/explorer?q=a%26b"' in form
    assert attempt(client, "viewer", next="/explorer?q=a%26b").headers["Location"] == "/explorer?q=a%26b"
    assert client.get("/explorer", headers=PAGE).status_code == 200
    assert client.get("/login").headers["Location"] == "/"


@pytest.mark.parametrize(
    "wanted",
    ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "\\\\elsewhere.example", "elsewhere", "/\t/x",
     "javascript:alert(1)", "/\r\nSet-Cookie: a=b", "", None, "/login?next=/login", "/logout", "///x", "http:/x"],
)  # fmt: skip
def test_it_leads_nowhere_but_to_pages_of_this_server(wanted: str | None) -> None:
    assert local_path(wanted) == "/"


def test_a_page_of_this_server_is_led_to_as_it_was_asked_for() -> None:
    assert local_path("/feature/a@b/3?scale=log#x") == "/feature/a@b/3?scale=log#x"


@pytest.mark.parametrize(
    ("name", "password"),
    [("viewer", "wrong horse battery"), ("nobody", PASSWORD), ("", ""), ("viewer", PASSWORD.upper())],
)
def test_a_wrong_name_and_a_wrong_password_look_the_same(guarded: Flask, name: str, password: str) -> None:
    client = guarded.test_client()
    answer = attempt(client, name, password)
    assert answer.status_code == 401 and WRONG in answer.text
    assert client.get("/_dash-layout").status_code == 401


def test_a_name_that_nobody_has_costs_the_same_work(people: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(passwords, "HASHER", Counting(asked))
    assert not passwords.matches("a password", None)
    assert not passwords.matches("a password", PasswordHasher().hash("another"))
    assert len(asked) == 2
    assert not passwords.HASHER.check_needs_rehash(passwords.NOBODYS_HASH)


class Counting:
    """The real hasher, noting what it was asked."""

    def __init__(self, asked: list[str]) -> None:
        self._asked, self._real = asked, passwords.HASHER

    def verify(self, kept: str, password: str) -> bool:
        self._asked.append(kept)
        return self._real.verify(kept, password)

    def check_needs_rehash(self, kept: str) -> bool:
        return self._real.check_needs_rehash(kept)


def test_who_is_disabled_or_has_no_password_is_not_let_in(guarded: Flask, people: Catalog) -> None:
    set_password_hash(people, "viewer", None)
    assert attempt(guarded.test_client(), "viewer").status_code == 401


def test_after_too_many_tries_a_name_waits_whoever_asks_and_the_right_password_too(guarded: Flask) -> None:
    for _ in range(accounts.TRIES_PER_NAME):
        assert attempt(guarded.test_client(), "viewer", "wrong password").status_code == 401
    client = guarded.test_client()
    client.environ_base["REMOTE_ADDR"] = "203.0.113.9"
    answer = attempt(client, "viewer")
    assert answer.status_code == 429 and "Too many tries" in answer.text
    assert 0 < int(answer.headers["Retry-After"]) <= accounts.WINDOW.total_seconds()
    assert attempt(guarded.test_client(), "labeller").status_code == 303


def test_a_name_that_nobody_has_waits_as_well(guarded: Flask) -> None:
    statuses = [attempt(guarded.test_client(), "nobody", "x").status_code for _ in range(accounts.TRIES_PER_NAME + 1)]
    assert statuses == [401] * accounts.TRIES_PER_NAME + [429]


def test_an_address_that_tries_many_names_waits(guarded: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "TRIES_PER_ADDRESS", 4)
    statuses = [attempt(guarded.test_client(), f"name {i}", "x").status_code for i in range(5)]
    assert statuses == [401] * 4 + [429]


def test_tries_are_counted_for_all_workers_and_forgotten_after_a_log_in(guarded: Flask, people: Catalog) -> None:
    again = Catalog(f"sqlite:///{people.url.removeprefix('sqlite:///')}")  # as another worker has it
    for _ in range(accounts.TRIES_PER_NAME - 1):
        attempt(guarded.test_client(), "viewer", "wrong password")
    assert try_under(again, ["name:viewer"], accounts.TRIES_PER_NAME - 1, accounts.WINDOW) > 0
    assert attempt(guarded.test_client(), "Viewer ").status_code == 303
    assert try_under(again, ["name:viewer"], 1, accounts.WINDOW) == 0
    again.close()


def test_a_form_without_its_token_is_shown_again(guarded: Flask) -> None:
    client = guarded.test_client()
    assert client.post("/login", data={"name": "viewer", "password": PASSWORD}).status_code == 403
    assert client.get("/_dash-layout").status_code == 401


def test_another_sites_form_logs_nobody_in(guarded: Flask) -> None:
    client = guarded.test_client()
    data = {"name": "viewer", "password": PASSWORD, "csrf_token": form_token(client)}
    assert client.post("/login", data=data, headers={"Origin": "https://elsewhere.example"}).status_code == 403


def test_logging_in_begins_a_session_that_was_not_there_before(guarded: Flask) -> None:
    client = guarded.test_client()
    before = form_token(client)
    attempt(client, "viewer")
    client.get("/", headers=PAGE)
    assert client.get_cookie("_csrf_token").value != before


@pytest.mark.parametrize(("address", "is_secure"), [("http://localhost", False), ("https://localhost", True)])
def test_cookies_are_kept_from_scripts_and_other_sites_and_secure_over_https(
    guarded: Flask, address: str, is_secure: bool
) -> None:
    client = guarded.test_client()
    token = client.get("/login", base_url=address).text.split('csrf_token" value="')[1].split('"')[0]
    data = {"name": "viewer", "password": PASSWORD, "csrf_token": token}
    said = client.post("/login", data=data, base_url=address).headers["Set-Cookie"]
    assert said.startswith("loupe_session=") and "HttpOnly" in said and "SameSite=Lax" in said
    assert ("Secure" in said) == is_secure
    token_cookie = client.get("/", base_url=address, headers=PAGE).headers.getlist("Set-Cookie")[0]
    assert token_cookie.startswith("_csrf_token=") and "SameSite=Strict" in token_cookie
    assert ("Secure" in token_cookie) == is_secure


def test_what_a_person_sees_is_kept_out_of_shared_caches(guarded: Flask, log_in: Callable[..., FlaskClient]) -> None:
    client = log_in(guarded, "viewer")
    for path in ("/", "/_dash-layout", "/api/v1/stores", "/assets/loupe.css?m=1"):
        kept = client.get(path).headers["Cache-Control"]
        assert "public" not in kept and ("no-" in kept or "private" in kept), path


def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(
    guarded: Flask, log_in: Callable[..., FlaskClient]
) -> None:
    here, there = log_in(guarded, "viewer"), log_in(guarded, "viewer")
    new = {"new": "another horse battery", "again": "another horse battery"}
    for wrong in (
        {"password": "not it at all"},
        {"password": PASSWORD, "again": "differs from new"},
        {"password": PASSWORD, "new": "short", "again": "short"},
    ):
        assert here.post("/account", data={**new, **wrong}).status_code == 400
    assert here.post("/account", data={**new, "password": PASSWORD}).status_code == 200
    assert here.get("/_dash-layout").status_code == 200
    assert there.get("/_dash-layout").status_code == 401
    assert attempt(guarded.test_client(), "viewer").status_code == 401
    assert attempt(guarded.test_client(), "viewer", "another horse battery").status_code == 303


def test_without_accounts_there_is_nothing_to_log_in_to(server: Flask) -> None:
    client = server.test_client()
    assert client.get("/login").headers["Location"] == "/"
    assert "no accounts" in client.get("/account").text


def test_its_style_is_open_and_its_policy_allows_nothing_from_elsewhere(guarded: Flask) -> None:
    client = guarded.test_client()
    assert client.get("/login.css").mimetype == "text/css"
    policy = client.get("/login").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy


def test_a_name_is_shown_as_text(guarded: Flask) -> None:
    answer = attempt(guarded.test_client(), '"><script>alert(1)</script>', "x", next='/"><script>alert(2)</script>')
    assert "<script>alert" not in answer.text
