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


class Piece(NamedTuple):
    """Consecutive samples from `start` on as columns [samples of the piece, features]; row numbers are relative."""

    start: int
    columns: sp.csc_array


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
    sums, pieces = np.zeros(batches.features), []
    held = _Held(sum(len(ids) for ids in batches.feature_ids(span.piece, span.first, span.last)))
    for start, rows in batches.blocks(span.piece, span.first, span.last):
        _require_activations(start, rows)
        sums += np.bincount(rows.indices, rows.data, batches.features)
        pieces.append(Piece(start, held.keep(rows.tocsc())))
    with open(indices, "r+b") as indices_file, open(data, "r+b") as data_file:
        for first, samples, values, bounds in _runs(pieces, span.piece):
            here = free[first : first + len(bounds) - 1]
            _write_runs(indices_file.fileno(), samples, bounds, here)
            _write_runs(data_file.fileno(), values, bounds, here)
            here += np.diff(bounds)
    return sums


class _Held:
    """Room for all sorted pieces of a span, taken once."""

    def __init__(self, nnz: int) -> None:
        self._indices, self._data, self._filled = np.empty(nnz, np.int32), np.empty(nnz, np.float32), 0

    def keep(self, columns: sp.csc_array) -> sp.csc_array:
        place = slice(self._filled, self._filled + columns.nnz)
        self._indices[place], self._data[place] = columns.indices, columns.data
        self._filled = place.stop
        return sp.csc_array((self._data[place], self._indices[place], columns.indptr), shape=columns.shape)


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


Runs = tuple[int, npt.NDArray[np.uint32], npt.NDArray[np.float32], npt.NDArray[np.int64]]


def _runs(pieces: list[Piece], most: int) -> Iterator[Runs]:
    """Yield (first feature, samples, values, bounds [features + 1]) of groups of features in order, at most `most`
    activations at once; a feature with more comes piece by piece."""
    bounds = np.zeros(len(pieces[0].columns.indptr), np.int64)
    for piece in pieces:
        bounds += piece.columns.indptr
    first, features = 0, len(bounds) - 1
    while first < features:
        reach = int(np.searchsorted(bounds, bounds[first] + most, side="right")) - 1
        last = min(max(reach, first + 1), features)
        if bounds[last] - bounds[first] > most:
            for piece in pieces:
                yield _run(first, piece.start, piece.columns[:, first:last])
        else:
            merged = sp.vstack([piece.columns[:, first:last] for piece in pieces], "csc")
            yield _run(first, pieces[0].start, merged)
        first = last


def _run(first: int, start: int, columns: sp.csc_array) -> Runs:
    samples = columns.indices.astype(np.uint32)
    samples += np.uint32(start)
    return first, samples, columns.data, columns.indptr.astype(np.int64)


def _write_runs(file: int, values: np.ndarray, bounds: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> None:
    """Write values[bounds[i] : bounds[i + 1]] from element places[i] on; runs that touch in the file are written at once.

    Written, not mapped: a full disk is then an error that can be told, not a signal that kills.
    """
    size, view = values.itemsize, memoryview(np.ascontiguousarray(values)).cast("B")
    starts_anew = np.concatenate([[True], places[1:] != places[:-1] + np.diff(bounds)[:-1]])
    heads = np.flatnonzero(starts_anew)
    begins, ends = bounds[heads] * size, np.append(bounds[heads[1:]], bounds[-1]) * size
    for begin, end, place in zip(begins.tolist(), ends.tolist(), (places[heads] * size).tolist(), strict=True):
        while begin < end:
            written = os.pwrite(file, view[begin:end], place)
            begin, place = begin + written, place + written
