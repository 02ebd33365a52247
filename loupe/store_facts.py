"""What a store holds in a few numbers, and examples of one feature."""

from typing import Any

import numpy as np
import pandas as pd

from dashboard.density import DENSE
from loaders.errors import BadInput
from loaders.store import Store

QUANTILES = {"min": 0.0, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1.0}
MOST_EXAMPLES = 10_000
TOKENS = 5


def overview(store: Store, top: int = 10) -> dict[str, Any]:
    """Counts, density quantiles of the living features, dead and dense shares, quality, and the `top` features.

    `tokens` of a feature is empty while the table `tokens` is missing. Raises BadInput and TableMissing (stats).
    """
    if top < 1:
        raise BadInput(f"The top {top} features were asked for. Ask for at least 1.")
    stats = store.stats()
    living = stats.loc[stats["n"] > 0, "density"].to_numpy()
    dense = int((stats["density"] >= DENSE).sum())
    tokens = store.top_token_names(TOKENS) if store.has("tokens") else [[] for _ in range(store.features)]
    nnz, features = int(stats["n"].sum()), store.features
    quantiles = np.quantile(living, list(QUANTILES.values())).tolist() if len(living) else []
    return {
        "store": store.id,
        "sae": store.sae_id,
        "model_id": store.manifest.get("model_id"),
        "hook": store.hook,
        "dataset": store.dataset.id,
        "set": store.set_id,
        "layer_index": store.manifest.get("layer_index"),
        "granularity": store.manifest.get("granularity", "token"),
        "samples": store.samples,
        "contexts": store.dataset.contexts,
        "features": features,
        "nnz": nnz,
        "l0": nnz / max(store.samples, 1),
        "dead": features - len(living),
        "dead_share": (features - len(living)) / max(features, 1),
        "dense": dense,
        "dense_share": dense / max(features, 1),
        "dense_from": DENSE,
        "density_quantiles": dict(zip(QUANTILES, quantiles, strict=False)),
        "quality": store.manifest.get("quality") or {},
        "tables": {name: facts.get("rows") for name, facts in sorted(store.manifest["tables"].items())},
        "top_density": _top(stats, "density", top, tokens),
        "top_max": _top(stats, "max", top, tokens),
    }


def _top(stats: pd.DataFrame, column: str, top: int, tokens: list[list[str]]) -> list[dict[str, Any]]:
    best = stats[stats["n"] > 0].sort_values(column, ascending=False, kind="stable").head(top)
    return [
        {
            "feature": int(row.feature_id),
            "n": int(row.n),
            "density": float(row.density),
            "mean": float(row.mean),
            "max": float(row.max),
            "tokens": tokens[int(row.feature_id)],
        }
        for row in best[["feature_id", "n", "density", "mean", "max"]].itertuples(index=False)
    ]


def find_examples(
    store: Store, feature_id: int, n: int, interval: tuple[float, float] | None, seed: int
) -> dict[str, Any]:
    """The `n` strongest contexts of a feature, or `n` firing samples between two quantiles of its activations.

    `before`, `token` and `after` together are the context's text as its tokens cover it. Raises BadInput and
    FeatureNotFound.
    """
    if not 1 <= n <= MOST_EXAMPLES:
        raise BadInput(f"{n:,} examples were asked for. Ask for 1 to {MOST_EXAMPLES:,}.")
    if interval is not None and not 0 <= interval[0] < interval[1] <= 1:
        raise BadInput(
            f"The interval {interval[0]:g} {interval[1]:g} was asked for. Give two quantiles, the smaller first, from 0 to 1."
        )
    if seed < 0:
        raise BadInput(f"Seed {seed} was given. Give one from 0.")
    found = store.examples(feature_id, n, interval, seed)
    return {
        "store": store.id,
        "feature": feature_id,
        "interval": None if interval is None else list(interval),
        "seed": seed,
        "population": found.population,
        "population_of": "contexts" if interval is None else "firing samples of the interval",
        "low": found.low,
        "high": found.high,
        "sampled": found.sampled,
        "examples": [
            {
                "sample": each.sample,
                "context": each.context,
                "position": each.position,
                "value": each.value,
                "before": "".join(each.pieces[: each.position]),
                "token": each.pieces[each.position],
                "after": "".join(each.pieces[each.position + 1 :]),
                "active": [
                    {"position": position, "value": value}
                    for position, value in zip(each.active, each.values, strict=True)
                ],
                "metadata": {key: value if _is_plain(value) else str(value) for key, value in each.metadata.items()},
            }
            for each in found.items
        ],
    }


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return bool(np.isfinite(value))
    return value is None or isinstance(value, (str, int, bool))
