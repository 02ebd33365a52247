"""The verbs of `loupe labels`: export, import and carry. Parse, call, print."""

import argparse
import getpass
import os
import sys
from pathlib import Path
from typing import Any

from catalog.dictionary.changes import changes_of
from catalog.dictionary.differences import Differences, compare
from catalog.dictionary.importing import Importer, apply_differences, entries_of, newest_of
from catalog.dictionary.neuronpedia import CREATOR_ID, Place, place_of
from catalog.dictionary.problems import FileRefused
from catalog.dictionary.reading import FORMATS, read_dictionary
from catalog.dictionary.writing import SUFFIXES, TYPES, pack, write_dictionary
from loaders.errors import BadInput
from loaders.sae import SaeRecord
from loaders.workspace import Workspace
from loupe import labels_carry, labels_text
from loupe.catalogs import open_catalog, sae_of
from loupe.model_facts import as_json
from precompute.neuronpedia.fields import require_name

CONFLICTS = ("refuse", "keep", "replace")
MOST_BYTES = 256 << 20


def add_verbs(verbs: Any) -> None:
    """Register the verb and its own verbs with an argparse object of subparsers; each sets `call`."""
    text = "labels as files, and labels carried over to another SAE"
    own = verbs.add_parser("labels", help=text, description=text).add_subparsers(
        dest="labels_verb", required=True, metavar="COMMAND"
    )
    leave = _add(own, "export", "the labels of an SAE -> a dictionary file", _export)
    leave.add_argument("sae", metavar="SAE", help="id of the SAE, or of a store of it")
    leave.add_argument("file", metavar="FILE", help="the file to write; gzipped where its name ends in .gz")
    leave.add_argument("--format", choices=tuple(TYPES), help="default: by the file's name, else json")
    leave.add_argument("--history", action="store_true", help="older versions as well")
    leave.add_argument("--force", action="store_true", help="replace the file where it is there")
    leave.add_argument("--model-id", help="neuronpedia: the model's id there (default: its id here)")
    leave.add_argument("--source-id", help="neuronpedia: the source's id there (default: <layer>-<set>)")
    leave.add_argument("--creator-id", default=CREATOR_ID, help="neuronpedia: id of the user who explains")
    bring = _add(own, "import", "a dictionary file -> labels; shows what it would change, --apply does it", _import)
    bring.add_argument("sae", metavar="SAE", help="id of the SAE, or of a store of it")
    bring.add_argument("file", metavar="FILE", help="the file to read")
    bring.add_argument("--format", choices=tuple(FORMATS), help="default: recognised by its content")
    bring.add_argument("--apply", action="store_true", help="save what is shown, all of it or nothing")
    bring.add_argument("--author", help="who writes the labels (default: whom the file names, else your login name)")
    bring.add_argument(
        "--conflicts", choices=CONFLICTS, default="refuse", help="labels that others changed since (default: refuse)"
    )
    bring.add_argument("--expect", metavar="DIGEST", help="save only if these are still the changes shown before")

    carry = _add(own, "carry", "labels for the matched features of another SAE; --apply saves them", labels_carry.carry)
    labels_carry.add_options(carry)


def _add(verbs: Any, name: str, text: str, call: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("--workspace", default="workspace", help="the workspace's directory (default: workspace)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(call=call)
    return parser


def _export(parsed: argparse.Namespace) -> int:
    workspace, target = Workspace(parsed.workspace), Path(parsed.file).expanduser()
    record, source = sae_of(workspace, parsed.sae)
    kind = parsed.format or _format_of(target)
    if target.exists() and not parsed.force:
        raise BadInput(f"'{target}' exists already. Choose another name, or add --force to replace it.")
    with open_catalog(workspace) as catalog:
        entries = entries_of(catalog, str(source.fingerprint), parsed.history) if catalog else []
    data = write_dictionary(kind, entries, source, _place(parsed, record))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(pack(data) if target.suffix == ".gz" else data)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    versions = sum(1 + len(entry.earlier) for entry in entries)
    report = {"sae": source.sae_id, "file": str(target), "format": kind, "labels": len(entries), "versions": versions}
    print(as_json(report) if parsed.json else labels_text.say_export(report))
    return 0


def _format_of(target: Path) -> str:
    suffix = Path(target.name.removesuffix(".gz")).suffix.lower().replace(".yml", ".yaml")
    return next((kind for kind, own in SUFFIXES.items() if own == suffix), "json")


def _place(parsed: argparse.Namespace, record: SaeRecord) -> Place:
    """The names that the command gives, or those that `loupe neuronpedia export` would."""
    known = record.metadata
    usual = place_of(known.get("model_id"), str(known.get("hook_name")), str(known.get("set") or record.id))
    model, source = parsed.model_id or usual.model, parsed.source_id or usual.source
    return Place(require_name("model id", model), require_name("source id", source), parsed.creator_id)


def _import(parsed: argparse.Namespace) -> int:
    workspace, path = Workspace(parsed.workspace), Path(parsed.file).expanduser()
    _, source = sae_of(workspace, parsed.sae)
    try:
        found = read_dictionary(
            _read(path), path.name, source.features or 0, fingerprint=source.fingerprint, kind=parsed.format
        )
    except FileRefused as refused:
        return _say_refused(parsed, refused)
    with open_catalog(workspace, writes=parsed.apply) as catalog:
        found_here = newest_of(catalog, str(source.fingerprint)) if catalog else {}
        differences = compare(found, found_here)
        importer = Importer(
            str(source.sae_id), str(source.fingerprint), f"{path.name} ({found.format})", parsed.author, _login()
        )
        report = {
            "sae": source.sae_id,
            "file": str(path),
            "format": found.format,
            "entries": len(found.entries),
            "remarks": list(found.remarks),
            **changes_of(differences, importer),
            "conflicts_are": parsed.conflicts,
            "digest": differences.digest,
            "saved": 0,
        }
        refusal = _refusal(parsed, differences)
        if parsed.apply and not refusal and catalog:
            with_conflicts = parsed.conflicts == "replace"
            report["saved"] = len(apply_differences(catalog, importer, differences, with_conflicts=with_conflicts))
    print(as_json(report) if parsed.json else labels_text.say_import(report, parsed.apply and not refusal))
    if parsed.apply and refusal:
        raise BadInput(refusal)
    return 0


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise BadInput(f"There is no file '{path}' to import.")
    if path.stat().st_size > MOST_BYTES:
        raise BadInput(f"'{path}' has more than {MOST_BYTES >> 20} MiB: split it.")
    return path.read_bytes()


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name, as in some containers
        return "import"


def _refusal(parsed: argparse.Namespace, differences: Differences) -> str:
    """Why nothing may be saved; empty where it may."""
    if parsed.expect and parsed.expect != differences.digest:
        return (
            f"These are not the changes {parsed.expect[:40]} that were shown before, but {differences.digest}: nothing was"
            " saved, look at them again."
        )
    if differences.conflicts and parsed.conflicts == "refuse":
        return (
            f"{len(differences.conflicts):,} labels were changed by others since the file was written: nothing was saved."
            " Add --conflicts keep to leave theirs, or --conflicts replace to save yours over them."
        )
    return ""


def _say_refused(parsed: argparse.Namespace, refused: FileRefused) -> int:
    if parsed.json:
        problems = [each._asdict() for each in refused.problems]
        print(as_json({"file": parsed.file, "problems": problems, "problem_count": refused.count, "saved": 0}))
    else:
        print(labels_text.say_problems(refused), file=sys.stderr)
    return 2
