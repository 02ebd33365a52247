"""Sort the activations of a span of samples by feature and write each feature's run to its place in the final arrays.

A span is sorted in two levels: pieces that fit the processor's cache go through SciPy's counting sort, then groups of
features are merged over all pieces. A span holds 8 bytes per activation and the pieces' pointers; the rest is small."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from loaders.errors import BadInput, StoreDamaged
from precompute.sample_blocks import SampleBlocks

LARGEST_BITS = np.float32(np.finfo(np.float32).max).view(np.uint32)  # positive finite floats: bits 1 to this


class Span(NamedTuple):
    """Samples first..last of a store, sorted in pieces of at most `piece` activations (or one sample)."""

    store_dir: Path
    first: int
    last: int
    piece: int


def count_span(span: Span) -> npt.NDArray[np.uint32]:
    """Activations of every feature [features] in a span; raises StoreDamaged for a feature that does not exist."""
    batches = SampleBlocks.open(span.store_dir)
    counts = np.zeros(batches.features, np.uint32)
    for ids in batches.feature_ids(span.piece, span.first, span.last):
        found = np.bincount(ids, minlength=batches.features)
        if len(found) > batches.features:
            raise StoreDamaged(
                f"A batch of '{span.store_dir.name}' names feature {len(found) - 1} of {batches.features}."
                " Delete the batches and make them again."
            )
        counts += found.astype(np.uint32)
    return counts


def sort_span(span: Span, indices: Path, data: Path, places: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Write the span's runs into the files `indices` (u32) and `data` (f32), each feature's from element `places` [features] on.

    Returns the float64 sum of every feature [features]; raises BadInput for what is not a positive finite activation.
    """
    batches, free = SampleBlocks.open(span.store_dir), places.copy()
    sums = np.zeros(batches.features)
    held = Held(sum(len(ids) for ids in batches.feature_ids(span.piece, span.first, span.last)))
    for start, rows in batches.blocks(span.piece, span.first, span.last):
        _require_activations(start, rows)
        sums += np.bincount(rows.indices, rows.data, batches.features)
        held.keep(start, rows.tocsc())
    with open(indices, "r+b") as indices_file, open(data, "r+b") as data_file:
        for runs in held.by_feature(span.piece):
            here = free[runs.first : runs.first + len(runs.bounds) - 1]
            _write_runs(indices_file.fileno(), runs.samples, runs.bounds, here)
            _write_runs(data_file.fileno(), runs.values, runs.bounds, here)
            here += np.diff(runs.bounds)
    return sums


class Runs(NamedTuple):
    """Features from `first` on: `samples` and `values` [nnz] of feature first + i lie from bounds[i] to bounds[i + 1]."""

    first: int
    samples: npt.NDArray[np.uint32]
    values: npt.NDArray[np.float32]
    bounds: npt.NDArray[np.int64]


class Held:
    """The sorted pieces of a span, one behind the other, in room that is taken once."""

    def __init__(self, nnz: int) -> None:
        self._samples, self._values = np.empty(nnz, np.uint32), np.empty(nnz, np.float32)
        self._starts, self._pointers = [0], list[npt.NDArray[np.int32]]()

    def keep(self, start: int, columns: sp.csc_array) -> None:
        """Append a piece [samples of the piece, features] that begins with sample `start`."""
        place = slice(self._starts[-1], self._starts[-1] + columns.nnz)
        np.add(columns.indices.view(np.uint32), np.uint32(start), out=self._samples[place])
        self._values[place] = columns.data
        self._pointers.append(columns.indptr)
        self._starts.append(place.stop)

    def by_feature(self, most: int) -> Iterator[Runs]:
        """Yield all features in order, at most `most` activations at once; a feature with more comes piece by piece."""
        bounds = np.zeros(len(self._pointers[0]), np.int64)
        for pointers in self._pointers:
            bounds += pointers
        first, features = 0, len(bounds) - 1
        while first < features:
            reach = int(np.searchsorted(bounds, bounds[first] + most, side="right")) - 1
            last = min(max(reach, first + 1), features)
            if bounds[last] - bounds[first] > most:
                yield from self._pieces(first)
            else:
                yield self._merged(first, last)
            first = last

    def _places(self, first: int, last: int) -> list[slice]:
        """Where each piece has features first..last."""
        return [
            slice(start + int(pointers[first]), start + int(pointers[last]))
            for start, pointers in zip(self._starts[:-1], self._pointers, strict=True)
        ]

    def _pieces(self, feature: int) -> Iterator[Runs]:
        for place in self._places(feature, feature + 1):
            yield Runs(feature, self._samples[place], self._values[place], np.array([0, place.stop - place.start]))

    def _merged(self, first: int, last: int) -> Runs:
        """Runs lie piece after piece, each the row of a sparse matrix; taking its rows feature after feature merges them."""
        places = self._places(first, last)
        samples = np.concatenate([self._samples[place] for place in places])
        values = np.concatenate([self._values[place] for place in places])
        lengths = np.stack([np.diff(pointers[first : last + 1]) for pointers in self._pointers])  # (piece, feature)
        pointers = np.concatenate([[0], np.cumsum(lengths, dtype=np.int32)]).astype(np.int32)
        by_piece = sp.csr_array((values, samples.view(np.int32), pointers), shape=(lengths.size, 1))
        by_feature = by_piece[np.arange(lengths.size, dtype=np.int32).reshape(lengths.shape).T.ravel()]
        bounds = np.concatenate([[0], np.cumsum(lengths.sum(axis=0, dtype=np.int64))])
        return Runs(first, by_feature.indices.view(np.uint32), by_feature.data, bounds)


def are_activations(values: npt.NDArray[np.float32]) -> bool:
    """Whether all values are positive and finite, read off their bits: nothing is copied."""
    bits = values.view(np.uint32)
    return not len(bits) or bool(bits.min() >= 1 and bits.max() <= LARGEST_BITS)


def _require_activations(start: int, rows: sp.csr_array) -> None:
    if are_activations(rows.data):
        return
    wrong = int(np.flatnonzero(~((rows.data > 0) & np.isfinite(rows.data)))[0])
    sample = start + int(np.searchsorted(rows.indptr, wrong, side="right")) - 1
    raise BadInput(
        f"Sample {sample} has the activation {rows.data[wrong]} for feature {rows.indices[wrong]}; stored"
        " activations must be positive and finite. Leave out zeros and check the SAE's weights."
    )


def _write_runs(file: int, values: np.ndarray, bounds: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> None:
    """Write values[bounds[i] : bounds[i + 1]] from element places[i] on; runs that touch in the file are written at once.

    Written, not mapped: a full disk is then an error that can be told, not a signal that kills.
    """
    size, view = values.itemsize, np.ascontiguousarray(values).view(np.uint8).data
    starts_anew = np.concatenate([[True], places[1:] != places[:-1] + np.diff(bounds)[:-1]])
    heads = np.flatnonzero(starts_anew)
    begins, ends = bounds[heads] * size, np.append(bounds[heads[1:]], bounds[-1]) * size
    for begin, end, place in zip(begins.tolist(), ends.tolist(), (places[heads] * size).tolist(), strict=True):
        while begin < end:
            written = os.pwrite(file, view[begin:end], place)
            begin, place = begin + written, place + written
