"""The verbs of a hub: list, search, push, pull and verify. Parse, call, print."""

import argparse
from pathlib import Path
from typing import Any

from loaders.errors import BadInput
from loaders.hub import Hub
from loaders.hub_place import VARIABLE, FolderPlace, ObjectPlace, find_address, open_place
from loaders.hub_version import read_reference
from loaders.mirror import is_url
from loaders.workspace import Workspace
from loupe.hub_facts import describe, matching
from loupe.hub_text import say_artifacts, say_fit, say_pulled, say_pushed, say_verified
from loupe.model_facts import as_json

KINDS = ("sae", "store", "set", "dataset")


def add_verbs(verbs: Any) -> None:
    """Register `hub` and its own verbs with an argparse object of subparsers; each sets `call`."""
    text = "share SAEs, stores, sets and datasets in a folder or an object store"
    own = verbs.add_parser("hub", help=text, description=text).add_subparsers(dest="hub_verb", required=True)
    _filters(_add(own, "list", "what the hub has", _list))
    search = _add(own, "search", "what the hub has that matches all words", _list)
    search.add_argument(
        "words", nargs="+", metavar="WORD", help="in name, description, tags, model, author or hook point"
    )
    _filters(search)
    push = _add(own, "push", "publish an SAE, a store, a set or a dataset of the workspace", _push)
    push.add_argument("source", metavar="KIND/ID", help="saes/<id>, stores/<id>, layers/<set> or datasets/<id>")
    push.add_argument("--version", required=True, help="such as 1.0.0; what is published never changes")
    push.add_argument("--license", default="", help="SPDX expression such as Apache-2.0 or CC-BY-4.0; required")
    push.add_argument("--name", help="name in the hub (default: from the id)")
    push.add_argument("--description", default="", help="what it is and what it is good for")
    push.add_argument("--author", default="", help="whom to ask about it")
    push.add_argument("--tag", dest="tags", action="append", default=[], help="may be given several times")
    push.add_argument(
        "--depends", action="append", default=[], metavar="NAME@RANGE", help="what that holds is not sent again"
    )
    pull = _add(own, "pull", "bring an artifact, and what it depends on, into the workspace", _pull)
    pull.add_argument(
        "artifact", metavar="NAME[@RANGE]", help="such as my-sae, my-sae@1.2.3, my-sae@^1 or 'my-sae@>=1,<2'"
    )
    pull.add_argument("--model", help="refuse what does not fit this model")
    verify = _add(own, "verify", "hash every file of an artifact in the hub, or compare it with a model", _verify)
    verify.add_argument("artifact", metavar="NAME[@RANGE]", help="such as my-sae or my-sae@^1")
    verify.add_argument("--model", help="compare with this model instead: weights, hook points, widths")


def _add(verbs: Any, name: str, text: str, call: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("--workspace", default="workspace", help="the workspace's directory (default: workspace)")
    parser.add_argument("--hub", help=f"a folder or a URL (default: {VARIABLE}, else the folder hub of the workspace)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(call=call)
    return parser


def _filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", choices=KINDS, help="only these")
    parser.add_argument("--tag", dest="tags", action="append", default=[], help="only with this tag; may be repeated")
    parser.add_argument("--model", help="only of this model: a part of its name, or the beginning of its fingerprint")
    parser.add_argument("--all", dest="all_versions", action="store_true", help="every version, not only the newest")


def _list(parsed: argparse.Namespace) -> int:
    hub = Hub(_place(parsed)).refresh()
    words = getattr(parsed, "words", [])
    shown = hub.artifacts(newest_only=not parsed.all_versions)
    found = [each for each in shown if matching(each, words, parsed.kind, parsed.tags, parsed.model)]
    root = None if is_url(parsed.workspace) else Path(parsed.workspace).expanduser()
    artifacts = [describe(each, root) for each in found]
    report = {
        "hub": hub.place.shown,
        "artifacts": artifacts,
        "passed_over": len(shown) - len(found),
        "faults": hub.faults,
    }
    print(as_json(report) if parsed.json else say_artifacts(report))
    return 0


def _push(parsed: argparse.Namespace) -> int:
    from loaders.workspace import slug
    from precompute.hub_push import Request, push

    name = parsed.name or slug(parsed.source.rpartition("/")[2] or "-")
    request = Request(
        parsed.source.rstrip("/"), name, parsed.version, parsed.license, parsed.description, parsed.author,
        tuple(parsed.tags), tuple(parsed.depends),
    )  # fmt: skip
    place = _place(parsed)
    pushed = push(request, _workspace(parsed), place, _progress())
    report = {"hub": place.shown, **describe(pushed.artifact, None), "sent": pushed.sent, "skipped": pushed.skipped}
    print(as_json(report) if parsed.json else say_pushed(report))
    return 0


def _pull(parsed: argparse.Namespace) -> int:
    from precompute.hub_pull import plan, pull
    from precompute.lock import hold_workspace

    hub, workspace = Hub(_place(parsed)).refresh(), _workspace(parsed, may_begin=True)
    artifacts = plan(hub, parsed.artifact)
    if parsed.model:
        from precompute.hub_model import require_fit

        require_fit(artifacts[-1], parsed.model, workspace)
    with hold_workspace(workspace.root):
        pulled = pull(artifacts, hub, workspace, _progress())
    report = {
        "hub": hub.place.shown,
        "artifacts": [each.reference for each in artifacts],
        "license": pulled.artifact.license,
        "added": pulled.added,
        "present": pulled.present,
        "fetched": pulled.fetched,
    }
    print(as_json(report) if parsed.json else say_pulled(report))
    return 0


def _verify(parsed: argparse.Namespace) -> int:
    hub = Hub(_place(parsed)).refresh()
    artifact = hub.find(*read_reference(parsed.artifact))
    if parsed.model:
        from precompute.hub_model import compare

        fit = compare(artifact, parsed.model, Workspace(parsed.workspace))
        report = {"artifact": artifact.reference, **fit._asdict()}
        print(as_json(report) if parsed.json else say_fit(report))
        return 1 if fit.differences else 0
    from precompute.hub_download import hub_faults

    with _progress().step(f"verify {artifact.reference}", artifact.size, "bytes") as bar:
        faults = hub_faults(hub.place, artifact, bar.advance)
    verified = {"artifact": artifact.reference, "files": len(artifact.files), "size": artifact.size, "faults": faults}
    print(as_json(verified) if parsed.json else say_verified(verified))
    return 1 if faults else 0


def _place(parsed: argparse.Namespace) -> FolderPlace | ObjectPlace:
    root = None if is_url(parsed.workspace) else Path(parsed.workspace).expanduser()
    address = find_address(parsed.hub, root)
    if address is None:
        raise BadInput(f"No hub is named: add --hub, a folder or a URL such as s3://bucket/hub, or set {VARIABLE}.")
    return open_place(address)


def _workspace(parsed: argparse.Namespace, may_begin: bool = False) -> Workspace:
    if is_url(parsed.workspace):
        raise BadInput(f"`loupe hub` works on a local workspace; '{parsed.workspace}' is an object store.")
    if not may_begin and not Path(parsed.workspace).expanduser().is_dir():
        raise BadInput(f"There is no workspace at '{parsed.workspace}'. Build one with `loupe demo` or `loupe build`.")
    return Workspace(parsed.workspace)


def _progress() -> Any:
    from precompute.progress import Progress

    try:
        from precompute.sinks import TerminalSink
    except ModuleNotFoundError:  # tqdm comes with the write side; where only serving is installed, nothing is drawn
        return Progress()
    return Progress(TerminalSink())
