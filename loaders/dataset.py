"""A dataset on disk: ragged contexts of tokens, their source text and metadata, and which tokens are samples."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from loaders.manifest import check_files, read_manifest
from loaders.raw import open_raw

MOST_CATEGORIES = 64
OTHER = "other"


class Dataset:
    """Memory-mapped arrays over C contexts, T tokens and S samples (the tokens that are not special).

    `tokens` u32 [T], `offsets` i64 [C + 1], `samples` i64 [S] (global token index of each sample),
    `sample_offsets` i64 [C + 1], `span_start` / `span_end` u32 [T] (characters of the context's text), `held_out` bool [C].
    """

    def __init__(self, directory: Path, manifest: dict[str, Any]) -> None:
        self.directory, self.manifest = directory, manifest
        self.id: str = manifest["id"]
        self.fingerprint: str = manifest["fingerprint"]
        group = directory / "tokens.zarr"
        self.tokens = open_raw(group / "tokens")
        self.offsets = open_raw(group / "offsets")
        self.samples = open_raw(group / "samples")
        self.sample_offsets = open_raw(group / "sample_offsets")
        self.span_start = open_raw(group / "span_start")
        self.span_end = open_raw(group / "span_end")
        self.held_out = open_raw(group / "held_out").view(np.bool_)
        self.vocab: list[str] = json.loads((directory / "vocab.json").read_text())
        self.columns: list[str] = list(manifest["columns"])
        self._column = lru_cache(maxsize=16)(self._read_column)
        self._row_group = lru_cache(maxsize=8)(self._read_row_group)
        self._contexts = pq.ParquetFile(directory / "contexts.parquet", memory_map=True)
        sizes = [self._contexts.metadata.row_group(i).num_rows for i in range(self._contexts.num_row_groups)]
        self._group_starts = np.concatenate([[0], np.cumsum(sizes)])

    @classmethod
    def open(cls, directory: Path) -> "Dataset":
        """Open and check presence and sizes; raises StoreNotFound or StoreDamaged."""
        manifest = read_manifest(directory, "dataset")
        check_files(directory, manifest)
        return cls(directory, manifest)

    @property
    def contexts(self) -> int:
        return len(self.offsets) - 1

    def locate(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Context and position (0 = the context's first token, specials included) of each sample, i64 [n] each."""
        tokens = self.samples[np.asarray(samples, dtype=np.int64)]
        contexts = np.searchsorted(self.offsets, tokens, side="right") - 1
        return contexts, tokens - self.offsets[contexts]

    def sample_tokens(self, samples: np.ndarray) -> np.ndarray:
        """Token id at each sample, u32 [n]."""
        return self.tokens[self.samples[np.asarray(samples, dtype=np.int64)]]

    def metadata(self, contexts: np.ndarray) -> list[dict[str, Any]]:
        """Text and metadata of the given contexts, in their order: `text` and one key per column, None where missing."""
        wanted = np.asarray(contexts, dtype=np.int64)
        groups = np.searchsorted(self._group_starts, wanted, side="right") - 1
        return [
            self._row_group(int(group)).slice(int(context - self._group_starts[group]), 1).to_pylist()[0]
            for context, group in zip(wanted, groups, strict=True)
        ]

    def _read_row_group(self, group: int) -> Any:
        return self._contexts.read_row_group(group)

    def column(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Category code of each context i32 [C] and the categories, the one with most samples first.

        At most `MOST_CATEGORIES`: the rest is folded into 'other'. Missing values read 'none'.
        """
        return self._column(name)

    def _read_column(self, name: str) -> tuple[np.ndarray, list[str]]:
        values = self._contexts.read(columns=[name]).column(0).to_pandas().fillna("none").astype(str)
        raw, found = pd.factorize(values)
        sizes = np.bincount(raw, weights=np.diff(self.sample_offsets), minlength=len(found))
        order = np.argsort(-sizes, kind="stable")
        rank = np.empty(len(found), dtype=np.int32)
        rank[order] = np.arange(len(found))
        names = [str(found[i]) for i in order]
        if len(names) > MOST_CATEGORIES:
            rank = np.minimum(rank, MOST_CATEGORIES - 1)
            names = [*names[: MOST_CATEGORIES - 1], OTHER]
        return rank[raw], names

    def category_columns(self) -> list[str]:
        """Metadata columns worth a breakdown: at least 2 categories, and not a name of its own for most contexts."""
        return [name for name in self.columns if self._is_categorical(name)]

    def _is_categorical(self, name: str) -> bool:
        codes, categories = self.column(name)
        if len(categories) < 2 or len(categories) > self.contexts / 2:
            return False
        return categories[-1] != OTHER or float(np.mean(codes == len(categories) - 1)) < 0.5

    def pieces(self, context: int, text: str) -> list[str]:
        """The context's text cut at its tokens: exact slices, white space kept with the token before; specials are ''."""
        start, stop = int(self.offsets[context]), int(self.offsets[context + 1])
        first, last = int(self.sample_offsets[context]), int(self.sample_offsets[context + 1])
        positions = self.samples[first:last] - start
        pieces = [""] * (stop - start)
        begins = self.span_start[start:stop][positions].tolist()
        if begins:
            ends = [*begins[1:], max(len(text), int(self.span_end[start + int(positions[-1])]))]
            begins[0] = 0
            for position, begin, end in zip(positions.tolist(), begins, ends, strict=True):
                pieces[position] = text[begin:end]
        return pieces
