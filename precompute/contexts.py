"""Contexts as a model reads them: documents cut at paragraphs and lines into token sequences, with character spans."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, islice, pairwise
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from loaders.errors import BadInput
from precompute.corpora.documents import Document

DOCUMENTS_AT_ONCE = 16


class TokenContext(NamedTuple):
    """One context of n tokens, special ones included; `special[i]` tokens are read by the model but are no samples.

    `spans[i]` is the character range of token i in `text`, (0, 0) for special tokens. Contexts of the same `document` are
    held out together.
    """

    tokens: Sequence[int]
    special: Sequence[bool]
    spans: Sequence[tuple[int, int]]
    text: str
    metadata: Mapping[str, object]
    document: str

    @property
    def samples(self) -> int:
        return len(self.tokens) - sum(self.special)


def context_from_pieces(
    tokens: Sequence[int],
    pieces: Sequence[str],
    metadata: Mapping[str, object],
    document: str,
    special_ids: frozenset[int] = frozenset(),
) -> TokenContext:
    """Make a context of a list of token ids and the text of each; the pieces of special tokens must be empty."""
    if len(tokens) != len(pieces):
        raise BadInput(
            f"Document '{document}' has {len(tokens)} tokens and {len(pieces)} pieces. Give one piece a token."
        )
    special = [token in special_ids for token in tokens]
    ends = list(accumulate(map(len, pieces), initial=0))
    spans = [(0, 0) if hidden else span for hidden, span in zip(special, pairwise(ends), strict=True)]
    return TokenContext(tokens, special, spans, "".join(pieces), metadata, document)


class Cutter:
    """Cuts documents into contexts of at most `length` tokens, the tokenizer's special tokens included.

    A cut falls at the last blank line, else line end, else white space in the second half of what fits. `most` limits the
    contexts of one document; a rest of fewer than `least` tokens is dropped unless it is all there is. With `bos` every
    context begins with the tokenizer's first token (or its end-of-text token, as GPT-2 has no other) and holds no other
    special one; without it (False) none at all; None leaves both to the tokenizer.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        length: int,
        most: int | None = None,
        least: int = 1,
        bos: bool | None = None,
    ) -> None:
        self._first = first_tokens(tokenizer) if bos else []
        self._takes_special = bos is None
        special = tokenizer.num_special_tokens_to_add() if bos is None else len(self._first)
        if length <= special:
            raise BadInput(
                f"Contexts of {length} tokens leave no room beside {special} special tokens. Choose a longer one."
            )
        self.tokenizer, self.length, self.room = tokenizer, length, length - special
        self.most, self.least = most, least

    def contexts(self, documents: Iterable[Document]) -> Iterator[TokenContext]:
        """Yield the contexts of the documents, in order."""
        stream = iter(documents)
        while group := list(islice(stream, DOCUMENTS_AT_ONCE)):
            texts = [
                (document, part) for document, parts in zip(group, self._cut(group), strict=True) for part in parts
            ]
            if texts:
                yield from self._encode(texts)

    def _cut(self, documents: list[Document]) -> Iterator[list[str]]:
        encoded = self.tokenizer(
            [document.text for document in documents],
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        for document, offsets in zip(documents, encoded["offset_mapping"], strict=True):
            ranges = cut_ranges(document.text, offsets, self.room, self.least)[: self.most]
            yield [document.text[offsets[start][0] : offsets[stop - 1][1]].strip() for start, stop in ranges]

    def _encode(self, texts: list[tuple[Document, str]]) -> Iterator[TokenContext]:
        encoded = self.tokenizer(
            [text for _, text in texts],
            truncation=True,  # a text cut out of its surroundings can be a token longer than it was inside
            max_length=self.length if self._takes_special else self.room,
            add_special_tokens=self._takes_special,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            verbose=False,
        )
        for number, (document, text) in enumerate(texts):
            own = [bool(flag) for flag in encoded["special_tokens_mask"][number]]
            special = [True] * len(self._first) + own
            offsets = [(0, 0)] * len(self._first) + encoded["offset_mapping"][number]
            spans = [(0, 0) if hidden else (span[0], span[1]) for hidden, span in zip(special, offsets, strict=True)]
            end = max((stop for _, stop in spans), default=0)
            if end > 0:
                yield TokenContext(
                    self._first + encoded["input_ids"][number],
                    special,
                    spans,
                    text[:end],
                    document.metadata,
                    document.id,
                )


def first_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The token that begins a context, as a list of one; raises BadInput where the tokenizer has none."""
    candidates = (tokenizer.bos_token_id, tokenizer.cls_token_id, tokenizer.eos_token_id)
    first = next((token for token in candidates if token is not None), None)
    if first is None:
        raise BadInput("The tokenizer has neither a first nor a last token to begin contexts with. Ask for none.")
    return [int(first)]


def cut_ranges(text: str, offsets: Sequence[tuple[int, int]], room: int, least: int) -> list[tuple[int, int]]:
    """Token ranges (start, stop) of at most `room` tokens that cover a text, without a last one shorter than `least`."""
    ranges, start = [], 0
    while len(offsets) - start > room:
        first = start + max(room // 2, 1)
        stop = max(range(first, start + room + 1), key=lambda cut: (rate_cut(text, offsets, cut), cut))
        ranges.append((start, stop))
        start = stop
    if len(offsets) - start >= least or (not ranges and offsets):
        ranges.append((start, len(offsets)))
    return ranges


def rate_cut(text: str, offsets: Sequence[tuple[int, int]], cut: int) -> int:
    """How good a place between tokens cut - 1 and cut is: 3 blank line, 2 line end, 1 white space, 0 inside a word."""
    gap = text[offsets[cut - 1][1] : offsets[cut][0]]
    if re.search(r"\n\s*\n", gap):
        return 3
    return 2 if "\n" in gap else int(bool(gap) and gap.isspace())
