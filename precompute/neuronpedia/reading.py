"""A bundle as it can be read without a store: what it is of, its features in short, and one feature in full."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from catalog.dictionary.neuronpedia import index_of
from loaders.errors import BadInput
from precompute.neuronpedia.checks import is_top
from precompute.neuronpedia.fields import ROWS_PER_BATCH
from precompute.neuronpedia.files import KINDS, BadLine, Bundle, Row

SHOWN = {  # key: field of a feature's row
    "density": "frac_nonzero",
    "max": "maxActApprox",
    "promoted": "pos_str",
    "suppressed": "neg_str",
}
WHOLE = {
    "promoted_values": "pos_values",
    "suppressed_values": "neg_values",
    "histogram_heights": "freq_hist_data_bar_heights",
    "histogram_centres": "freq_hist_data_bar_values",
    "nearest": "topkCosSimIndices",
    "nearest_cosines": "topkCosSimValues",
    "correlated": "correlated_features_indices",
    "correlated_pearson": "correlated_features_pearson",
    "hook": "hookName",
}


def overview(bundle: Bundle, limit: int) -> dict[str, Any]:
    """The bundle's cards in short and its first `limit` features with their newest explanation."""
    source, release = bundle.cards["source"], bundle.cards["release"]
    names = _explanations(bundle)
    return {
        "bundle": str(bundle.directory),
        "model": bundle.model_id,
        "source": bundle.source,
        "set": source.get("setName"),
        "dataset": source.get("dataset"),
        "release": release.get("name"),
        "creator": release.get("creatorName"),
        "made_by_loupe": bool(bundle.plan),
        "batches": {kind: len(bundle.batches(kind)) for kind in KINDS},
        "explained": len(names),
        "features": [
            {**_short(row), "explanation": names.get(index_of(row.fields))}
            for row in islice(bundle.all_rows("features"), limit)
        ],
    }


def one_feature(bundle: Bundle, feature: int, examples: int) -> dict[str, Any]:
    """One feature with histogram, logits, neighbours, explanations and its first `examples` contexts.

    Raises BadInput for a feature that is not in the bundle.
    """
    row = next(_of(bundle, "features", feature), None)
    if row is None:
        raise BadInput(f"Feature {feature} is not in the bundle '{bundle.directory}'.")
    explained = [each.fields for each in bundle.all_rows("explanations") if index_of(each.fields) == feature]
    shown = []
    for each in islice(_of(bundle, "activations", feature), examples):
        fields = each.fields
        keys = {"tokens": "tokens", "values": "values", "max": "maxValue", "max_at": "maxValueTokenIndex"}
        places = {"bin_min": "binMin", "bin_max": "binMax", "bin_share": "binContains", "context": "dataIndex"}
        shown.append({"is_top": is_top(fields), **{key: fields.get(name) for key, name in {**keys, **places}.items()}})
    return {
        **_short(row),
        **{key: row.fields.get(name) for key, name in WHOLE.items()},
        "vector": row.fields.get("vector") or None,
        "explanations": [
            {"text": fields.get("description"), "notes": fields.get("notes"), "author_id": fields.get("authorId")}
            for fields in explained
        ],
        "examples": shown,
    }


def _short(row: Row) -> dict[str, Any]:
    return {"feature": index_of(row.fields), **{key: row.fields.get(field) for key, field in SHOWN.items()}}


def _explanations(bundle: Bundle) -> dict[int | None, str]:
    rows = ((index_of(row.fields), row.fields) for row in bundle.all_rows("explanations"))
    return {feature: str(fields.get("description")) for feature, fields in rows if feature is not None}


def _of(bundle: Bundle, kind: str, feature: int) -> Iterator[Row]:
    """Rows of one feature: its own batch is looked at first, the others only where it has none there."""
    files = bundle.batches(kind)
    first = bundle.plan.get("first")
    own = (feature - (first if isinstance(first, int) else 0)) // ROWS_PER_BATCH
    for file in sorted(files, key=lambda name: not name.startswith(f"{kind}/batch-{own}.")):
        was_there = False
        try:
            for row in bundle.rows(file):
                if index_of(row.fields) == feature:
                    was_there = True
                    yield row
        except BadLine as error:
            raise BadInput(f"Line {error.line} of '{file}' {error.problem}. Run `loupe neuronpedia verify`.") from error
        if was_there:
            return
