"""Shards as EleutherAI's delphi caches them: `{start}_{end}.safetensors` hold the latents start..end (both included) of all
contexts as `locations` [n, 3] (context, position, latent - start) and `activations` [n], mostly with `tokens`
[contexts, positions]. Together they are one matrix of samples, read here by ranges of samples."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from loaders.errors import BadInput
from precompute.sources.part import Part, Read
from precompute.sources.safetensors import Tensor, read_tensors

NAME = re.compile(r"([0-9]+)_([0-9]+)")
ENTRIES = 1 << 20  # read at once: at most 24 MiB of locations
CELL = 4096  # samples whose entries are found together
Locate = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[np.int64]]
"""The sample at each context and position; -1 where there is none."""


class Shard(NamedTuple):
    """The latents first..last of one file; `tokens` is None where they were not saved."""

    path: Path
    first: int
    last: int
    locations: Tensor
    activations: Tensor
    tokens: Tensor | None

    @property
    def value_dtype(self) -> np.dtype:
        """Of the activations as they are handed on; SciPy's sparse matrices do not know float16."""
        return np.promote_types(self.activations.dtype, np.float32)


def is_shard(path: Path) -> bool:
    """Whether a safetensors file holds locations and activations."""
    return {"locations", "activations"} <= read_tensors(path).keys()


def open_shards(paths: list[Path]) -> list[Shard]:
    """The shards by their latents; raises BadInput unless these follow each other from 0 without gap or overlap."""
    shards = sorted((_open_shard(path) for path in paths), key=lambda shard: shard.first)
    if shards[0].first != 0:
        raise BadInput(
            f"The first latents of these shards are those of '{shards[0].path.name}'; latents 0 to {shards[0].first - 1} are"
            " missing. Give all shards of the hook point."
        )
    for before, after in pairwise(shards):
        if after.first != before.last + 1:
            raise BadInput(
                f"'{before.path.name}' ends at latent {before.last}, but the next shard is '{after.path.name}'. Give every"
                " shard of the hook point once."
            )
    return shards


def _open_shard(path: Path) -> Shard:
    tensors, bounds = read_tensors(path), NAME.fullmatch(path.stem)
    if not bounds or not {"locations", "activations"} <= tensors.keys():
        raise BadInput(
            f"'{path}' is no shard of latents: wanted a name such as 0_1023.safetensors and tensors 'locations' and"
            " 'activations'. Leave it out."
        )
    first, last = (int(bound) for bound in bounds.groups())
    locations, activations, tokens = (tensors.get(name) for name in ("locations", "activations", "tokens"))
    assert locations is not None and activations is not None
    is_sound = (
        last >= first
        and locations.shape == (*activations.shape[:1], 3)
        and len(activations.shape) == 1
        and locations.dtype.kind in "iu"
        and activations.dtype.kind == "f"
        and (tokens is None or (len(tokens.shape) == 2 and tokens.dtype.kind in "iu"))
    )
    if not is_sound:
        raise BadInput(
            f"'{path}' holds locations of shape {locations.shape} for activations of shape {activations.shape}; wanted"
            " whole numbers [n, 3] for numbers [n], and tokens [contexts, positions]. Write it again."
        )
    return Shard(path, first, last, locations, activations, tokens)


def tokens_of(shards: list[Shard]) -> npt.NDArray[np.integer] | None:
    """The token ids [contexts, positions], the same in all shards, or None; raises BadInput where they differ."""
    found = [shard.tokens for shard in shards if shard.tokens is not None]
    if not found:
        return None
    tokens = found[0].read(0, found[0].shape[0])
    for shard in shards:
        if shard.tokens is not None and not np.array_equal(shard.tokens.read(0, shard.tokens.shape[0]), tokens):
            raise BadInput(
                f"'{shard.path}' was made from other tokens than '{shards[0].path.name}'. Do not mix caches."
            )
    return tokens


def model_name(shards: list[Shard]) -> str | None:
    """The model that delphi's `config.json` beside the shards names, if there is one."""
    try:
        named = json.loads((shards[0].path.parent / "config.json").read_text())["model_name"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return named if isinstance(named, str) else None


def grid(contexts: int, positions: int) -> Locate:
    """Contexts of equal length, every position a sample."""

    def locate(context: npt.NDArray[np.int64], position: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.where((context < contexts) & (position < positions), context * positions + position, -1)

    return locate


def ragged(offsets: npt.NDArray[np.int64], samples: npt.NDArray[np.int64]) -> Locate:
    """Contexts of a dataset: `offsets` of its tokens [contexts + 1], `samples` the tokens that are samples."""

    def locate(context: npt.NDArray[np.int64], position: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        known = np.minimum(context, len(offsets) - 2)
        token = offsets[known] + position
        sample = np.minimum(np.searchsorted(samples, token), len(samples) - 1)
        is_there = (context == known) & (token < offsets[known + 1]) & (samples[sample] == token)
        return np.where(is_there, sample, -1)

    return locate


def describe(shards: list[Shard], samples: int, locate: Locate) -> Part:
    """All shards as one part [samples, latents]."""

    @contextmanager
    def opened() -> Iterator[Read]:
        indexed = [(shard, *_index(shard, samples, locate)) for shard in shards]

        def read(start: int, stop: int) -> sp.csr_array:
            found = [_entries(*one, (start, stop), locate) for one in indexed]
            row, latent, value = (np.concatenate(column) for column in zip(*found, strict=True))
            rows = sp.csr_array((value, (row - start, latent)), shape=(stop - start, features))
            if rows.nnz != len(value):
                raise BadInput(
                    f"'{shards[0].path.parent}' gives some activation of samples {start} to {stop - 1} twice. Write the"
                    " cache again."
                )
            rows.sort_indices()
            return rows

        yield read

    features = shards[-1].last + 1
    stored = sum(shard.activations.shape[0] for shard in shards)
    files = tuple(shard.path for shard in shards)
    return Part(shards[0].path.parent, samples, features, stored, 1, opened, files)


def _index(shard: Shard, samples: int, locate: Locate) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First entry and the one after the last of every cell of samples, in one pass that also checks every entry.

    delphi writes contexts in order, so that a cell's entries lie together; where they do not, more of the file is read.
    """
    cells = -(-samples // CELL)
    total = shard.activations.shape[0]
    firsts, stops = np.full(cells, total, np.int64), np.zeros(cells, np.int64)
    for begin in range(0, total, ENTRIES):
        end = min(begin + ENTRIES, total)
        sample = _decode(shard, begin, end, locate)[0]
        cell = sample // CELL
        starts = np.flatnonzero(np.diff(cell, prepend=-1))  # of the runs of one cell
        np.minimum.at(firsts, cell[starts], begin + starts)
        np.maximum.at(stops, cell[starts], begin + np.append(starts[1:], end - begin))
    return firsts, stops


def _entries(
    shard: Shard,
    firsts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    bounds: tuple[int, int],
    locate: Locate,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Sample, latent and value of the shard's entries on the samples of `bounds`."""
    cells = slice(bounds[0] // CELL, -(-bounds[1] // CELL))
    first, stop = int(firsts[cells].min(initial=shard.activations.shape[0])), int(stops[cells].max(initial=0))
    found = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, shard.value_dtype))]
    for begin in range(first, stop, ENTRIES):
        end = min(begin + ENTRIES, stop)
        sample, latent = _decode(shard, begin, end, locate)
        is_wanted = (sample >= bounds[0]) & (sample < bounds[1])
        value = shard.activations.read(begin, end).astype(shard.value_dtype)
        _require_finite(shard, begin, value)
        found.append((sample[is_wanted], latent[is_wanted], value[is_wanted]))
    sample, latent, value = (np.concatenate(column) for column in zip(*found, strict=True))
    return sample, latent, value


def _decode(shard: Shard, begin: int, end: int, locate: Locate) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sample and latent of the entries begin..end; raises BadInput for one that lies nowhere."""
    context, position, latent = shard.locations.read(begin, end).T.astype(np.int64)
    is_inside = (context >= 0) & (position >= 0) & (latent >= 0) & (latent <= shard.last - shard.first)
    sample = np.where(is_inside, locate(np.maximum(context, 0), np.maximum(position, 0)), -1)
    wrong = np.flatnonzero(sample < 0)
    if len(wrong):
        at = wrong[0]
        raise BadInput(
            f"Entry {begin + at} of '{shard.path}' lies at context {context[at]}, position {position[at]}, latent"
            f" {latent[at]} of the shard, where no sample or latent is. Check that tokens or dataset are those of the cache."
        )
    return sample, latent + shard.first


def _require_finite(shard: Shard, begin: int, value: npt.NDArray[Any]) -> None:
    wrong = np.flatnonzero(~np.isfinite(value))
    if len(wrong):
        context, position, latent = (int(n) for n in shard.locations.read(begin, begin + len(value))[wrong[0]])
        raise BadInput(
            f"'{shard.path}' has the activation {value[wrong[0]]} at context {context}, position {position}, feature"
            f" {latent + shard.first}; activations must be finite. Check the SAE, or a cache that float16 cannot hold."
        )
