"""`--open` and `--read-only` of every command that serves: who may get in is settled before the port is opened."""

import argparse
import os

from catalog.catalog import Catalog
from loaders.errors import BadInput
from loaders.workspace import Workspace


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to a command that serves."""
    parser.add_argument(
        "--open",
        action="store_true",
        help="let everybody in who reaches the server: without accounts to do everything, with them to look around",
    )
    parser.add_argument("--read-only", action="store_true", help="let nobody change anything")


def settle(parsed: argparse.Namespace) -> None:
    """Hand the options to the server's processes, through the environment; raises BadInput for a door left open by chance."""
    from dashboard.access.accounts import has_people
    from dashboard.access.rules import is_loopback, read_rules

    for is_given, name in ((parsed.open, "LOUPE_OPEN"), (parsed.read_only, "LOUPE_READ_ONLY")):
        if is_given:
            os.environ[name] = "1"
    rules = read_rules()
    catalog = Catalog(Workspace(parsed.workspace).catalog_url)  # made or migrated once, before several workers open it
    try:
        is_guarded = rules.is_open or rules.user_header is not None or has_people(catalog)
    finally:
        catalog.close()
    if not is_guarded and not is_loopback(parsed.host):
        raise BadInput(
            f"Everybody who reaches {parsed.host} could change everything, as there are no accounts: add people with "
            f"`loupe users add NAME --workspace {parsed.workspace}`, or pass --open if that is what you want."
        )
