"""How a label is sent and told over HTTP: the fields of an edit, what it leaves as it is, and the schema of a label."""

from collections.abc import Sequence
from typing import Any

from catalog.evidence import STORE_LIMIT, check_evidence
from catalog.label_text import ORIGINS, Edit, Evidence, Label
from catalog.labels import CATEGORY_LIMIT, NAME_LIMIT, NOTES_LIMIT, get_versions
from dashboard import api_body
from dashboard.api_body import EDIT_KEY, Body, Field
from dashboard.api_schema import NUMBER, TEXT, WHOLE, or_null, record
from dashboard.context import author, catalog, workspace
from loaders.errors import BadInput, StoreDamaged, StoreNotFound
from loaders.store import Store

_PLACE = Body(
    "The evidence",
    '{"store": "...", "context": 3, "position": null}',
    (
        api_body.text("store", STORE_LIMIT).needed(),
        api_body.whole("context", "the index of a context, from 0").needed(),
        api_body.whole("position", "a position in the context, from 0").or_null(),
    ),
)
_EVIDENCE = Field("evidence", "an object", _PLACE.schema, lambda value: isinstance(value, dict)).or_null()
NAME = api_body.text("name", NAME_LIMIT)
NOTES = api_body.text("notes", NOTES_LIMIT).or_null()
CATEGORY = api_body.text("category", CATEGORY_LIMIT).or_null()
CONFIDENCE = api_body.share("confidence").or_null()
REPLACES = api_body.whole("replaces", "the version that you saw").or_null(" where there was none")
FIELDS = (NAME.or_null(), NOTES, CATEGORY, CONFIDENCE, _EVIDENCE, REPLACES, EDIT_KEY)
EDIT = Body("A label", '{"name": "...", "notes": "...", "replaces": null}', FIELDS)
EDIT_OF_FEATURE = Body(
    "A label",
    '{"feature_id": 3, "name": "...", "replaces": null}',
    (api_body.whole("feature_id", "the id of a feature").needed(), *FIELDS),
)

LABEL = record(
    sae_id=TEXT,
    feature_id=WHOLE,
    version=or_null(WHOLE),
    name=TEXT,
    notes=TEXT,
    category=TEXT,
    confidence=or_null(NUMBER),
    evidence=or_null(record(store=TEXT, context=WHOLE, position=or_null(WHOLE))),
    author=or_null(TEXT),
    created_at=or_null(TEXT),
    replaces=or_null(WHOLE),
    origin=or_null(
        record(
            kind={"enum": list(ORIGINS)},
            sae=or_null(TEXT),
            feature=or_null(WHOLE),
            score=or_null(NUMBER),
            detail=or_null(TEXT),
        )
    ),
    edit_key=or_null(TEXT),
)
"""What `api_json.label` tells; the fields that are null are those of a feature without a label."""


def edits_of(store: Store, sent: Sequence[dict[str, Any]]) -> list[Edit]:
    """The edits that were sent, each with its `feature_id`, by whoever asks.

    A field that is absent stays as in the version that the edit replaces; null or "" clears it. An empty name clears the
    label whole. Raises BadInput for a new label without a name, and for a version that is not there.
    """
    versions = [(each["feature_id"], each["replaces"]) for each in sent if each.get("replaces") is not None]
    seen = get_versions(catalog(), store.sae_fingerprint, versions)
    return [_edit(store, each, seen.get((each["feature_id"], each.get("replaces")))) for each in sent]


def _edit(store: Store, sent: dict[str, Any], seen: Label | None) -> Edit:
    if seen is None and not (sent.get("name") or "").strip():
        if (replaces := sent.get("replaces")) is not None:
            raise BadInput(f"Version {replaces} of this label does not exist: reload it and save again.")
        raise BadInput(f'A new label needs a "name": send {EDIT.example}.')
    name = sent.get("name", seen.name if seen else "") or ""
    kept = seen if name.strip() else None
    texts = {field: sent.get(field, getattr(kept, field, "")) or "" for field in ("notes", "category")}
    evidence = _evidence(store, sent["evidence"], kept) if "evidence" in sent else kept and kept.evidence
    return Edit(
        store.sae_id,
        store.sae_fingerprint,
        sent["feature_id"],
        name,
        author=author(),
        replaces=sent.get("replaces"),
        confidence=sent.get("confidence", kept.confidence if kept else None),
        evidence=evidence,
        edit_key=sent.get("edit_key"),
        **texts,
    )


def _evidence(store: Store, sent: dict[str, Any] | None, kept: Label | None) -> Evidence | None:
    """A place that is there, or the one that the label has already: its store may be gone since."""
    if sent is None:
        return None
    place = _PLACE.check(sent)
    evidence = Evidence(place["store"], place["context"], place.get("position"))
    if kept is None or kept.evidence != evidence:
        check_evidence(evidence)
        _require_place(store, evidence)
    return evidence


def _require_place(store: Store, evidence: Evidence) -> None:
    """Raise BadInput for evidence that is no place in a store of the same SAE."""
    try:
        shown = store if evidence.store == store.id else workspace().open_store(evidence.store)
    except (StoreNotFound, StoreDamaged) as error:
        raise BadInput(
            f"The evidence's store '{evidence.store[:80]}' cannot be opened: name one of this SAE."
        ) from error
    if shown.sae_fingerprint != store.sae_fingerprint:
        raise BadInput(
            f"The evidence is of SAE '{shown.sae_id}': name a store of '{store.sae_id}', whose label this is."
        )
    contexts = shown.dataset.contexts
    if evidence.context >= contexts:
        raise BadInput(
            f"The evidence's context {evidence.context} does not exist: '{shown.id}' has contexts 0 to {contexts - 1}."
        )
    first, stop = map(int, shown.dataset.offsets[evidence.context : evidence.context + 2])
    if evidence.position is not None and evidence.position >= stop - first:
        raise BadInput(
            f"The evidence's position {evidence.position} does not exist: "
            f"context {evidence.context} has positions 0 to {stop - first - 1}."
        )
