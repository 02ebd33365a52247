"""What becomes of the features of a set from layer to layer, as the step `match-layers` matched them."""

from typing import Any

from loaders.errors import BadInput, FeatureNotFound
from loaders.layers import LayerSet
from loaders.workspace import Workspace


def track_abstractions(workspace: Workspace, set_id: str, feature: str | None = None) -> dict[str, Any]:
    """Counts of fates for every matched pair of layers; with `feature` ("STORE:ID") also its chain of best partners.

    `threshold`: the Pearson correlation above which features are linked; `null_share`: share of the `null_draws` best
    correlations of permuted samples above it, None without draws. `chain` goes from the feature towards both ends of the
    set, each time to the best partner, and ends behind the first that is not linked. Raises BadInput and FeatureNotFound.
    """
    layers = workspace.layer_set(set_id)
    return {
        "set": layers.id,
        "members": [
            {"store": member["store"], "hook": member.get("hook"), "layer_index": member.get("layer_index")}
            for member in layers.manifest["members"]
        ],
        "pairs": [_pair(layers, pair) for pair in layers.manifest["pairs"]],
        "feature": feature,
        "chain": None if feature is None else _chain(workspace, layers, feature),
    }


def _pair(layers: LayerSet, pair: dict[str, Any]) -> dict[str, Any]:
    null = layers.null(pair["source"], pair["target"])
    return {
        "source": layers.members[pair["source"]],
        "target": layers.members[pair["target"]],
        "linked": pair["linked"],
        "threshold": float(pair["threshold"]),
        "null_threshold": float(pair["null_threshold"]),
        "null_share": float((null > pair["threshold"]).mean()) if len(null) else None,
        "null_draws": len(null),
        "fates": pair["fates"],
        "dead": pair["dead"],
    }


def _chain(workspace: Workspace, layers: LayerSet, feature: str) -> list[dict[str, Any]]:
    store_id, _, number = feature.rpartition(":")
    if not store_id or not (number.isascii() and number.isdecimal()):
        raise BadInput(f"'{feature}' names no feature: wanted STORE:ID, e.g. {layers.members[0]}:0.")
    if store_id not in layers.members:
        raise BadInput(f"Store '{store_id}' is not in set '{layers.id}' (its stores: {', '.join(layers.members)}).")
    features = workspace.open_store(store_id).features
    if int(number) >= features:
        raise FeatureNotFound(int(number), features, f"store '{store_id}'")
    start = layers.members.index(store_id)
    own = _link(layers, start, int(number), None, None)
    earlier = _walk(layers, start, int(number), -1)
    return [*reversed(earlier), own, *_walk(layers, start, int(number), 1)]


def _walk(layers: LayerSet, start: int, feature_id: int, step: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    here = start
    while 0 <= here + step < len(layers.members):
        partner = layers.best_partner(layers.members[here], feature_id, layers.members[here + step])
        if partner is None:
            break
        here, feature_id = here + step, partner.feature_id
        found.append(_link(layers, here, feature_id, partner.pearson, partner.is_linked))
        if not partner.is_linked:
            break
    return found


def _link(
    layers: LayerSet, member: int, feature_id: int, pearson: float | None, is_linked: bool | None
) -> dict[str, Any]:
    hook = layers.manifest["members"][member].get("hook")
    return {
        "store": layers.members[member],
        "hook": hook,
        "feature": feature_id,
        "pearson": pearson,
        "is_linked": is_linked,
    }
