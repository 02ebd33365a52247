"""A planted grammar of about 100 words whose right continuations are known.

Three constructions: a verb agrees with its subject across attractor nouns and brackets ("the dogs near the cat run"), a
closing bracket matches the innermost open one, and a name that was introduced is recalled ("anna met bob. ... later mr
bob"). Hands on contexts as token ids, readable text, metadata and the truth about each position.
"""

import random
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

MAX_TOKENS = 64  # of a context, <bos> included; it ends with the last whole sentence that fits
BOS, UNKNOWN = "<bos>", "<unk>"

_NOUNS = ("dog", "cat", "bird", "horse", "boy", "girl", "king", "queen", "farmer", "doctor", "teacher", "singer")
_VERBS = ("run", "sleep", "sing", "wait", "smile", "jump", "fall", "laugh", "dance", "swim")
ROLES: dict[str, tuple[str, ...]] = {
    "special": (BOS, UNKNOWN),
    "full stop": (".",),
    "opener": ("(", "[", "{"),
    "closer": (")", "]", "}"),  # in the order of the openers
    "determiner": ("the",),
    "singular noun": _NOUNS,
    "plural noun": tuple(noun + "s" for noun in _NOUNS),
    "singular verb": tuple(verb + "s" for verb in _VERBS),
    "plural verb": _VERBS,
    "preposition": ("near", "behind", "beside", "with", "above", "under"),
    "adjective": ("old", "young", "small", "tall", "happy", "quiet", "red", "blue"),
    "adverb": ("today", "often", "again", "outside"),
    "woman's name": ("anna", "carla", "emma", "greta", "irene", "karen", "maria", "olga"),
    "man's name": ("bob", "david", "frank", "henry", "jack", "louis", "noah", "peter"),
    "title": ("ms", "mr"),  # of women, of men
    "introducing verb": ("met", "knew"),
    "recalling adverb": ("later", "then", "soon"),
    "recalling verb": ("called", "thanked", "helped", "praised"),
}
VOCABULARY: tuple[str, ...] = tuple(word for words in ROLES.values() for word in words)
TOKEN_IDS: dict[str, int] = {word: i for i, word in enumerate(VOCABULARY)}

CONSTRUCTIONS = ("agreement", "brackets", "recall")
COLUMNS = ("construction", "depth", "attractors", "names")
MAX_DEPTH = 3  # brackets open at once


class MarkedContext(NamedTuple):
    """One context of n tokens with the truth about each position.

    `truth[i]` is the construction (index into CONSTRUCTIONS) that determines token i + 1 from the tokens up to i, or -1.
    Under "brackets" and "recall" exactly that token is right; under "agreement" any verb of its number is. `is_hard[i]`
    marks the determined positions that need more than the nearest candidate: a noun of the other number or a bracket
    stands between subject and verb, another bracket is open or was closed inside, the other name came last.
    """

    tokens: list[int]  # [n], the first is <bos>
    text: str
    spans: list[tuple[int, int]]  # [n] character span of each token in the text; (0, 0) for <bos>
    metadata: dict[str, str]  # one value for each of COLUMNS
    truth: list[int]  # [n]
    is_hard: list[bool]  # [n]


def marked_contexts(split: str, seed: int, start: int = 0) -> Iterator[MarkedContext]:
    """Yield contexts `start`, `start + 1`, ... of the endless sequence that belongs to split and seed.

    Each context depends on the split's name, the seed and its own number only, so a reader may begin anywhere, and
    `train`, `held-out` and `dataset` share no sequence.
    """
    for number in count(start):
        yield _compose(random.Random(f"{split}:{seed}:{number}"))


def role_ids(role: str) -> list[int]:
    """Token ids of a role of the vocabulary; raises KeyError for a role that is not in ROLES."""
    return [TOKEN_IDS[word] for word in ROLES[role]]


def _compose(rng: random.Random) -> MarkedContext:
    """Add sentences of the drawn construction for as long as they fit; the first always does."""
    construction = rng.choice((*CONSTRUCTIONS, "mixed"))
    draft = _Draft(rng)
    if construction in ("recall", "mixed"):
        draft.introduce()
    draft.sentence(construction)
    while True:
        end, depth, attractors = len(draft.words), draft.depth, draft.attractors
        draft.sentence(construction)
        if len(draft.words) > MAX_TOKENS:
            return draft.finish(construction, end, depth, attractors)


class _Draft:
    """A context being written: its words, and what determined each of them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.words: list[str] = [BOS]
        self.determined: list[tuple[int, bool]] = [(-1, False)]  # (construction, hard) of each word
        self.names: dict[str, str] = {}  # by title
        self.depth = 0
        self.attractors = 0

    def add(self, word: str, construction: str = "", hard: bool = False) -> None:
        self.words.append(word)
        self.determined.append((CONSTRUCTIONS.index(construction), hard) if construction else (-1, False))

    def any_of(self, role: str) -> str:
        return self.rng.choice(ROLES[role])

    def introduce(self) -> None:
        """Write "anna met bob": a woman and a man, in either order."""
        self.names = {"ms": self.any_of("woman's name"), "mr": self.any_of("man's name")}
        first, second = self.rng.sample(list(self.names.values()), 2)
        for word in (first, self.any_of("introducing verb"), second, "."):
            self.add(word)

    def sentence(self, construction: str) -> None:
        """Write one sentence; those between two recalls have neither attractors nor brackets."""
        kind = self.rng.choice(CONSTRUCTIONS) if construction == "mixed" else construction
        if kind == "recall" and self.rng.random() < 0.6:
            self.recall()
        else:
            attractors = {"agreement": 2, "brackets": 1, "recall": 0}[kind]
            self.clause(attractors, self.rng.randint(1, MAX_DEPTH) if kind == "brackets" else 0, 0)
            if self.rng.random() < 0.3:
                self.add(self.any_of("adverb"))
        self.add(".")

    def recall(self) -> None:
        """Write "later mr bob called ms anna": after a title, only the name that was introduced is right."""
        self.add(self.any_of("recalling adverb"))
        first, second = self.rng.sample(ROLES["title"], 2)
        self.address(first)
        self.add(self.any_of("recalling verb"))
        self.address(second)

    def address(self, title: str) -> None:
        self.add(title)
        nearest = next(word for word in reversed(self.words) if word in self.names.values())
        self.add(self.names[title], "recall", hard=nearest != self.names[title])

    def clause(self, most_attractors: int, inner: int, level: int) -> None:
        """Write "the old dogs near the cat (the boy sleeps) run" with `inner` more levels of brackets and `level` around.

        A bracket stands right before the verb and ends right after its own verb, so both are determined there.
        """
        rng = self.rng
        plural = rng.random() < 0.5
        self.noun_phrase(plural)
        attractors = [rng.random() < 0.5 for _ in range(rng.randint(0, most_attractors))]
        for attractor in attractors:
            self.add(self.any_of("preposition"))
            self.noun_phrase(attractor)
        if inner:
            bracket = rng.randrange(len(ROLES["opener"]))
            self.add(ROLES["opener"][bracket])
            self.depth = max(self.depth, level + 1)
            self.clause(most_attractors, inner - 1, level + 1)
            self.add(ROLES["closer"][bracket], "brackets", hard=level > 0 or inner > 1)
        others = sum(attractor != plural for attractor in attractors)
        self.attractors = max(self.attractors, others)
        self.add(self.any_of("plural verb" if plural else "singular verb"), "agreement", hard=bool(others or inner))

    def noun_phrase(self, plural: bool) -> None:
        self.add("the")
        if self.rng.random() < 0.2:
            self.add(self.any_of("adjective"))
        self.add(self.any_of("plural noun" if plural else "singular noun"))

    def finish(self, construction: str, end: int, depth: int, attractors: int) -> MarkedContext:
        """Hand on the first `end` words."""
        words = self.words[:end]
        text, spans = _write(words)
        following = [*self.determined[1:end], (-1, False)]
        values = (construction, str(depth), str(attractors), str(len(self.names)))
        return MarkedContext(
            tokens=[TOKEN_IDS[word] for word in words],
            text=text,
            spans=spans,
            metadata=dict(zip(COLUMNS, values, strict=True)),
            truth=[what for what, _ in following],
            is_hard=[hard for _, hard in following],
        )


def _write(words: list[str]) -> tuple[str, list[tuple[int, int]]]:
    """Join words as a person would, without a space inside brackets and before full stops; returns text and spans."""
    text, spans = "", [(0, 0)]
    no_space_before = {".", *ROLES["closer"]}
    for previous, word in zip(words, words[1:], strict=False):
        if text and word not in no_space_before and previous not in ROLES["opener"]:
            text += " "
        spans.append((len(text), len(text) + len(word)))
        text += word
    return text, spans
