"""A dictionary file over HTTP into a store's labels: first what it would change, then exactly that, all of it or nothing."""

from typing import Any

from flask import Response, request

from catalog.dictionary.changes import changes_of
from catalog.dictionary.entry import EMPTY
from catalog.dictionary.importing import apply_differences
from catalog.dictionary.reading import FORMATS
from catalog.texts import NAME_LIMIT
from dashboard.api_json import answer, answer_error
from dashboard.api_route import JSON, STORE, TEXT_KIND, Route, choice, words, yes_or_no
from dashboard.api_schema import NUMBER, TEXT, WHOLE, or_null, record, several
from dashboard.context import catalog, workspace
from dashboard.label_importing import MOST_BYTES, Import, read_import
from loaders.errors import BadInput
from loaders.store import Store

CONFLICTS_ARE = ("refuse", "keep", "replace")
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
FILE = words("file", "Name of the file, in messages and in the labels' origin.", NAME_LIMIT)
FORMAT = choice("format", "Its format; without it the format is recognised by the content.", tuple(FORMATS))
APPLY = yes_or_no("apply", "Save what the preview showed.")
EXPECT = words("expect", "Digest of the preview that is applied.", 64)
CONFLICTS = choice("conflicts", "Labels that others changed since the file was written.", CONFLICTS_ARE, "refuse")


def import_labels(store_id: str) -> Response:
    """Tell what a dictionary file would change; with `apply` and the preview's digest in `expect` it is saved."""
    store = workspace().open_store(store_id)
    if request.mimetype in FORMS:
        return answer_error(415, f"The body is the file itself: send it with Content-Type: {TEXT_KIND}, not as a form.")
    request.max_content_length = MOST_BYTES
    name, is_applied, expected, conflicts = FILE.asked() or "labels", APPLY.asked(), EXPECT.asked(), CONFLICTS.asked()
    if is_applied and expected is None:
        raise BadInput(
            "'apply' needs 'expect', the digest of the preview that you have seen: ask without 'apply' first."
        )
    found = read_import(store, request.get_data(), name, FORMAT.asked())
    preview = _preview(store, name, found)
    if not is_applied:
        return answer({**preview, "saved": 0})
    refusal = _refusal(found, str(expected), conflicts)
    if refusal:
        return answer_error(409, refusal, **preview, saved=0)
    saved = apply_differences(catalog(), found.importer, found.differences, with_conflicts=conflicts == "replace")
    return answer({**preview, "saved": len(saved)})


def _refusal(found: Import, expected: str, conflicts: str) -> str:
    """Why nothing may be saved; empty where it may."""
    if expected != found.differences.digest:
        return (
            f"The changes are {found.differences.digest}, not the {expected[:40]} of the preview: labels were saved since,"
            " or the file is another one. Nothing was imported: look at the changes and send their digest."
        )
    if found.differences.conflicts and conflicts == "refuse":
        return (
            f"{len(found.differences.conflicts):,} labels were changed by others since the file was written: nothing was"
            " imported. Send conflicts=keep to leave theirs, or conflicts=replace to save yours over them."
        )
    return ""


def _preview(store: Store, name: str, found: Import) -> dict[str, Any]:
    changes = changes_of(found.differences, found.importer)
    for kind in ("added", "changed", "conflicts"):
        changes[kind] = [{"feature_id": each.pop("feature"), **each} for each in changes[kind]]
    return {
        "store": store.id,
        "file": name,
        "format": found.file.format,
        "entries": len(found.file.entries),
        "remarks": list(found.file.remarks),
        **changes,
        "digest": found.differences.digest,
    }


_TEXTS = record(name=TEXT, category=TEXT, notes=TEXT, confidence=or_null(NUMBER), evidence=TEXT)
_CHANGE = record(
    feature_id=WHOLE,
    line=WHOLE,
    fields=several({"enum": list(EMPTY)}),
    old=or_null(_TEXTS),
    new=_TEXTS,
    replaces=or_null(WHOLE),
    old_author=or_null(TEXT),
    author=TEXT,
    older_versions=WHOLE,
    reason=TEXT,
)
_REPLY = record(
    store=TEXT,
    file=TEXT,
    format=TEXT,
    entries=WHOLE,
    remarks=several(TEXT),
    added=several(_CHANGE),
    changed=several(_CHANGE),
    conflicts=several(_CHANGE),
    unchanged=WHOLE,
    digest=TEXT,
    saved=WHOLE,
)

ROUTES = (
    Route(
        "POST",
        f"{STORE}/labels/import",
        import_labels,
        {JSON: _REPLY},
        (FILE, FORMAT, APPLY, EXPECT, CONFLICTS),
        body=TEXT,
        body_kind=TEXT_KIND,
        refusals=(409, 413, 415),
        role="labeller",
    ),
)
