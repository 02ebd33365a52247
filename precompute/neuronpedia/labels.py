"""A bundle's explanations as labels of an SAE: planned first, written only where a feature has never been labelled."""

from typing import Any, NamedTuple

import numpy as np

from catalog.catalog import Catalog
from catalog.dictionary.neuronpedia import Offered, index_of, offer_of
from catalog.errors import StaleEdit
from catalog.labels import Label, get_label, labels_of, put_label
from loaders.errors import BadInput
from loaders.sae import SaeRecord
from precompute.neuronpedia.checks import numbers
from precompute.neuronpedia.directions import fingerprint_of, require_same_sae
from precompute.neuronpedia.files import Bundle
from precompute.progress import Progress
from precompute.weights import has_weights

SAME_DIRECTION = 0.99


class Plan(NamedTuple):
    """What an import does: `new` versions to add by feature (oldest first), `same` features that say so already, and
    `kept`: features with a label of their own that is not touched (the label, None where it was cleared, and the offer)."""

    new: dict[int, list[Offered]]
    same: list[int]
    kept: dict[int, tuple[Label | None, Offered]]


def read_offers(bundle: Bundle, features: int) -> dict[int, list[Offered]]:
    """Explanations by feature, the newest last (rows without a date in the order of the file). Raises BadInput."""
    authors = _authors(bundle)
    found: dict[int, list[tuple[str, Offered]]] = {}
    for row in bundle.all_rows("explanations"):
        feature, text = index_of(row.fields), row.fields.get("description")
        if feature is None or not isinstance(text, str) or not text.strip():
            raise BadInput(f"Line {row.line} of '{row.file}' names no feature or says nothing. Nothing was imported.")
        if feature >= features:
            raise BadInput(
                f"Line {row.line} of '{row.file}' is of feature {feature}; the SAE has 0 to {features - 1}. Name the right SAE."
            )
        moment = row.fields.get("createdAt")
        offer = offer_of(row.fields, text, authors.get(feature))
        found.setdefault(feature, []).append((moment if isinstance(moment, str) else "", offer))
    return {
        feature: [offer for _, offer in sorted(offers, key=lambda each: each[0])]
        for feature, offers in sorted(found.items())
    }


def _authors(bundle: Bundle) -> dict[int, str]:
    """Who wrote the labels that Loupe exported: the format itself has room for a user's id alone."""
    stated = bundle.sidecar.get("authors")
    found: dict[int, str] = {}
    for author, features in stated.items() if isinstance(stated, dict) else ():
        for feature in features if isinstance(features, list) else ():
            if isinstance(feature, int):
                found[feature] = author
    return found


def check_alignment(bundle: Bundle, record: SaeRecord, labelled: set[int]) -> str:
    """How sure it is that the bundle's features are those of the SAE, in words. Raises BadInput where they are not.

    Loupe's own exports state the SAE's fingerprint; in others the vectors are compared with the decoder's rows.
    """
    stated = bundle.plan.get("fingerprints")
    if isinstance(stated, dict) and stated.get("sae"):
        require_same_sae(record, stated["sae"], "the bundle")
        return "the bundle states the SAE's fingerprint"
    if not has_weights(record):
        return "not checked: the SAE's weights are not here"
    decoder, compared = record.decoder(), 0
    for row in bundle.all_rows("features"):
        feature, vector = index_of(row.fields), numbers(row.fields.get("vector"))
        if feature not in labelled or vector is None or not len(vector):
            continue
        assert feature is not None
        cosine = 0.0
        if len(vector) == decoder.shape[1]:
            norms = float(np.linalg.norm(vector) * np.linalg.norm(decoder[feature]))
            cosine = float(vector @ decoder[feature]) / norms if norms else 1.0
        if cosine < SAME_DIRECTION:
            raise BadInput(
                f"Feature {feature} of the bundle is not that of SAE '{record.id}': the cosine of their vectors is {cosine:.3f}."
                " Labels would stand on the wrong features: name the right SAE."
            )
        compared += 1
    if not compared:
        return "not checked: the bundle has no vectors"
    return f"the vectors of {compared:,} features are the SAE's decoder rows"


def plan_labels(catalog: Catalog | None, fingerprint: str, offers: dict[int, list[Offered]]) -> Plan:
    """Compare with the catalog (None: there is none yet); nothing is written."""
    current = labels_of(catalog, fingerprint) if catalog else {}
    plan = Plan({}, [], {})
    for feature, offered in offers.items():
        label = current.get(feature)
        if label is None and (catalog is None or get_label(catalog, fingerprint, feature) is None):
            plan.new[feature] = offered
        elif label is not None and (label.name, label.notes) == (offered[-1].name, offered[-1].notes):
            plan.same.append(feature)
        else:
            plan.kept[feature] = label, offered[-1]
    return plan


def write_labels(catalog: Catalog, record: SaeRecord, plan: Plan, progress: Progress) -> dict[int, StaleEdit]:
    """Add the new versions, and return the features that somebody labelled in the meantime: theirs are kept."""
    fingerprint, overtaken = fingerprint_of(record), {}
    with progress.step("import labels", len(plan.new), "features") as bar:
        for feature, offers in plan.new.items():
            version: int | None = None
            try:
                for offer in offers:
                    name, notes, author, _ = offer
                    version = put_label(catalog, record.id, fingerprint, feature, name, notes, author, version).version
            except StaleEdit as error:
                overtaken[feature] = error
            bar.advance()
    return overtaken


def report_of(plan: Plan) -> dict[str, Any]:
    """The plan for a person or a program to read."""
    kept = [
        {
            "feature": feature,
            "label": label.name if label else None,
            "author": label.author if label else None,
            "offered": offer.name,
            "offered_by": offer.author,
        }
        for feature, (label, offer) in plan.kept.items()
    ]
    return {
        "new": len(plan.new),
        "versions": sum(map(len, plan.new.values())),
        "same": len(plan.same),
        "kept": kept,
        "shortened": sorted(
            feature for feature, all_of in plan.new.items() if any(each.is_shortened for each in all_of)
        ),
    }
