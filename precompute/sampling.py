"""Choose which contexts of a corpus become the dataset: equal shares of a budget, and no near copies."""

import re
from collections.abc import Iterator, Mapping

from precompute.contexts import TokenContext

SHINGLE = 8  # words


class Shingles:
    """Recognises near copies: a text of which more than half of the 8-word shingles were seen before."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def is_copy(self, text: str) -> bool:
        """True for a near copy; any other text's shingles are remembered. Texts shorter than 8 words are one shingle."""
        found = shingles(text)
        is_copy = 2 * len(found & self._seen) > len(found)
        if not is_copy:
            self._seen |= found
        return is_copy


def shingles(text: str) -> set[str]:
    """All runs of 8 words, in lower case and without punctuation."""
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[start : start + SHINGLE]) for start in range(max(len(words) - SHINGLE + 1, 1))}


def without_copies(contexts: Iterator[TokenContext], seen: Shingles) -> Iterator[TokenContext]:
    """The contexts that are not near copies of an earlier one."""
    return (context for context in contexts if not seen.is_copy(context.text))


class Budget:
    """Takes contexts from strata until `samples` are reached, or everything when that is None.

    In each round the strata that still have contexts get equal shares of what is left, so a small stratum gives all it
    has and the others share its rest. The total stays below the budget by less than one context.
    """

    def __init__(self, samples: int | None) -> None:
        self.samples = samples
        self.is_spent = False

    def take(self, strata: Mapping[str, Iterator[TokenContext]]) -> Iterator[TokenContext]:
        """Yield the contexts; afterwards `is_spent` tells whether any was left out."""
        left = float("inf") if self.samples is None else self.samples
        open_strata = dict(strata)
        while open_strata:
            share = left / len(open_strata)
            for name, contexts in list(open_strata.items()):
                taken = 0
                while taken < share:
                    context = next(contexts, None)
                    if context is None:
                        del open_strata[name]
                        break
                    if context.samples > left:
                        self.is_spent = True
                        return
                    left -= context.samples
                    taken += context.samples
                    yield context
            if left == 0:
                self.is_spent = any(next(contexts, None) is not None for contexts in open_strata.values())
                return
