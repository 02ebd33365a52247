"""The same place in other layers: the layer switch of the Feature page, and arriving by a match."""

from typing import Any, NamedTuple

from dash import dcc

from dashboard import urls
from dashboard.components import figures
from dashboard.components.feature_header import Layer
from loaders.errors import LoupeError, StoreNotFound
from loaders.layers import LayerSet, Partner
from loaders.store import Store
from loaders.workspace import Workspace


class Arrival(NamedTuple):
    """How the page was reached: a sentence to show, or the address to go to instead."""

    words: list[Any]
    redirect: str | None = None


def arrive(workspace: Workspace, store: Store, feature_id: int, query: dict[str, str]) -> Arrival:
    """Answer `from=<store>:<feature>` (was this feature asked for as that one's match?) and `unmatched=<store>`."""
    if "unmatched" in query:
        return Arrival(_no_match(workspace, store, feature_id, query["unmatched"]))
    source = _read_source(workspace, query.get("from", ""))
    if source is None or source[0].id == store.id:
        return Arrival([])
    origin, origin_feature = source
    if not origin.set_id or origin.set_id != store.set_id:
        sets = f"{store.sae_id} and {origin.sae_id} belong to different sets, so their features are not matched."
        return Arrival([sets, " This is the feature with the same number."])
    partner = _partner(_matches(workspace, store), origin, origin_feature, store.id)
    if partner is None or not partner.is_linked:
        return Arrival([], urls.feature(origin.id, origin_feature, unmatched=store.id))
    if partner.feature_id != feature_id:
        return Arrival([], urls.feature(store.id, partner.feature_id, origin.id, origin_feature))
    back = dcc.Link(f"{origin.sae_id} #{origin_feature}", href=urls.feature(origin.id, origin_feature))
    return Arrival(["Matched from ", back, f", Pearson {figures(partner.pearson)}."])


def layer_switch(workspace: Workspace, store: Store, feature_id: int, query: dict[str, str]) -> list[Layer]:
    """The set's members in layer order, each with the feature there that fires with this one."""
    members = workspace.sets().get(store.set_id or store.id, [store.id])
    if len(members) < 2:
        return []
    layers, matches, manifests = [], _matches(workspace, store), workspace.manifests()
    for member in members:
        sae_id, hook = manifests[member]["sae"], manifests[member]["hook"]
        if member == store.id:
            layers.append(Layer(sae_id, hook, "", True, f"#{feature_id}"))
            continue
        partner = _partner(matches, store, feature_id, member)
        if partner is not None and partner.is_linked:
            words = f"#{partner.feature_id} · {figures(partner.pearson, 2)}"
            href = urls.feature(member, partner.feature_id, store.id, feature_id, **query)
        else:
            words, href = "no match", urls.feature(store.id, feature_id, unmatched=member, **query)
        layers.append(Layer(sae_id, hook, href, False, words))
    return layers


def _no_match(workspace: Workspace, store: Store, feature_id: int, member: str) -> list[Any]:
    if member not in workspace.store_ids():
        return []
    other = workspace.open_store(member)
    look = dcc.Link(f"Look through {other.sae_id}.", href=urls.explorer(member))
    matches = _matches(workspace, store)
    if matches is None or member not in matches.members:
        return [f"{other.sae_id} has not been matched with {store.sae_id} yet. ", look]
    partner = _partner(matches, store, feature_id, member)
    if partner is None:
        return [f"No feature of {other.sae_id} fires together with this one. ", look]
    best = dcc.Link(f"#{partner.feature_id}", href=urls.feature(member, partner.feature_id))
    return [
        f"No feature of {other.sae_id} fires with this one more than chance does (best: ",
        best,
        f", Pearson {figures(partner.pearson)}). ",
        look,
    ]


def _matches(workspace: Workspace, store: Store) -> LayerSet | None:
    try:
        return workspace.layer_set(store.set_id) if store.set_id else None
    except StoreNotFound:
        return None


def _partner(matches: LayerSet | None, store: Store, feature_id: int, member: str) -> Partner | None:
    return matches.best_partner(store.id, feature_id, member) if matches else None


def _read_source(workspace: Workspace, text: str) -> tuple[Store, int] | None:
    store_id, _, feature = text.rpartition(":")
    if not store_id or not feature.isdigit():
        return None
    try:
        store = workspace.open_store(store_id)
    except LoupeError:
        return None
    return (store, int(feature)) if int(feature) < store.features else None
