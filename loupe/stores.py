"""The verbs that care for stores: inspect, du, rm, gc, migrate, pack and unpack. Parse, call, print."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loaders.errors import BadInput
from loaders.mirror import is_url
from loaders.usage import workspace_bytes
from loaders.workspace import Workspace
from loupe.store_words import say_store, say_usage, size_in_words


def add_verbs(verbs: Any) -> None:
    """Register the verbs with an argparse object of subparsers; each sets `call`."""
    inspect = _add(verbs, "inspect", "what a store holds, and every file of it that is at fault", _inspect)
    inspect.add_argument("store", metavar="STORE", help="id of a store, or its directory")
    inspect.add_argument("--verify", action="store_true", help="hash every file, the dataset's too")
    inspect.add_argument("--json", action="store_true", help="print one JSON object")
    usage = _add(verbs, "du", "bytes by dataset, activations, SAE, store and part", _usage)
    usage.add_argument("--json", action="store_true", help="print one JSON object")
    remove = _add(
        verbs, "rm", "remove stores, datasets, SAEs, layer matches, recommendations or captured activations", _remove
    )
    remove.add_argument("names", nargs="+", metavar="KIND/ID", help="such as stores/minilm-l1@docs or datasets/docs")
    remove.add_argument("--force", action="store_true", help="even where something else depends on it")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    collect = _add(verbs, "gc", "list what stopped steps left behind; --yes removes it", _collect)
    collect.add_argument("--unpublished", action="store_true", help="also the directories of unpublished stores")
    collect.add_argument("--batches", action="store_true", help="also the row-major batches of published stores")
    collect.add_argument("--yes", action="store_true", help="remove what is listed")
    migrate = _add(verbs, "migrate", "bring stores of earlier versions up to date", _migrate)
    migrate.add_argument("stores", nargs="*", metavar="STORE", help="ids (default: every store)")
    pack = _add(verbs, "pack", "write a store, its dataset and its SAE into one small directory or .tar", _pack)
    pack.add_argument("store", metavar="STORE", help="id of a store, or its directory")
    pack.add_argument("--out", help="where to write (default: <store>.loupe, with --tar <store>.loupe.tar)")
    pack.add_argument("--tar", action="store_true", help="one .tar instead of a directory")
    pack.add_argument("--without-sae", action="store_true", help="leave the SAE's weights and settings out")
    unpack = _add(verbs, "unpack", "restore a packed store into a workspace", _unpack)
    unpack.add_argument("pack", metavar="PACK", help="what `loupe pack` wrote: a directory or a .tar")


def _add(verbs: Any, name: str, text: str, call: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("--workspace", default="workspace", help="the workspace's directory (default: workspace)")
    parser.set_defaults(call=call)
    return parser


def _inspect(parsed: argparse.Namespace) -> int:
    from loaders.inspection import inspect_store

    workspace, store_id = _find_store(parsed)
    directory = workspace.store_dir(store_id)
    if parsed.verify:
        from loaders.usage import tree_bytes

        with _progress().step(f"verify {store_id}", tree_bytes(directory), "bytes") as bar:
            report = inspect_store(directory, True, bar.advance)
    else:
        report = inspect_store(directory)
    print(json.dumps(report, indent=1) if parsed.json else say_store(report))
    return 1 if report["faults"] else 0


def _usage(parsed: argparse.Namespace) -> int:
    report = workspace_bytes(_workspace(parsed).root)
    print(json.dumps(report, indent=1) if parsed.json else say_usage(report))
    return 0


def _remove(parsed: argparse.Namespace) -> int:
    from precompute import removal

    workspace = _workspace(parsed)
    with _held(workspace):
        found = removal.find(workspace, parsed.names)
        if not parsed.force:
            removal.require_unneeded(workspace, found)
        for each in found:
            print(f"{each.name}  {size_in_words(each.bytes)}")
        if not parsed.yes:
            _confirm(f"Remove {'this' if len(found) == 1 else f'these {len(found)}'}?")
        removal.remove(found)
    print(f"Removed {size_in_words(sum(each.bytes for each in found))}. Labels stay: they live in the catalog.")
    return 0


def _collect(parsed: argparse.Namespace) -> int:
    from precompute import removal

    workspace = _workspace(parsed)
    if not parsed.yes:
        found = removal.collect(workspace, parsed.unpublished, parsed.batches)
        print("\n".join(_leftover_lines(workspace, found)))
        if found:
            print("Nothing was removed: add --yes. What a running step is writing may be among these.")
        return 0
    with _held(workspace):
        found = removal.collect(workspace, parsed.unpublished, parsed.batches)
        removal.sweep(workspace, found)
    print("\n".join(_leftover_lines(workspace, found)))
    if found:
        print("Removed.")
    return 0


def _leftover_lines(workspace: Workspace, found: list[Any]) -> Iterator[str]:
    for left in found:
        yield f"{left.path.relative_to(workspace.root).as_posix()}  {size_in_words(left.bytes)}"
    yield f"{len(found)} found, {size_in_words(sum(left.bytes for left in found))}"


def _migrate(parsed: argparse.Namespace) -> int:
    from precompute.migration import migrate

    workspace = _workspace(parsed)
    with _held(workspace):
        for store_id in parsed.stores or workspace.store_ids():
            outcome = migrate(workspace.store_dir(store_id))
            done = "is up to date" if outcome.found == outcome.now else f"was migrated from version {outcome.found}"
            print(f"{store_id} {done} (version {outcome.now})")
    return 0


def _pack(parsed: argparse.Namespace) -> int:
    from precompute.packing import pack

    workspace, store_id = _find_store(parsed)
    target = Path(parsed.out or f"{store_id}.loupe{'.tar' if parsed.tar else ''}").expanduser().absolute()
    packed = pack(workspace, store_id, target, parsed.tar, not parsed.without_sae, _progress())
    share = packed.activations / max(packed.restored_activations, 1)
    print(
        f"{packed.path}  {size_in_words(packed.bytes)} of {size_in_words(packed.restored)}"
        f" (activations {size_in_words(packed.activations)} of {size_in_words(packed.restored_activations)}: {share:.0%})"
    )
    return 0


def _unpack(parsed: argparse.Namespace) -> int:
    from precompute.unpacking import unpack

    source = Path(parsed.pack).expanduser().absolute()
    if not source.exists():
        raise BadInput(f"There is no pack at '{parsed.pack}'.")
    workspace = _workspace(parsed, may_begin=True)
    with _held(workspace):
        print(unpack(source, workspace, _progress()))
    return 0


def _workspace(parsed: argparse.Namespace, may_begin: bool = False) -> Workspace:
    place = parsed.workspace
    if is_url(place):
        raise BadInput(f"`loupe {parsed.verb}` works on a local workspace; '{place}' is an object store.")
    if not may_begin and not Path(place).expanduser().is_dir():
        raise BadInput(f"There is no workspace at '{place}'. Build one with `loupe demo` or `loupe build`.")
    return Workspace(place)


def _find_store(parsed: argparse.Namespace) -> tuple[Workspace, str]:
    """Workspace and id of a store that was named by its id or its directory."""
    if "/" not in parsed.store:
        return _workspace(parsed), parsed.store
    directory = Path(parsed.store).expanduser().resolve()
    workspace = Workspace(directory.parent.parent)
    if not directory.is_dir() or workspace.store_dir(directory.name) != directory:
        raise BadInput(f"'{parsed.store}' is no store's directory: wanted WORKSPACE/stores/<sae>@<dataset>.")
    return workspace, directory.name


def _confirm(question: str) -> None:
    """Ask on the terminal; raises BadInput where nobody can answer, or where the answer is not yes."""
    if not sys.stdin.isatty():
        raise BadInput("Not removed: there is no terminal to confirm it on. Add --yes.")
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise BadInput("Not removed: it was not confirmed.")


def _progress() -> Any:
    from precompute.progress import Progress
    from precompute.sinks import TerminalSink

    return Progress(TerminalSink())


@contextmanager
def _held(workspace: Workspace) -> Iterator[None]:
    from precompute.lock import hold_workspace

    with hold_workspace(workspace.root):
        yield
