"""Heirs of labels between two SAEs of a workspace: which ways of matching can be gone, and what they find together."""

from typing import NamedTuple

from analysis.inheritance import Heir, by_activations, by_decoder, choose_heirs
from loaders.errors import BadInput
from loaders.faults import FOREIGN
from loaders.sae import SaeRecord
from loaders.store import Store
from loaders.workspace import Workspace

WAYS = ("all", "decoder", "activations")


class Kinship(NamedTuple):
    """How two SAEs can be compared: decoders lie in one space, stores read one dataset; `notes` say why not."""

    decoder: bool
    stores: tuple[Store, Store] | None
    notes: tuple[str, ...]


def find_kinship(workspace: Workspace, source: SaeRecord, target: SaeRecord, way: str = "all") -> Kinship:
    """Ways to match the features of two SAEs; `way` names one of them, or all that there are.

    Raises BadInput where none can be gone, for an unknown way, and for an SAE and itself.
    """
    if way not in WAYS:
        raise BadInput(f"Features are matched by {', '.join(WAYS)}: found '{way[:40]}'.")
    if source.id == target.id:
        raise BadInput(f"SAE '{source.id}' cannot inherit from itself: name another one.")
    apart = _decoders_apart(source, target) if way != "activations" else "was not asked for"
    stores = _common_stores(workspace, source, target) if way != "decoder" else None
    notes = [f"not by decoder: {apart}"] if apart else []
    if stores is None:
        notes.append(
            "not by activations: " + ("was not asked for" if way == "decoder" else "no dataset has a store of both")
        )
    if apart and stores is None:
        raise BadInput(
            f"SAEs '{source.id}' and '{target.id}' cannot be matched ({'; '.join(notes)}). Harvest both over one dataset."
        )
    return Kinship(not apart, stores, tuple(notes))


def find_heirs(kinship: Kinship, source: SaeRecord, target: SaeRecord, features: list[int], least: float) -> list[Heir]:
    """An heir, or the reason why there is none, for each of the features of `source`. Raises BadInput for `least`."""
    if not 0 < least <= 1:
        raise BadInput(f"The least likeness must be above 0 and up to 1: found {least}.")
    if not features:
        return []
    decoder = by_decoder(source.decoder(), target.decoder(), features) if kinship.decoder else None
    activations = by_activations(*kinship.stores, features) if kinship.stores else None
    return choose_heirs(features, decoder, activations, least)


def _decoders_apart(source: SaeRecord, target: SaeRecord) -> str:
    """Why the decoders do not lie in one space; empty where they do."""
    for record in (source, target):
        if record.cfg.get("architecture") == FOREIGN:
            return f"the weights of '{record.id}' are not here"
    ours, theirs = source.metadata, target.metadata
    models = [each.get("fingerprints", {}).get("model") for each in (ours, theirs)]
    if models[0] != models[1] and None not in models:
        return "they are of different models"
    if ours.get("hook_name") != theirs.get("hook_name"):
        return f"hook points differ ({ours.get('hook_name')} and {theirs.get('hook_name')})"
    if source.cfg.get("d_in") != target.cfg.get("d_in"):
        return f"widths differ ({source.cfg.get('d_in')} and {target.cfg.get('d_in')})"
    return ""


def _common_stores(workspace: Workspace, source: SaeRecord, target: SaeRecord) -> tuple[Store, Store] | None:
    """A store of each SAE over the same samples: the largest of them."""
    manifests = workspace.manifests()
    found: dict[str, list[str]] = {source.id: [], target.id: []}
    for store_id, manifest in manifests.items():
        if manifest.get("sae") in found:
            found[manifest["sae"]].append(store_id)
    pairs = [
        (ours, theirs)
        for ours in found[source.id]
        for theirs in found[target.id]
        if all(manifests[ours].get(key) == manifests[theirs].get(key) for key in ("samples", "granularity"))
        and manifests[ours]["fingerprints"]["dataset"] == manifests[theirs]["fingerprints"]["dataset"]
    ]
    if not pairs:
        return None
    ours, theirs = max(pairs, key=lambda pair: int(manifests[pair[0]]["samples"]))
    return workspace.open_store(ours), workspace.open_store(theirs)
