"""`loupe users`: the people who may log in, their roles, passwords and API tokens. Passwords never stand on the command line."""

import argparse
import getpass
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from loaders.errors import BadInput

HELP = "people who may log in: add, list, role, password, disable, enable, tokens"
TOKEN_DAYS, MOST_DAYS = 90, 3_650
SHOWN_HASH = 12


def add_verbs(verbs: Any) -> None:
    """Add `loupe users` to the commands (an argparse subparsers object)."""
    from dashboard.access.visitor import ROLES

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
    role = action("role", set_role, "give somebody another role; they log in again")
    role.add_argument("name")
    role.add_argument("role", choices=ROLES)
    password = action("password", set_password, "set somebody's password, which ends their sessions")
    password.add_argument("name")
    disable = action("disable", disable_user, "keep somebody out, sessions and tokens included; their labels stay")
    disable.add_argument("name")
    action("enable", enable_user, "let somebody in again").add_argument("name")
    tokens = action("tokens", change_tokens, "list, add or revoke API tokens")
    tokens.add_argument("what", choices=("list", "add", "revoke"))
    tokens.add_argument("name", nargs="?", help="whose token (add), or the first characters of its hash (revoke)")
    tokens.add_argument("--role", choices=ROLES, default="viewer", help="what the token may do (default: viewer)")
    tokens.add_argument("--days", type=int, default=TOKEN_DAYS, help=f"days until it ends (default: {TOKEN_DAYS})")


def add_user(parsed: argparse.Namespace) -> int:
    """Add somebody."""
    from catalog.accounts import add_person, find_person
    from dashboard.access.accounts import NAME_LIMIT, is_name
    from dashboard.access.passwords import hash_password

    if not is_name(parsed.name):
        raise BadInput(
            f"A name has 1 to {NAME_LIMIT} printable characters and no space at its ends: found {parsed.name!r}."
        )
    with _catalog(parsed) as catalog:
        if find_person(catalog, parsed.name) is not None:
            raise BadInput(
                f"There is a person '{parsed.name}' already: change them with `loupe users role` or `password`."
            )
        hashed = None if parsed.no_password else hash_password(_read_password())
        add_person(catalog, parsed.name, parsed.display_name, parsed.role, hashed)
    print(f"Added '{parsed.name}' as {parsed.role}.")
    return 0


def list_users(parsed: argparse.Namespace) -> int:
    """List everybody."""
    from catalog.accounts import people

    with _catalog(parsed) as catalog:
        found = people(catalog)
    for person in found:
        state = "disabled" if person.disabled_at else "active" if person.password_hash else "active, no password"
        print(f"{person.name}\t{person.role}\t{state}\t{person.display_name}".rstrip())
    if not found:
        print("Nobody has an account: this workspace is served to this machine alone, and everything is allowed.")
    return 0


def set_role(parsed: argparse.Namespace) -> int:
    """Give somebody another role."""
    return _change(parsed, f"'{parsed.name}' is {parsed.role} now.", role=parsed.role)


def set_password(parsed: argparse.Namespace) -> int:
    """Set a password."""
    from dashboard.access.passwords import hash_password

    with _catalog(parsed) as catalog:
        _require_person(catalog, parsed.name)
    hashed = hash_password(_read_password())
    return _change(parsed, f"'{parsed.name}' has a new password; all their sessions are over.", password_hash=hashed)


def disable_user(parsed: argparse.Namespace) -> int:
    """Keep somebody out."""
    return _change(parsed, f"'{parsed.name}' is kept out; their labels stay.", disabled_at=datetime.now(UTC))


def enable_user(parsed: argparse.Namespace) -> int:
    """Let somebody in again."""
    return _change(parsed, f"'{parsed.name}' may log in again.", disabled_at=None)


def change_tokens(parsed: argparse.Namespace) -> int:
    """List, add or revoke tokens."""
    from catalog.accounts import add_token, revoke_token, tokens

    with _catalog(parsed) as catalog:
        if parsed.what == "list":
            for token in tokens(catalog):
                state = "revoked" if token.revoked_at else "over" if token.expires_at <= datetime.now(UTC) else "good"
                print(
                    f"{token.sha256[:SHOWN_HASH]}\t{token.person}\t{token.role}\t{state}\tuntil {token.expires_at:%Y-%m-%d}"
                )
            return 0
        if not parsed.name:
            raise BadInput(f"`loupe users tokens {parsed.what}` needs a name: whose token, or which one to revoke.")
        if parsed.what == "revoke":
            if len(parsed.name) < SHOWN_HASH:
                raise BadInput(f"Name the token by the {SHOWN_HASH} characters that `loupe users tokens list` shows.")
            if revoke_token(catalog, parsed.name) == 0:
                raise BadInput(f"There is no token '{parsed.name[:40]}': `loupe users tokens list` names them.")
            print("Revoked.")
            return 0
        if not 1 <= parsed.days <= MOST_DAYS:
            raise BadInput(f"--days may be 1 to {MOST_DAYS:,}: found {parsed.days}.")
        _require_person(catalog, parsed.name)
        ends = datetime.now(UTC) + timedelta(days=parsed.days)
        print(add_token(catalog, parsed.name, parsed.role, ends))
    print(f"Shown once. It acts as '{parsed.name}', {parsed.role} at most, until {ends:%Y-%m-%d}.", file=sys.stderr)
    return 0


def _change(parsed: argparse.Namespace, said: str, **values: object) -> int:
    from catalog.accounts import change_person

    with _catalog(parsed) as catalog:
        change_person(catalog, parsed.name, **values)
    print(said)
    return 0


def _require_person(catalog: Any, name: str) -> None:
    from catalog.accounts import find_person

    if find_person(catalog, name) is None:
        raise BadInput(f"There is no person '{name}': `loupe users list` names them.")


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
