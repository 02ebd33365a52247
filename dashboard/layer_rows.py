"""The feature pairs behind a fate between two layers, and the sentences about them."""

import numpy as np
import pandas as pd

from loaders.layers import LayerSet

MEASURES = ("both", "pearson", "jaccard", "sufficiency", "necessity", "cosine")
FATE_WORDS = {
    "persist": "one feature of each layer, linked only to each other",
    "split": "one earlier feature linked to two or more later ones",
    "merge": "two or more earlier features linked to one later one",
    "death": "an earlier feature linked to no later one",
    "birth": "a later feature linked to no earlier one",
}
SOURCE_FATES = ("persist", "split", "merge", "death")
TARGET_FATES = ("persist", "split", "merge", "birth")


def fate_counts(layers: LayerSet, i: int, j: int) -> tuple[dict[str, int], dict[str, int]]:
    """Features of the earlier layer i and of the later layer j by fate; the dead ones have none."""
    flows = layers.flows(i, j)
    found = flows.groupby(["side", "fate"], observed=True).size()
    return (
        {fate: int(found.get(("source", fate), 0)) for fate in SOURCE_FATES},
        {fate: int(found.get(("target", fate), 0)) for fate in TARGET_FATES},
    )


def fate_rows(layers: LayerSet, i: int, j: int, fate: str) -> pd.DataFrame:
    """Pairs of one fate: source, target (-1 where a dead or unmatched layer has none), is_linked and the MEASURES.

    Rows go by Pearson descending, of equal ones the pair that fires together more often first; links of one splitting
    (or merging) feature stand together. A death or a birth shows the nearest partner, which is below the threshold.
    """
    flows, matches = layers.flows(i, j), layers.matches(i, j)
    side = "target" if fate in ("merge", "birth") else "source"
    found = flows[(flows["side"] == side) & (flows["fate"] == fate)]
    ids = found["feature_id"].to_numpy()
    if fate in ("death", "birth"):
        mine, other = (side, "target") if fate == "death" else (side, "source")
        nearest = matches[matches["is_best_target" if fate == "death" else "is_best_source"]]
        alone = pd.DataFrame({mine: ids, "pearson": found["pearson"].to_numpy()})
        kept = alone.merge(nearest.drop(columns="pearson"), on=mine, how="left")
        kept[other] = kept[other].fillna(-1)
        kept["is_linked"] = False
        order = kept.sort_values(["pearson", "both"], ascending=False, kind="stable")
    else:
        kept = matches[matches["is_linked"] & matches[side].isin(ids)]
        groups = kept.groupby(side)
        best, most = groups["pearson"].transform("max"), groups["both"].transform("max")
        order = kept.assign(best=best, most=most).sort_values(
            ["best", "most", side, "pearson"], ascending=[False, False, True, False], kind="stable"
        )
    columns = ["source", "target", "is_linked", *MEASURES]
    return order[columns].astype({"source": np.int64, "target": np.int64}).reset_index(drop=True)


def above_null(layers: LayerSet, i: int, j: int) -> tuple[float, float, int]:
    """Share of the earlier layer's living features, and of the null's draws, above the threshold; number of the former."""
    flows = layers.flows(i, j)
    real = flows.loc[flows["side"] == "source", "pearson"].to_numpy()
    null, threshold = np.asarray(layers.null(i, j)), layers.threshold(i, j)
    return _share(real, threshold), _share(null, threshold), len(real)


def _share(values: np.ndarray, threshold: float) -> float:
    return float(np.mean(values > threshold)) if len(values) else 0.0
