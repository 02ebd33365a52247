"""The verbs that look after the catalog: status, sync, backup, restore, upgrade and downgrade. Parse, call, print."""

import argparse
import json
from pathlib import Path
from typing import Any

from loaders.errors import BadInput
from loaders.mirror import is_url
from loaders.workspace import Workspace


def add_verbs(verbs: Any) -> None:
    """Register `catalog` with an argparse object of subparsers; each of its verbs sets `call`."""
    text = "look after the database of labels, runs and people"
    catalog = verbs.add_parser("catalog", help=text, description=text)
    parts = catalog.add_subparsers(dest="part", required=True, metavar="WHAT")
    status = _add(parts, "status", "version of the tables, and rows in each", _status)
    status.add_argument("--json", action="store_true", help="print one JSON object")
    sync = _add(parts, "sync", "load statistics of published stores, SAE files and logged metrics", _sync)
    sync.add_argument("--json", action="store_true", help="print one JSON object")
    backup = _add(parts, "backup", "write everything into one checked file, while the catalog is in use", _backup)
    backup.add_argument("file", metavar="FILE", help="where to write; an earlier backup there is replaced")
    restore = _add(parts, "restore", "fill the catalog from a backup, of whichever database", _restore)
    restore.add_argument("file", metavar="FILE", help="what `loupe catalog backup` wrote")
    restore.add_argument("--replace", action="store_true", help="even where the catalog holds something: it is lost")
    _add(parts, "upgrade", "bring the tables up to this Loupe's version", _upgrade)
    downgrade = _add(parts, "downgrade", "bring the tables down to what an earlier Loupe reads", _downgrade)
    downgrade.add_argument("version", type=int, metavar="VERSION", help="of the tables")
    downgrade.add_argument("--yes", action="store_true", help="lose what that version has no place for")


def _add(parts: Any, name: str, text: str, call: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = parts.add_parser(name, help=text, description=text)
    place = "the workspace's directory (default: workspace); LOUPE_DATABASE_URL names another database than its own"
    parser.add_argument("--workspace", default="workspace", help=place)
    parser.set_defaults(call=call)
    return parser


def _status(parsed: argparse.Namespace) -> int:
    from catalog.upkeep import status_of

    found = status_of(_workspace(parsed).catalog_url)
    if parsed.json:
        print(json.dumps(found._asdict(), indent=1))
        return 0
    version = "has no tables yet" if found.version is None else f"has version {found.version}"
    print(f"{found.url} {version} (this Loupe: {found.newest})")
    for table, rows in found.rows.items():
        print(f"{table}  {rows:,}")
    return 0


def _sync(parsed: argparse.Namespace) -> int:
    from catalog.catalog import Catalog
    from loupe.catalog_sync import sync

    workspace = _workspace(parsed)
    catalog = Catalog(workspace.catalog_url)
    done = sync(workspace, catalog)
    catalog.close()
    if parsed.json:
        print(json.dumps(done._asdict(), indent=1))
    else:
        print(
            f"{len(done.loaded)} stores loaded ({done.features:,} features), {len(done.unchanged)} as they were,",
            end=" ",
        )
        print(f"{len(done.forgotten)} gone; {done.models} SAE files and the metrics of {done.runs} runs taken up.")
        for problem in done.problems:
            print(problem)
    return 1 if done.problems else 0


def _backup(parsed: argparse.Namespace) -> int:
    from catalog.backup import back_up

    made = back_up(_workspace(parsed).catalog_url, _file(parsed))
    print(f"{parsed.file}  {sum(made.rows.values()):,} rows, version {made.version}")
    return 0


def _restore(parsed: argparse.Namespace) -> int:
    from catalog.backup import restore

    restored = restore(_workspace(parsed).catalog_url, _file(parsed), parsed.replace)
    moment = restored.made_at.isoformat(timespec="seconds")
    print(f"{sum(restored.rows.values()):,} rows restored as of {moment}. Restart the servers of this catalog.")
    return 0


def _upgrade(parsed: argparse.Namespace) -> int:
    from catalog.records import SCHEMA_VERSION
    from catalog.upkeep import change_version

    return _say(change_version(_workspace(parsed).catalog_url, SCHEMA_VERSION))


def _downgrade(parsed: argparse.Namespace) -> int:
    from catalog.upkeep import change_version, status_of

    url = _workspace(parsed).catalog_url
    version = status_of(url).version
    if version is None or version < parsed.version:
        raise BadInput(f"The catalog has {'no tables' if version is None else f'version {version}'}: use upgrade.")
    if not parsed.yes and version != parsed.version:
        raise BadInput(
            f"Version {parsed.version} has no place for all that version {version} holds. Run `loupe catalog backup FILE` first,"
            " then add --yes."
        )
    return _say(change_version(url, parsed.version))


def _say(versions: tuple[int | None, int]) -> int:
    before, after = versions
    if before == after:
        print(f"The catalog has version {after} already.")
    else:
        print(f"The catalog has version {after} now ({'no tables' if before is None else f'version {before}'} before).")
    return 0


def _file(parsed: argparse.Namespace) -> Path:
    path = Path(parsed.file).expanduser().absolute()
    if not path.parent.is_dir():
        raise BadInput(f"There is no directory '{path.parent}' for '{path.name}'.")
    return path


def _workspace(parsed: argparse.Namespace) -> Workspace:
    place = parsed.workspace
    if not is_url(place) and not Path(place).expanduser().is_dir():
        raise BadInput(f"There is no workspace at '{place}'. Build one with `loupe demo` or `loupe build`.")
    return Workspace(place)
