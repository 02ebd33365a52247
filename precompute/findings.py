"""What is worth showing of a workspace, measured: readable features, and those whose right answer the planted grammar tells."""

import contextlib
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from analysis.detection import activation_matrix, best_detector
from analysis.readable import meaning_feature, topic_feature, word_feature
from loaders.errors import LoupeError, TableMissing
from loaders.store import Store
from loaders.workspace import Workspace
from precompute.corpora.grammar import CONSTRUCTIONS, ROLES, TOKEN_IDS, marked_contexts
from precompute.grammar_dataset import Config as GrammarTexts

KNOWS = 0.95  # area under the curve from which a feature counts as one that knows
PROMOTED = 5  # among as many of its strongest output tokens the right one must be


class Finding(NamedTuple):
    """Something to show: the kind of page, the store or set, a feature of the store if it is one, and what to say."""

    page: str
    place: str
    feature: int | None
    title: str
    note: str


class Truth(NamedTuple):
    """Per sample: the construction that determines the next token (-1: none), and the token that came next (-1: the end)."""

    construction: np.ndarray
    next_token: np.ndarray

    def is_determined(self, construction: str) -> np.ndarray:
        """Samples after which the construction demands something."""
        return self.construction == CONSTRUCTIONS.index(construction)

    def is_next(self, construction: str, words: tuple[str, ...]) -> np.ndarray:
        """Samples after which it demands one of these words."""
        return self.is_determined(construction) & np.isin(self.next_token, [TOKEN_IDS[word] for word in words])


class Claim(NamedTuple):
    """What a feature may know: these words must come next, told apart from all other samples or only from `among`."""

    words: tuple[str, ...]
    text: str
    mask: np.ndarray
    among: np.ndarray


def find_all(workspace: Workspace) -> list[Finding]:
    """Findings of every set, the oldest first; what a set has no table or no truth for is left out."""
    found: list[Finding] = []
    for name, members in workspace.sets().items():
        found += find_in_set(workspace, name, members)
    runs = [sae for sae in workspace.sae_ids() if (workspace.sae_dir(sae) / "metrics.jsonl").exists()]
    if runs:
        note = f"One colour for each of the {len(runs)} SAEs that were trained here."
        found.append(Finding("training", "", None, "How they were trained", note))
    return found


def find_in_set(workspace: Workspace, name: str, members: list[str]) -> Iterator[Finding]:
    """The map, readable features or those with a known truth, and the way through the layers."""
    stores = [workspace.open_store(member) for member in members]
    middle, last = stores[len(stores) // 2], stores[-1]
    truth = read_truth(last)
    if middle.has("map") and truth is None:
        note = f"Each dot is one of {middle.features:,} features; neighbours respond to similar things."
        yield Finding("explorer", middle.id, None, f"Every feature of {middle.hook} on one map", note)
    with contextlib.suppress(TableMissing):  # a set without these tables has nothing of the kind to show
        yield from readable_features(middle, last) if truth is None else known_features(last, truth)
    try:
        layers = workspace.layer_set(name)
    except LoupeError:
        return  # one layer, or not matched yet
    note = f"Which features stay, split, merge, begin or end between the {len(layers.members)} layers of {name}."
    yield Finding("layers", name, None, f"How the features of {name} change from layer to layer", note)


def readable_features(middle: Store, last: Store) -> Iterator[Finding]:
    """A word in the middle of the model; a meaning and a topic near its output."""
    word = word_feature(middle)
    if word is not None:
        fires = "all" if word.n == word.total else f"{word.n:,} of the"
        note = f"Fires on {fires} {word.total:,} samples of “{word.word}”; {_percent(word.precision)} of its firings are there."
        yield Finding("feature", middle.id, word.feature, f"A feature for one word: {word.word}", note)
    meaning = meaning_feature(last)
    if meaning is not None:
        words = ", ".join(meaning.words[:5])
        note = f"Different words, one meaning: these make up {_percent(meaning.coverage)} of its firings."
        yield Finding("feature", last.id, meaning.feature, f"A feature for a meaning: {words}", note)
    topic = topic_feature(last)
    if topic is not None:
        note = (
            f"{_percent(topic.share)} of its {topic.n:,} firings are in {topic.category}, which has {_percent(topic.base)} "
            "of the samples, and no token makes up 15 % of them: it follows the subject, not a word."
        )
        yield Finding("feature", last.id, topic.feature, f"A feature for a subject: {topic.category}", note)


def known_features(store: Store, truth: Truth) -> Iterator[Finding]:
    """The best of each construction of the planted grammar that knows its answer and promotes it."""
    activations = activation_matrix(store)
    for construction in CONSTRUCTIONS:
        found = []
        for claim in _claims(truth, construction):
            if not claim.mask.any():
                continue
            detector = best_detector(activations[np.flatnonzero(claim.among)], claim.mask[claim.among])
            promoted = store.influences(detector.feature).rows["token"].tolist()[:PROMOTED]
            if detector.area >= KNOWS and set(claim.words) & set(promoted):
                note = (
                    f"Known from the grammar: at {claim.mask.sum():,} places {claim.text}. The area under the curve by which "
                    f"this feature tells them apart is {detector.area:.3f}; it promotes {', '.join(promoted[:3])}."
                )
                finding = Finding("feature", store.id, detector.feature, f"It knows that {claim.text}", note)
                found.append((detector.area, finding))
        if found:
            yield max(found, key=lambda one: one[0])[1]


def _claims(truth: Truth, construction: str) -> list[Claim]:
    """What can be known of a construction; a verb's number is told apart where a verb must come, the others anywhere."""
    answers = {
        "agreement": [(ROLES[f"{number} verb"], f"the verb must be {number}") for number in ("singular", "plural")],
        "brackets": [((closer,), f"“{closer}” must close") for closer in ROLES["closer"]],
        "recall": [((name,), f"the name is {name}") for role in ("woman's name", "man's name") for name in ROLES[role]],
    }
    where = truth.is_determined(construction)
    among = where if construction == "agreement" else np.ones_like(where)
    return [Claim(words, text, truth.is_next(construction, words), among) for words, text in answers[construction]]


def read_truth(store: Store) -> Truth | None:
    """What the grammar that wrote the store's dataset demands after every sample; None for a dataset of anything else."""
    dataset = store.dataset
    if dataset.id != GrammarTexts.id:
        return None
    seed = int((dataset.manifest.get("config") or {}).get("seed", 0))
    contexts = list(islice(marked_contexts("dataset", seed=seed), dataset.contexts))
    if not np.array_equal(dataset.tokens, np.concatenate([context.tokens for context in contexts])):
        return None
    following = [[*context.tokens[2:], -1] for context in contexts]
    return Truth(np.concatenate([context.truth[1:] for context in contexts]), np.concatenate(following))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
