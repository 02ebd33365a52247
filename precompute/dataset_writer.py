"""Write a dataset's directory from contexts, in bounded memory per context, under a temporary name until it is whole."""

import hashlib
import json
import os
import shutil
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.errors import BadInput
from loaders.manifest import NAME as MANIFEST
from loaders.manifest import file_sha256
from loaders.schema import SCHEMA_VERSION
from loaders.seal import sealed
from loaders.workspace import Workspace, slug
from precompute.contexts import TokenContext
from precompute.raw import create_group, write_raw

ROW_GROUP = 4096  # contexts


def write_dataset(
    workspace: Workspace,
    dataset_id: str,
    contexts: Iterable[TokenContext],
    columns: Sequence[str],
    vocab: Sequence[str],
    tokenizer: dict[str, Any],
    description: str,
    sampled: bool | Callable[[], bool],
    held_out: float = 0.1,
    seed: int = 0,
    fields: dict[str, Any] | None = None,
) -> Path:
    """Write `datasets/<id>/` and return it; what stood there without a manifest is replaced.

    `vocab`: display form by token id. `tokenizer`: as `vocabulary.tokenizer_info` gives it (at least `name` and
    `fingerprint`). `columns`: the metadata columns, kept as strings (None stays missing). `held_out`: the share of
    documents, drawn with the seed, whose contexts are only measured on. `sampled`: whether there was more to read, asked
    when the contexts are through. `description` may hold `{amount}` ("A sample of" or "All"), `{samples}` and
    `{contexts}`. `fields` are added to the manifest. Raises BadInput when there is no context, or one without a sample.
    """
    target = workspace.dataset_dir(dataset_id)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    store = _Collected()
    metadata_hash = _write_contexts(partial / "contexts.parquet", store.collect(contexts, len(vocab)), columns)
    if not store.lengths:
        shutil.rmtree(partial)
        raise BadInput(f"Dataset '{dataset_id}' would be empty: the source holds no text. Check the source.")
    arrays = store.arrays(choose_held_out(store.documents, held_out, seed))
    group = create_group(partial / "tokens.zarr", {"kind": "dataset tokens"})
    for name, values in arrays.items():
        write_raw(group, name, values)
    (partial / "vocab.json").write_text(json.dumps(list(vocab), ensure_ascii=False), encoding="utf-8")
    counts = {"contexts": len(store.lengths), "tokens": len(arrays["tokens"]), "samples": len(arrays["samples"])}
    is_sampled = sampled() if callable(sampled) else sampled
    amount = "A sample of" if is_sampled else "All"
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "kind": "dataset",
        "id": slug(dataset_id),
        **counts,
        "documents": len(store.codes),
        "held_out_contexts": int(arrays["held_out"].sum()),
        "longest_context": max(store.lengths),
        "columns": list(columns),
        "description": description.format(
            amount=amount, samples=f"{counts['samples']:,}", contexts=f"{counts['contexts']:,}"
        ),
        "sampled": is_sampled,
        "tokenizer": tokenizer,
        "seed": seed,
        **(fields or {}),
        "fingerprint": _fingerprint(arrays, metadata_hash, vocab),
        "files": {
            path.relative_to(partial).as_posix(): {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
            for path in sorted(partial.rglob("*"))
            if path.is_file()
        },
    }
    (partial / MANIFEST).write_text(json.dumps(sealed(manifest), indent=2, ensure_ascii=False), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)
    return target


def choose_held_out(documents: Sequence[str], share: float, seed: int) -> np.ndarray:
    """Which contexts are held out, bool [contexts], given the document of each: the documents with the smallest hash of
    seed and id, as many as `share` of them; at least one of several documents when the share is not 0, and never all."""
    unique = sorted(set(documents), key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    number = min(max(round(share * len(unique)), 1 if share > 0 else 0), len(unique) - 1)
    chosen = set(unique[:number])
    return np.array([name in chosen for name in documents], dtype=np.bool_)


class _Collected:
    """The numbers of all contexts so far, in compact arrays."""

    def __init__(self) -> None:
        self.tokens, self.starts, self.ends = array("I"), array("I"), array("I")
        self.special = bytearray()
        self.lengths: list[int] = []
        self.codes: dict[str, int] = {}
        self._document_of = array("I")

    @property
    def documents(self) -> list[str]:
        """The document of every context."""
        names = list(self.codes)
        return [names[code] for code in self._document_of]

    def collect(self, contexts: Iterable[TokenContext], vocabulary: int) -> Iterator[TokenContext]:
        """Pass the contexts on while their numbers are kept."""
        for context in contexts:
            if context.samples == 0:
                raise BadInput(
                    f"A context of document '{context.document}' has no token but special ones. Leave it out."
                )
            if max(context.tokens) >= vocabulary:
                raise BadInput(
                    f"Document '{context.document}' has the token id {max(context.tokens)}, but the vocabulary ends at"
                    f" {vocabulary - 1}. Use the tokenizer that made the tokens."
                )
            self.tokens.extend(context.tokens)
            self.starts.extend(start for start, _ in context.spans)
            self.ends.extend(end for _, end in context.spans)
            self.special.extend(context.special)
            self.lengths.append(len(context.tokens))
            self._document_of.append(self.codes.setdefault(context.document, len(self.codes)))
            yield context

    def arrays(self, held_out: np.ndarray) -> dict[str, np.ndarray]:
        """Everything that `tokens.zarr` holds, by name."""
        special = np.frombuffer(self.special, dtype=np.bool_)
        offsets = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        samples = np.flatnonzero(~special).astype(np.int64)
        return {
            "tokens": np.array(self.tokens, dtype=np.uint32),
            "offsets": offsets,
            "samples": samples,
            "sample_offsets": np.searchsorted(samples, offsets).astype(np.int64),
            "span_start": np.array(self.starts, dtype=np.uint32),
            "span_end": np.array(self.ends, dtype=np.uint32),
            "held_out": held_out.astype(np.uint8),
        }


def _write_contexts(path: Path, contexts: Iterable[TokenContext], columns: Sequence[str]) -> bytes:
    """Write text and metadata in row groups of 4,096; returns the sha256 of their values."""
    schema = pa.schema([("text", pa.string()), *((column, pa.string()) for column in columns)])
    digest = hashlib.sha256(json.dumps(schema.names).encode())
    stream = iter(contexts)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while rows := [[context.text, *_values(context, columns)] for context in islice(stream, ROW_GROUP)]:
            digest.update(json.dumps(rows).encode())
            table = pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema)
            writer.write_table(table, row_group_size=ROW_GROUP)
    return digest.digest()


def _values(context: TokenContext, columns: Sequence[str]) -> list[str | None]:
    values = (context.metadata.get(column) for column in columns)
    return [None if value is None else str(value) for value in values]


def _fingerprint(arrays: dict[str, np.ndarray], metadata_hash: bytes, vocab: Sequence[str]) -> str:
    """sha256 over every value of the dataset, independent of how and when its files were written."""
    digest = hashlib.sha256(metadata_hash)
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {values.dtype.str} {len(values)}\n".encode())
        digest.update(values.tobytes())
    digest.update(json.dumps(list(vocab)).encode())
    return digest.hexdigest()
