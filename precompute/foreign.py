"""The dataset that activations made elsewhere belong to: one of the workspace, or one made of a metadata frame or token ids."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from loaders.dataset import Dataset
from loaders.errors import BadInput
from loaders.manifest import file_sha256, is_published
from loaders.workspace import Workspace
from precompute.contexts import TokenContext, context_from_pieces
from precompute.dataset_writer import write_dataset
from precompute.sources.frame import Frame

CONTEXT, TOKEN, TEXT = "context", "token", "text"
SAMPLE = "sample"  # the token of a row that names none


class Tokens(NamedTuple):
    """Token ids [contexts, positions] of a foreign cache, every one of them a sample; `tokenizer` names who reads them."""

    ids: npt.NDArray[np.integer]
    tokenizer: str | None

    @property
    def shape(self) -> tuple[int, int]:
        return self.ids.shape[0], self.ids.shape[1]


def existing_dataset(
    workspace: Workspace, dataset_id: str, frame: Frame | None, tokens: Tokens | None
) -> Dataset | None:
    """The dataset of that id, or None; raises BadInput where it was made from another frame or other tokens."""
    directory = workspace.dataset_dir(dataset_id)
    if not is_published(directory):
        return None
    dataset = Dataset.open(directory)
    if frame is not None and dataset.manifest.get("sources") != fingerprint_frame(frame):
        raise BadInput(
            f"Dataset '{dataset_id}' exists and was not made from '{frame.path.name}' as it is now. Leave --metadata out to"
            " use the dataset, or choose another dataset id."
        )
    if tokens is not None:
        rows, positions = tokens.shape
        is_alike = dataset.contexts == rows and np.array_equal(np.diff(dataset.offsets), np.full(rows, positions))
        if not is_alike or not np.array_equal(dataset.tokens, tokens.ids.reshape(-1)):
            raise BadInput(
                f"The tokens of the activations ({rows:,} contexts of {positions:,}) are not those of dataset '{dataset_id}'"
                f" ({dataset.contexts:,} contexts, {len(dataset.tokens):,} tokens). Choose another dataset id."
            )
    return dataset


def fingerprint_frame(frame: Frame) -> dict[str, str]:
    """The sha256 of a metadata frame, by its name."""
    return {frame.path.name: file_sha256(frame.path)}


def write_frame_dataset(workspace: Workspace, dataset_id: str, frame: Frame) -> Dataset:
    """Make a dataset of a frame with one row per sample.

    `context`: consecutive rows of one id are one context (without it, each row is one). `token`: the row's token (without
    it, "sample"). `text`: what is shown for the row (without it, the token). All others are metadata of the context.
    Raises BadInput for ids that come back later, or metadata that change within a context.
    """
    vocab, codes = _codes(frame) if TOKEN in frame.columns else ([SAMPLE], None)
    columns = [name for name in frame.columns if name not in (CONTEXT, TOKEN, TEXT)]
    directory = write_dataset(
        workspace,
        dataset_id,
        _frame_contexts(frame, columns, vocab, codes),
        columns=columns,
        vocab=vocab,
        tokenizer=_tokenizer(frame.path.name, vocab),
        description="{amount} {samples} samples of " + frame.path.name.replace("{", "(").replace("}", ")"),
        sampled=False,
        held_out=0.0,
        fields={"sources": fingerprint_frame(frame)},
    )
    return Dataset.open(directory)


def _codes(frame: Frame) -> tuple[list[str], npt.NDArray[np.integer]]:
    """The distinct tokens as they come, and the place of every row's among them."""
    encoded = frame.column(TOKEN).fill_null("").dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy()


def _tokenizer(name: str, vocab: Sequence[str]) -> dict[str, Any]:
    digest = hashlib.sha256(json.dumps(list(vocab)).encode()).hexdigest()
    return {"name": name, "kind": "unknown", "fingerprint": digest, "pad_id": 0}


class _Row(NamedTuple):
    number: int
    context: Any
    token: int
    piece: str
    metadata: tuple[Any, ...]


def _rows(frame: Frame, columns: list[str], vocab: list[str], codes: npt.NDArray[np.integer] | None) -> Iterator[_Row]:
    place = {name: at for at, name in enumerate(frame.columns)}
    kept = [place[name] for name in columns]
    for number, row in enumerate(frame.values()):
        token = 0 if codes is None else int(codes[number])
        text = row[place[TEXT]] if TEXT in place else None
        piece = str(text) if text is not None else (f"{SAMPLE} {number}" if codes is None else vocab[token])
        context = row[place[CONTEXT]] if CONTEXT in place else number
        if context is None:
            raise BadInput(f"Row {number} of '{frame.path}' has no context. Give every row the id of its context.")
        yield _Row(number, context, token, piece, tuple(row[at] for at in kept))


def _frame_contexts(
    frame: Frame, columns: list[str], vocab: list[str], codes: npt.NDArray[np.integer] | None
) -> Iterator[TokenContext]:
    seen: set[Any] = set()
    group: list[_Row] = []
    for row in _rows(frame, columns, vocab, codes):
        if group and row.context != group[0].context:
            yield _context(group, columns)
            group = []
        if not group:
            if row.context in seen:
                raise BadInput(
                    f"Context '{row.context}' of '{frame.path}' comes back at row {row.number}: the rows of a context must"
                    " follow each other. Sort activations and metadata alike, or give each context an id of its own."
                )
            seen.add(row.context)
        elif row.metadata != group[0].metadata:
            pairs = zip(columns, group[0].metadata, row.metadata, strict=True)
            name = next(name for name, before, now in pairs if before != now)
            raise BadInput(
                f"Column '{name}' of '{frame.path}' changes within context '{row.context}' at row {row.number}; metadata"
                " belong to contexts. Leave the column out, or give each row a context of its own."
            )
        group.append(row)
    if group:
        yield _context(group, columns)


def _context(rows: list[_Row], columns: list[str]) -> TokenContext:
    metadata = dict(zip(columns, rows[0].metadata, strict=True))
    return context_from_pieces(
        [row.token for row in rows], _spaced([row.piece for row in rows]), metadata, str(rows[0].context)
    )


def _spaced(pieces: list[str]) -> list[str]:
    """The pieces with a space between them, unless some bring their own."""
    if len(pieces) < 2 or any(piece != piece.strip() for piece in pieces):
        return pieces
    return [*(f"{piece} " for piece in pieces[:-1]), pieces[-1]]


def write_token_dataset(workspace: Workspace, dataset_id: str, tokens: Tokens, frame: Frame | None) -> Dataset:
    """Make a dataset of token ids [contexts, positions]; the frame, if there is one, has a row per context.

    Without a tokenizer the tokens are shown as their ids. Raises BadInput for ids that the tokenizer does not know.
    """
    vocab, info = _vocabulary(tokens)
    columns = [] if frame is None else frame.columns
    if TEXT in columns:
        raise BadInput(f"'{frame.path if frame else ''}' has a column 'text', which the tokens make. Rename it.")
    directory = write_dataset(
        workspace,
        dataset_id,
        _token_contexts(tokens, vocab, columns, frame),
        columns=columns,
        vocab=vocab,
        tokenizer=info,
        description="{amount} {contexts} contexts of a cache of latents",
        sampled=False,
        held_out=0.0,
        fields={"sources": {} if frame is None else fingerprint_frame(frame)},
    )
    return Dataset.open(directory)


def _vocabulary(tokens: Tokens) -> tuple[list[str], dict[str, Any]]:
    if tokens.ids.size and int(tokens.ids.min()) < 0:
        raise BadInput("The cache holds a negative token id. Check how its tokens were saved.")
    size = int(tokens.ids.max(initial=-1)) + 1
    if tokens.tokenizer is None:
        vocab = [f"<{number}>" for number in range(size)]
        return vocab, _tokenizer("token ids", vocab)
    from precompute.models import load_tokenizer
    from precompute.vocabulary import display_vocabulary, tokenizer_info

    tokenizer = load_tokenizer(tokens.tokenizer)
    if tokenizer is None:
        raise BadInput(f"'{tokens.tokenizer}' has no tokenizer files. Name the model that the activations are of.")
    vocab = display_vocabulary(tokenizer)
    if size > len(vocab):
        raise BadInput(
            f"The cache holds the token id {size - 1}, but the tokenizer of '{tokens.tokenizer}' ends at {len(vocab) - 1}."
            " Name the model that the activations are of."
        )
    return vocab, tokenizer_info(tokenizer, tokens.tokenizer)


def _token_contexts(
    tokens: Tokens, vocab: list[str], columns: list[str], frame: Frame | None
) -> Iterator[TokenContext]:
    metadata = iter(()) if frame is None else frame.values()
    for number, ids in enumerate(tokens.ids.tolist()):
        row = dict(zip(columns, next(metadata, ()), strict=True))
        yield context_from_pieces(ids, _spaced([vocab[token] for token in ids]), row, str(number))
