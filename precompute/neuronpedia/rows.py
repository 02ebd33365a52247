"""Rows of one batch of features: each feature's own row, and one row for every context that shows it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.neuronpedia import Chosen, bars, choose, context_values, similarity
from catalog.dictionary.neuronpedia import row_id
from loaders.dataset import Dataset
from loaders.protocol import FeatureActivations
from loaders.store import Store
from loaders.tables import GroupedTable
from precompute.neuronpedia.fields import ACTIVATION, FEATURE, TOP, row_of, short


def choose_batch(store: Store, features: range, plan: dict[str, Any]) -> list[list[Chosen]]:
    """The samples that show each feature; the draw is seeded by the feature's id."""
    sizes = plan["top"], plan["bands"], plan["per_band"]
    return [choose(store.activations(feature), store.dataset, *sizes, seed=feature) for feature in features]


def read_texts(dataset: Dataset, chosen: list[list[Chosen]]) -> dict[int, str]:
    """Text of every context that a batch shows, read once each in the order of the file."""
    contexts = sorted({each.context for samples in chosen for each in samples})
    rows = dataset.metadata(np.array(contexts, dtype=np.int64))
    return {context: str(row["text"]) for context, row in zip(contexts, rows, strict=True)}


def context_tokens(dataset: Dataset, context: int, text: str) -> list[str]:
    """The context's tokens as exact slices of its text, white space with the token before; special tokens by name."""
    start = int(dataset.offsets[context])
    pieces = dataset.pieces(context, text)
    first, last = int(dataset.sample_offsets[context]), int(dataset.sample_offsets[context + 1])
    special = np.ones(len(pieces), dtype=bool)
    special[dataset.samples[first:last] - start] = False
    for position in np.flatnonzero(special).tolist():
        pieces[position] = dataset.vocab[int(dataset.tokens[start + position])]
    return pieces


def activation_rows(
    store: Store, feature: int, chosen: list[Chosen], texts: dict[int, str], plan: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """One row per chosen sample. The strongest contexts have `binMin` and `binContains` -1 and `binMax` the maximum;
    `qualifyingTokenIndex` is the token whose activation lies in the bin."""
    found = store.activations(feature)
    for each in chosen:
        values = context_values(found, store.dataset, each.context)
        _, positions = store.dataset.locate(np.array([each.sample]))
        band = each.band
        yield row_of(
            ACTIVATION,
            id=row_id("activation", store.fingerprint, plan["model_id"], plan["source"], feature, each.sample, band),
            tokens=context_tokens(store.dataset, each.context, texts[each.context]),
            index=str(feature),
            layer=plan["source"],
            modelId=plan["model_id"],
            maxValue=short(float(values.max())),
            maxValueTokenIndex=int(values.argmax()),
            minValue=short(float(values.min())),
            values=[short(value) if value else 0 for value in values.tolist()],
            creatorId=plan["creator_id"],
            dataSource=store.dataset.id,
            dataIndex=str(each.context),
            createdAt=plan["created_at"],
            binMin=TOP if band is None else band.low,
            binMax=short(float(found.activations.max())) if band is None else band.high,
            binContains=TOP if band is None else band.share,
            qualifyingTokenIndex=int(positions[0]),
        )


def feature_row(
    store: Store, feature: int, known: dict[str, Any], correlated: dict[str, Any], plan: dict[str, Any]
) -> dict[str, Any]:
    """A feature's own row; `known` are the fields of its decoder row and of its logits."""
    found = store.activations(feature)
    maximum = short(float(found.activations.max())) if len(found.activations) else 0.0
    heights, centres = bars(found.activations, plan["bins"], low=0.0)
    return row_of(
        FEATURE,
        modelId=plan["model_id"],
        layer=plan["source"],
        index=str(feature),
        creatorId=plan["creator_id"],
        createdAt=plan["created_at"],
        maxActApprox=maximum,
        vectorDefaultSteerStrength=maximum if known.get("hasVector") and maximum else None,
        hookName=plan["hook_name"],
        frac_nonzero=len(found.activations) / store.samples if store.samples else 0.0,
        freq_hist_data_bar_heights=heights.tolist(),
        freq_hist_data_bar_values=centres.tolist(),
        sourceSetName=plan["set_name"],
        **known,
        **correlated,
    )


def correlated(store: Store, feature: int, found: FeatureActivations, table: GroupedTable, k: int) -> dict[str, Any]:
    """Features that fire most alike over all samples: Pearson correlation, and (in `_l1`, as the format's own tool fills
    it) the cosine of the activations. The table holds the most correlated of ALL features."""
    rows = table.rows(feature)
    order = np.argsort(-rows["pearson"].to_numpy(), kind="stable")[:k]
    others = rows["neighbour"].to_numpy()[order].tolist()
    measured = [similarity(found, store.activations(other), store.samples) for other in others]
    return {
        "correlated_features_indices": others,
        "correlated_features_pearson": [short(each.pearson) for each in measured],
        "correlated_features_l1": [short(each.cosine) for each in measured],
    }
