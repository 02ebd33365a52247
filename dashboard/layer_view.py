"""The Layers page's view of one set: its layers and steps, the listed pairs, and what two features have in common."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.common_samples import common_samples, strongest_common
from dashboard import urls
from dashboard.components import count, figures, percent, plural
from dashboard.components.examples import examples_data
from dashboard.explorer_frame import features_frame
from dashboard.figures.layers import Layer, Step
from dashboard.figures.theme import colour
from dashboard.layer_rows import MEASURES, above_null, fate_counts, fate_rows
from loaders.errors import StoreDamaged
from loaders.layers import LayerSet
from loaders.store import Store
from loaders.workspace import Workspace

MOST_ROWS = 5_000
EXAMPLES = 5
TOKENS_SHOWN = 3


class View(NamedTuple):
    """What the page shows of a set: a pair of layers by position, a fate, and one pair of features ("12-345")."""

    earlier: int
    later: int
    fate: str
    row: str = ""

    @property
    def pair(self) -> str:
        return f"{self.earlier}-{self.later}"


def read_view(layers: LayerSet, pair: str | None, fate: str | None, row: str | None, fates: Sequence[str]) -> View:
    """The view of a URL; what names no pair, fate or row of the set falls back to the first."""
    parts = (pair or "").split("-")
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 4]
    is_pair = len(parts) == len(numbers) == 2 and numbers[0] < numbers[1] < len(layers.members)
    earlier, later = numbers if is_pair else (0, 1)
    return View(earlier, later, fate if fate and fate in fates else fates[0], row or "")


def open_members(workspace: Workspace, layers: LayerSet) -> list[Store]:
    """The stores of a matched set; raises StoreDamaged when one is gone or is not the one that was matched."""
    known = set(workspace.store_ids())
    again = f"Run `loupe match-layers --set {layers.id}` again."
    stores = []
    for member in layers.manifest["members"]:
        if member["store"] not in known:
            raise StoreDamaged(f"Set '{layers.id}' was matched with store '{member['store']}', which is gone. {again}")
        store = workspace.open_store(member["store"])
        if store.fingerprint != member["fingerprint"]:
            raise StoreDamaged(f"Store '{store.id}' has changed since set '{layers.id}' was matched. {again}")
        stores.append(store)
    return stores


def layer_nodes(layers: LayerSet, stores: Sequence[Store]) -> list[Layer]:
    """The members in layer order, each with its colour and its living features."""
    nodes = []
    for position, store in enumerate(stores):
        living = int((features_frame(store)["n"] > 0).sum())
        nodes.append(Layer(store.sae_id, colour(position), living))
    return nodes


def steps_shown(layers: LayerSet, view: View) -> list[Step]:
    """Every consecutive step, or only the chosen pair when it leaves layers out."""
    pairs = [(view.earlier, view.later)]
    if view.later == view.earlier + 1:
        pairs = [(position, position + 1) for position in range(len(layers.members) - 1)]
    return [Step(i, j, *fate_counts(layers, i, j)) for i, j in pairs]


def null_sentence(layers: LayerSet, stores: Sequence[Store], view: View) -> list[tuple[str, bool]]:
    """The permutation null in numbers, as pieces of text with a mark on those to stress."""
    pair = layers.pair(view.earlier, view.later)
    real, chance, features = above_null(layers, view.earlier, view.later)
    rule = layers.manifest["plan"]["settings"]
    draws, permutations = len(layers.null(view.earlier, view.later)), plural(pair["permutations"], "permutation")
    chance_words = (
        f"; by chance {percent(chance)} would. The {100 * rule['quantile']:g} % quantile of {count(draws)} best partners"
        f" after {permutations} of the samples is {figures(pair['null_threshold'])}"
    )
    is_raised = pair["threshold"] > pair["null_threshold"]
    return [
        (percent(real), True),
        (f" of the {count(features)} features of {stores[view.earlier].sae_id} that fire have a partner above ", False),
        (figures(pair["threshold"]), True),
        (chance_words, False),
        (f"; links must also reach {figures(rule['floor'])}, a medium correlation." if is_raised else ".", False),
    ]


def dead_words(layers: LayerSet, stores: Sequence[Store], view: View) -> str:
    """How many features were left out because they never fire."""
    dead = layers.pair(view.earlier, view.later)["dead"]
    sides = ((dead["source"], stores[view.earlier]), (dead["target"], stores[view.later]))
    return "Left out because they never fire: " + ", ".join(f"{count(n)} of {store.sae_id}" for n, store in sides)


def table_rows(layers: LayerSet, stores: Sequence[Store], view: View) -> tuple[list[dict[str, Any]], int]:
    """Rows of the table (the strongest 5,000) and how many pairs there are."""
    found = fate_rows(layers, view.earlier, view.later, view.fate)
    frames = [features_frame(stores[position])["tokens"] for position in (view.earlier, view.later)]
    members = (stores[view.earlier].id, stores[view.later].id)
    rows = []
    for row in found.head(MOST_ROWS).to_dict("records"):
        shown = {
            f"{side}_shown": {"href": urls.feature(store, row[side]), "tokens": tokens[row[side]][:TOKENS_SHOWN]}
            for side, store, tokens in zip(("source", "target"), members, frames, strict=True)
            if row[side] >= 0
        }
        measures = {name: None if np.isnan(row[name]) else round(float(row[name]), 6) for name in MEASURES}
        rows.append(
            {
                "id": f"{row['source']}-{row['target']}",
                "source": row["source"],
                "target": row["target"],
                "is_linked": row["is_linked"],
                **measures,
                **shown,
            }
        )
    return rows, len(found)


class Side(NamedTuple):
    """One feature of the chosen pair: where its page is, and its examples for `assets/tokens.js`."""

    name: str
    feature_id: int
    href: str
    colour: str
    data: dict[str, Any]


class Comparison(NamedTuple):
    """The examples of a pair, and what they were chosen from."""

    sides: list[Side]
    words: str


def compare_features(layers: LayerSet, stores: Sequence[Store], view: View, row: dict[str, Any]) -> Comparison:
    """The strongest contexts in which both features of a row fire; of an unmatched feature, its own strongest ones."""
    positions = {"source": view.earlier, "target": view.later}
    if row["is_linked"]:
        return _shared(stores, positions, row)
    mine, other = ("source", "target") if view.fate == "death" else ("target", "source")
    store, feature = stores[positions[mine]], row[mine]
    examples = store.examples(feature, n=EXAMPLES)
    side = _side(store, positions[mine], feature, examples.items)
    words = f"{len(examples.items)} strongest of {plural(examples.population, 'context')} where it fires"
    if row[other] >= 0:
        nearest = f"nearest in {stores[positions[other]].sae_id}: #{row[other]}, Pearson {figures(row['pearson'])}"
        words += f" · {nearest}, below the threshold {figures(layers.threshold(view.earlier, view.later))}"
    return Comparison([side], words)


def _shared(stores: Sequence[Store], positions: dict[str, int], row: dict[str, Any]) -> Comparison:
    source, target = (stores[positions[side]] for side in ("source", "target"))
    common = common_samples(source.activations(row["source"]), target.activations(row["target"]))
    contexts, _ = source.dataset.locate(common.samples)
    chosen = strongest_common(common, contexts, EXAMPLES)
    sides = [
        _side(store, positions[name], row[name], [store.example(row[name], int(sample)) for sample in chosen])
        for name, store in (("source", source), ("target", target))
    ]
    samples, places = plural(len(common.samples), "sample"), plural(len(np.unique(contexts)), "context")
    return Comparison(sides, f"exact: both fire on {samples} in {places}; {len(chosen)} shown, strongest first")


def _side(store: Store, position: int, feature: int, examples: list[Any]) -> Side:
    ceiling = float(store.activations(feature).activations.max(initial=0.0))
    data = examples_data(examples, ceiling, "They never fire together.")
    return Side(store.sae_id, feature, urls.feature(store.id, feature), colour(position), data)
