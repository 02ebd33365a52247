"""Accounts, their roles and the end of their logins; tokens; limited attempts; settings that all workers share."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from catalog.attempts import forget_attempts, try_under
from catalog.catalog import Catalog
from catalog.errors import NotThere
from catalog.people import (
    add_person,
    end_sessions,
    get_person,
    people,
    set_disabled,
    set_display_name,
    set_password_hash,
    set_role,
)
from catalog.settings import get_setting, put_setting, setting_once
from catalog.tokens import make_token, revoke_token, tokens, use_token
from loaders.errors import BadInput

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_an_account_has_a_single_name_and_a_role(catalog: Catalog) -> None:
    ada = add_person(catalog, " Ada ", role="admin", display_name="Ada L.", password_hash="$argon2id$x")
    assert (ada.name, ada.display_name, ada.role, ada.session_epoch, ada.is_enabled) == (
        "ada",
        "Ada L.",
        "admin",
        1,
        True,
    )
    assert get_person(catalog, "ADA") == ada
    assert get_person(catalog, "bob") is None
    assert people(catalog) == [ada]
    with pytest.raises(BadInput, match="There is an account 'ada' already"):
        add_person(catalog, "ada")
    with pytest.raises(BadInput, match="An account's name has 1 to 64 of"):
        add_person(catalog, "ada lovelace")
    with pytest.raises(BadInput, match="A role is viewer, labeller, admin: found 'owner'"):
        add_person(catalog, "bob", role="owner")


def test_logins_end_with_a_new_password_when_an_account_is_shut_and_on_request(catalog: Catalog) -> None:
    add_person(catalog, "bob")
    assert set_password_hash(catalog, "bob", "new").session_epoch == 2
    assert set_password_hash(catalog, "bob", "rehashed", ends_sessions=False).session_epoch == 2
    assert end_sessions(catalog, "bob").session_epoch == 3
    shut = set_disabled(catalog, "bob", True)
    assert (shut.session_epoch, shut.is_enabled) == (4, False)
    assert set_disabled(catalog, "bob", False).is_enabled
    assert set_display_name(catalog, "bob", " Bob ").display_name == "Bob"
    with pytest.raises(NotThere, match="There is no account 'eve'"):
        end_sessions(catalog, "eve")


def test_the_last_enabled_admin_stays_one(catalog: Catalog) -> None:
    add_person(catalog, "ada", role="admin")
    add_person(catalog, "bob", role="admin")
    set_disabled(catalog, "bob", True)
    for change in (lambda: set_role(catalog, "ada", "viewer"), lambda: set_disabled(catalog, "ada", True)):
        with pytest.raises(BadInput, match="'ada' is the only enabled admin"):
            change()
    set_disabled(catalog, "bob", False)
    assert set_role(catalog, "ada", "viewer").role == "viewer"


def test_two_admins_who_leave_at_once_do_not_both_leave(catalog: Catalog) -> None:
    for name in ("ada", "bob"):
        add_person(catalog, name, role="admin")
    refused: list[str] = []

    def leave(name: str) -> None:
        try:
            set_role(catalog, name, "viewer")
        except Exception as error:
            refused.append(str(error))

    threads = [threading.Thread(target=leave, args=(name,)) for name in ("ada", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(person.role for person in people(catalog)) == ["admin", "viewer"]
    assert len(refused) == 1


def test_a_tokens_secret_is_shown_once_and_never_kept(catalog: Catalog) -> None:
    add_person(catalog, "ada", role="labeller")
    made = make_token(catalog, "ada", " script ", "viewer")
    assert made.secret.startswith("loupe_") and len(made.secret) > 40
    used = use_token(catalog, made.secret, NOON)
    assert used is not None
    token, person = used
    assert (token.title, token.role, person.name) == ("script", "viewer", "ada")
    assert tokens(catalog, "ada")[0].last_used_at == NOON
    with catalog.read() as session:
        kept = str(session.execute(text("select * from api_tokens")).all())
    assert made.secret not in kept
    assert use_token(catalog, made.secret + "x") is None


def test_a_token_may_do_no_more_than_its_person_may_now(catalog: Catalog) -> None:
    add_person(catalog, "eve", role="admin")
    add_person(catalog, "ada", role="labeller")
    with pytest.raises(BadInput, match="A token of 'ada' may be labeller at most: found admin"):
        make_token(catalog, "ada", "script", "admin")
    secret = make_token(catalog, "ada", "script", "labeller").secret
    set_role(catalog, "ada", "viewer")
    used = use_token(catalog, secret)
    assert used is not None and used[0].role == "viewer"


def test_a_token_ends_by_time_by_revocation_and_with_its_account(catalog: Catalog) -> None:
    for name in ("ada", "bob"):
        add_person(catalog, name)
    short = make_token(catalog, "ada", "short", "viewer", expires_at=NOON)
    assert use_token(catalog, short.secret, NOON - MINUTE) is not None
    assert use_token(catalog, short.secret, NOON) is None
    made = make_token(catalog, "ada", "long", "viewer")
    with pytest.raises(NotThere, match=r"There is no token \d+ of 'bob'"):
        revoke_token(catalog, made.token.token_id, "bob")
    assert use_token(catalog, made.secret) is not None
    assert revoke_token(catalog, made.token.token_id, "ada").revoked_at is not None
    assert use_token(catalog, made.secret) is None
    third = make_token(catalog, "ada", "third", "viewer")
    set_disabled(catalog, "ada", True)
    assert use_token(catalog, third.secret) is None
    with pytest.raises(NotThere, match="no enabled account 'ada'"):
        make_token(catalog, "ada", "fourth", "viewer")
    assert [token.title for token in tokens(catalog)] == ["third", "long", "short"]


def test_attempts_are_limited_by_every_key_and_the_wait_is_told(catalog: Catalog) -> None:
    for i in range(3):
        assert try_under(catalog, ["name:ada", f"address:{i}"], 3, MINUTE, NOON + i * timedelta(seconds=10)) == 0
    assert try_under(catalog, ["name:ada", "address:9"], 3, MINUTE, NOON + timedelta(seconds=30)) == pytest.approx(30)
    assert try_under(catalog, ["name:bob", "address:9"], 3, MINUTE, NOON + timedelta(seconds=30)) == 0
    assert try_under(catalog, ["name:ada"], 3, MINUTE, NOON + timedelta(seconds=61)) == 0
    forget_attempts(catalog, ["name:ada"])
    assert try_under(catalog, ["name:ada"], 1, MINUTE, NOON + timedelta(seconds=61)) == 0
    with pytest.raises(BadInput, match="Attempts are kept for 1 day"):
        try_under(catalog, ["name:ada"], 1, timedelta(days=2))


def test_no_more_attempts_than_allowed_are_made_by_eight_workers_at_once(catalog: Catalog) -> None:
    waits: list[float] = []
    threads = [
        threading.Thread(target=lambda: waits.append(try_under(catalog, ["b", "a"], 5, MINUTE, NOON))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wait > 0 for wait in waits) == [False] * 5 + [True] * 3


def test_old_attempts_do_not_pile_up(catalog: Catalog) -> None:
    for i in range(20):
        try_under(catalog, [f"address:{i}"], 3, MINUTE, NOON)
    try_under(catalog, ["address:99"], 3, MINUTE, NOON + timedelta(days=1))
    with catalog.read() as session:
        assert session.execute(text("select count(*) from login_attempts")).scalar() == 1


def test_a_setting_is_kept_and_replaced(catalog: Catalog) -> None:
    assert get_setting(catalog, "title") is None
    put_setting(catalog, "title", "Our lab")
    put_setting(catalog, "title", "Their lab")
    assert get_setting(catalog, "title") == "Their lab"


def test_workers_that_start_at_once_share_one_key(catalog: Catalog) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda i=i: found.append(setting_once(catalog, "signing-key", lambda: f"key {i}")))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and set(found) == {get_setting(catalog, "signing-key")}
