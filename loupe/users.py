"""`loupe users`: the people who may log in, their roles, passwords and API tokens. Passwords never stand on the command line."""

import argparse
import getpass
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from loaders.errors import BadInput

HELP = "people who may log in: add, list, role, password, disable, enable, tokens"
TOKEN_DAYS, MOST_DAYS = 90, 3_650


def add_verbs(verbs: Any) -> None:
    """Add `loupe users` to the commands (an argparse subparsers object)."""
    from catalog.people import ROLES

    users = verbs.add_parser("users", help=HELP, description=HELP)
    actions = users.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, call: Any, text: str) -> argparse.ArgumentParser:
        parser = actions.add_parser(name, help=text, description=text)
        parser.add_argument("--workspace", default="workspace", help="the workspace's directory (default: workspace)")
        parser.set_defaults(call=call)
        return parser

    add = action("add", add_user, "add somebody; the password is asked for, or read from standard input")
    add.add_argument("name", help="the name to log in with, which signs their labels")
    add.add_argument("--role", choices=ROLES, default="labeller", help="what they may do (default: labeller)")
    add.add_argument("--display-name", default="", help="the name to show (default: the name)")
    add.add_argument("--no-password", action="store_true", help="for people whom a proxy vouches for")
    action("list", list_users, "list everybody with role and state")
    role = action("role", change_role, "give somebody another role")
    role.add_argument("name")
    role.add_argument("role", choices=ROLES)
    password = action("password", change_password, "set somebody's password, which ends their sessions")
    password.add_argument("name")
    disable = action("disable", disable_user, "keep somebody out, sessions and tokens included; their labels stay")
    disable.add_argument("name")
    action("enable", enable_user, "let somebody in again").add_argument("name")
    of_tokens = action("tokens", change_tokens, "list, add or revoke API tokens")
    of_tokens.add_argument("what", choices=("list", "add", "revoke"))
    of_tokens.add_argument("name", nargs="?", help="whose token (add), or its number (revoke)")
    of_tokens.add_argument("--title", default="", help="what the token is for (add)")
    of_tokens.add_argument("--role", choices=ROLES, default="viewer", help="what it may do (default: viewer)")
    of_tokens.add_argument("--days", type=int, default=TOKEN_DAYS, help=f"days until it ends (default: {TOKEN_DAYS})")


def add_user(parsed: argparse.Namespace) -> int:
    """Add somebody."""
    from catalog.people import add_person, check_name, get_person
    from dashboard.access.passwords import hash_password

    name = check_name(parsed.name)
    with _catalog(parsed) as catalog:
        if get_person(catalog, name) is not None:  # before a password is asked for in vain
            raise BadInput(f"There is an account '{name}' already: `loupe users role` and `password` change it.")
        hashed = None if parsed.no_password else hash_password(_read_password())
        add_person(catalog, name, role=parsed.role, display_name=parsed.display_name, password_hash=hashed)
    print(f"Added '{name}' as {parsed.role}.")
    return 0


def list_users(parsed: argparse.Namespace) -> int:
    """List everybody."""
    from catalog.people import people

    with _catalog(parsed) as catalog:
        found = people(catalog)
    for person in found:
        state = "active" if person.is_enabled else "disabled"
        state += "" if person.password_hash else ", no password"
        print(f"{person.name}\t{person.role}\t{state}\t{person.display_name}")
    if not found:
        print("Nobody has an account: this workspace is served to this machine alone, and everything is allowed.")
    return 0


def change_role(parsed: argparse.Namespace) -> int:
    """Give somebody another role."""
    from catalog.people import set_role

    with _catalog(parsed) as catalog:
        print(f"'{set_role(catalog, parsed.name, parsed.role).name}' is {parsed.role} now.")
    return 0


def change_password(parsed: argparse.Namespace) -> int:
    """Set a password."""
    from catalog.people import get_person, set_password_hash
    from dashboard.access.passwords import hash_password

    with _catalog(parsed) as catalog:
        if get_person(catalog, parsed.name) is None:
            raise BadInput(f"There is no account '{parsed.name}': `loupe users list` shows all of them.")
        person = set_password_hash(catalog, parsed.name, hash_password(_read_password()))
    print(f"'{person.name}' has a new password; all their sessions are over.")
    return 0


def disable_user(parsed: argparse.Namespace) -> int:
    """Keep somebody out."""
    from catalog.people import set_disabled

    with _catalog(parsed) as catalog:
        print(f"'{set_disabled(catalog, parsed.name, True).name}' is kept out; their labels stay.")
    return 0


def enable_user(parsed: argparse.Namespace) -> int:
    """Let somebody in again."""
    from catalog.people import set_disabled

    with _catalog(parsed) as catalog:
        print(f"'{set_disabled(catalog, parsed.name, False).name}' may log in again.")
    return 0


def change_tokens(parsed: argparse.Namespace) -> int:
    """List, add or revoke tokens."""
    from catalog.tokens import make_token, revoke_token, tokens

    with _catalog(parsed) as catalog:
        if parsed.what == "list":
            now = datetime.now(UTC)
            for token in tokens(catalog):
                state = "good" if token.is_valid(now) else "revoked" if token.revoked_at else "over"
                until = f"until {token.expires_at:%Y-%m-%d}" if token.expires_at else "without end"
                print(f"{token.token_id}\t{token.person}\t{token.role}\t{state}\t{until}\t{token.title}")
        elif parsed.what == "revoke":
            if not (parsed.name or "").isdigit():
                raise BadInput("`loupe users tokens revoke` needs the number that `loupe users tokens list` shows.")
            print(f"Token {revoke_token(catalog, int(parsed.name)).token_id} is revoked.")
        else:
            if not parsed.name or not parsed.title:
                raise BadInput("`loupe users tokens add` needs a name and --title: whose token, and what it is for.")
            if not 1 <= parsed.days <= MOST_DAYS:
                raise BadInput(f"--days may be 1 to {MOST_DAYS:,}: found {parsed.days}.")
            ends = datetime.now(UTC) + timedelta(days=parsed.days)
            made = make_token(catalog, parsed.name, parsed.title, parsed.role, expires_at=ends)
            print(made.secret)
            words = f"Shown once. It acts as '{made.token.person}', {parsed.role} at most, until {ends:%Y-%m-%d}."
            print(words, file=sys.stderr)
    return 0


def _catalog(parsed: argparse.Namespace) -> Any:
    from contextlib import closing

    from catalog.catalog import Catalog
    from loaders.workspace import Workspace
    from loupe.serving import require_workspace

    require_workspace(parsed.workspace)
    return closing(Catalog(Workspace(parsed.workspace).catalog_url))


def _read_password() -> str:
    """From a prompt, twice; where standard input is no terminal, its first line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("The same again: "):
        raise BadInput("The two passwords differ: nothing was changed.")
    return first
