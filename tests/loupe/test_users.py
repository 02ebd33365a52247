"""`loupe users` and the door of every command that serves."""

import io
import os
import re
from pathlib import Path

import pytest

from catalog.catalog import Catalog
from catalog.people import get_person
from catalog.tokens import tokens, use_token
from dashboard.access.passwords import matches
from dashboard.access.rules import SETTINGS
from loaders.workspace import Workspace
from loupe import cli, serving
from loupe.cli import main

DOCS = (Path(__file__).parents[2] / "docs" / "access.md").read_text()
PASSWORD = "correct horse battery"


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs `loupe users` on a workspace with a password on standard input."""
    monkeypatch.delenv("LOUPE_DATABASE_URL", raising=False)

    def call(*words: str, typed: str = PASSWORD) -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed + "\n"))
        return main(["users", *words, "--workspace", str(tmp_path)])

    return call


@pytest.fixture
def catalog(tmp_path: Path):
    opened = Catalog(Workspace(tmp_path).catalog_url)
    yield opened
    opened.close()


def test_a_person_is_added_with_a_password_that_no_list_shows(users, catalog, capsys) -> None:
    assert users("add", "ada", "--role", "admin", "--display-name", "Ada L.") == 0
    assert users("list") == 0
    said = capsys.readouterr().out
    assert "ada\tadmin\tactive\tAda L." in said and PASSWORD not in said and "argon2" not in said
    assert matches(PASSWORD, get_person(catalog, "ada").password_hash)


def test_a_new_password_and_keeping_out_end_all_sessions(users, catalog) -> None:
    users("add", "ada")
    epochs = [get_person(catalog, "ada").session_epoch]
    for words in (("password", "ada"), ("disable", "ada")):
        assert users(*words, typed="another horse battery") == 0
        epochs.append(get_person(catalog, "ada").session_epoch)
    assert len(set(epochs)) == 3
    assert users("role", "ada", "viewer") == users("enable", "ada") == 0
    person = get_person(catalog, "ada")
    assert person.role == "viewer" and person.is_enabled
    assert matches("another horse battery", person.password_hash)


def test_a_token_is_shown_once_and_revoked_by_its_number(users, catalog, capsys) -> None:
    users("add", "ada@lab.example", "--no-password")
    capsys.readouterr()
    assert users("tokens", "add", "ada@lab.example", "--title", "nightly", "--role", "labeller", "--days", "7") == 0
    made = capsys.readouterr().out.strip()
    assert use_token(catalog, made)[0].role == "labeller"
    users("tokens", "list")
    shown = capsys.readouterr().out
    assert made not in shown and "good" in shown and "nightly" in shown
    assert users("tokens", "revoke", shown.split("\t")[0]) == 0
    assert use_token(catalog, made) is None
    assert [token.person for token in tokens(catalog)] == ["ada@lab.example"]


@pytest.mark.parametrize(
    ("words", "typed", "sentence"),
    [
        (("add", "a da"), PASSWORD, "An account's name has 1 to 64"),
        (("add", "bo"), "short", "A password has 10 to 200"),
        (("add", "Ada"), PASSWORD, "There is an account 'ada' already"),
        (("role", "bo", "admin"), "", "There is no account 'bo'"),
        (("password", "bo"), PASSWORD, "There is no account 'bo'"),
        (("tokens", "add", "bo", "--title", "x"), "", "There is no enabled account 'bo'"),
        (("tokens", "add", "ada"), "", "`loupe users tokens add` needs a name and --title"),
        (("tokens", "add", "ada", "--title", "x", "--days", "0"), "", "--days may be 1 to"),
        (("tokens", "add", "ada", "--title", "x", "--role", "admin"), "", "A token of 'ada' may be labeller at most"),
        (("tokens", "revoke", "abc"), "", "`loupe users tokens revoke` needs the number"),
        (("tokens", "revoke", "77"), "", "There is no token 77"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(users, words, typed, sentence, capsys) -> None:
    users("add", "ada")
    assert users(*words, typed=typed) == 2
    assert capsys.readouterr().err.startswith(f"loupe: {sentence}")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that a server was started on, and the settings of its door; nothing is started."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    started: list[str] = []
    note = lambda *given, **_: started.append(f"{os.environ.get('LOUPE_OPEN')} {os.environ.get('LOUPE_READ_ONLY')}")  # noqa: E731
    monkeypatch.setattr(serving, "serve", note)
    monkeypatch.setattr(serving, "serve_threaded", note)
    yield started
    for name in SETTINGS:
        os.environ.pop(name, None)


@pytest.mark.parametrize("verb", ["serve", "api"])
def test_a_server_that_others_reach_needs_accounts_or_a_word(verb, users, served, tmp_path, capsys) -> None:
    command = [verb, str(tmp_path), "--host", "0.0.0.0"]
    assert main(command) == 2
    assert "pass --open" in capsys.readouterr().err and served == []
    assert main([*command, "--open"]) == 0
    assert served == ["1 None"]
    os.environ.pop("LOUPE_OPEN")
    users("add", "ada")
    assert main(command) == 0
    assert main([*command, "--read-only"]) == 0
    assert served == ["1 None", "None None", "None 1"]


def test_a_desk_of_ones_own_needs_neither(served, users, tmp_path) -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        assert main(["serve", str(tmp_path), "--host", host]) == 0
    assert served == ["None None"] * 3


def test_a_proxy_that_names_people_is_a_guard_too(served, users, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LOUPE_PROXY_USER_HEADER", "X-User")
    monkeypatch.setenv("LOUPE_PROXY_ADDRESSES", "10.0.0.1")
    assert main(["serve", str(tmp_path), "--host", "0.0.0.0"]) == 0


def test_the_docs_name_every_setting_option_and_action() -> None:
    actions = (
        cli._parser(["users"])._subparsers._group_actions[0].choices["users"]._subparsers._group_actions[0].choices
    )
    assert set(actions) == set(re.findall(r"`loupe users (\w+)", DOCS)) - {"NAME"}
    for word in [*SETTINGS, "--open", "--read-only", "--no-password", "--display-name", "--days", "--title"]:
        assert word in DOCS, word
