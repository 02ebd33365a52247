"""`loupe labels carry`: labels of one SAE for the matched features of another, shown first, saved on request."""

import argparse
from typing import Any

from analysis.heirs import WAYS, Kinship, find_heirs, find_kinship
from analysis.inheritance import Heir
from catalog.dictionary.importing import newest_of
from catalog.inheriting import Match, plan_inheritance
from catalog.labels import labels_of, put_labels
from loaders.workspace import Workspace
from loupe import labels_text
from loupe.catalogs import open_catalog, sae_of
from loupe.model_facts import as_json


def add_options(parser: argparse.ArgumentParser) -> None:
    """The verb's own options."""
    parser.add_argument("source", metavar="FROM", help="id of the SAE, or of a store of it, whose labels they are")
    parser.add_argument("target", metavar="TO", help="id of the SAE, or of a store of it, that inherits")
    parser.add_argument("--least", type=float, default=0.7, help="how alike features must be, up to 1 (default: 0.7)")
    parser.add_argument(
        "--by", choices=WAYS, default="all", help="how features are matched (default: all that is there)"
    )
    parser.add_argument("--author", help="who carries them over (default: each label keeps its author)")
    parser.add_argument("--apply", action="store_true", help="save what is shown, all of it or nothing")


def carry(parsed: argparse.Namespace) -> int:
    """Match, show and, where asked, save in one transaction."""
    workspace = Workspace(parsed.workspace)
    (source, ours), (target, theirs) = sae_of(workspace, parsed.source), sae_of(workspace, parsed.target)
    kinship = find_kinship(workspace, source, target, parsed.by)
    with open_catalog(workspace, writes=parsed.apply) as catalog:
        labels = labels_of(catalog, str(ours.fingerprint)) if catalog else {}
        heirs = find_heirs(kinship, source, target, sorted(labels), parsed.least)
        matches = [_match(heir, source.id) for heir in heirs if heir.target is not None]
        current = newest_of(catalog, str(theirs.fingerprint)) if catalog else {}
        place = target.id, str(theirs.fingerprint)
        plan = plan_inheritance(labels, current, matches, str(ours.fingerprint), place, parsed.author)
        saved = put_labels(catalog, [edit for _, edit in plan.new]) if parsed.apply and catalog else []
    by_source = {heir.source: heir for heir in heirs}
    report = {
        "source": source.id,
        "target": target.id,
        "matched_by": _ways(kinship),
        "notes": list(kinship.notes),
        "least": parsed.least,
        "labels": len(labels),
        "carried": [{**_row(by_source[m.source]), "name": edit.name, "author": edit.author} for m, edit in plan.new],
        "same": len(plan.same),
        "kept": [
            {**_row(by_source[m.source]), "name": labels[m.source].name, "label": own.name, "label_author": own.author}
            for m, own in plan.kept
        ],
        "unmatched": [
            {**_row(heir), "name": labels[heir.source].name, "reason": heir.reason} for heir in heirs if heir.reason
        ],
        "saved": len(saved),
    }
    print(as_json(report) if parsed.json else labels_text.say_carry(report, parsed.apply))
    return 0


def _ways(kinship: Kinship) -> list[str]:
    stores = kinship.stores
    return [
        *(["decoder"] if kinship.decoder else []),
        *([f"activations ({stores[0].id}, {stores[1].id})"] if stores else []),
    ]


def _match(heir: Heir, source: str) -> Match:
    """Its score is the least of those that were measured."""
    found = {"decoder cosine": heir.decoder, "activation correlation": heir.activations}
    scores = {name: partner.score for name, partner in found.items() if partner is not None}
    words = " and ".join(f"{name} {score:.3f}" for name, score in scores.items())
    assert heir.target is not None
    return Match(
        heir.source, heir.target, round(min(scores.values()), 6), f"feature {heir.source} of {source} by {words}"
    )


def _row(heir: Heir) -> dict[str, Any]:
    return {
        "from": heir.source,
        "to": heir.target,
        "decoder": heir.decoder.score if heir.decoder else None,
        "activations": heir.activations.score if heir.activations else None,
    }
