"""The weights of an SAE in numbers: norms, how encoder and decoder agree, and which decoder directions are alike."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from loaders.errors import StoreDamaged
from loaders.weight_facts import DUPLICATE, PerFeature, WeightFacts

BLOCK = 2048  # decoder rows on either side of a block of cosines: 16 MiB
QUANTILES = {"min": 0.0, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1.0}
Array = npt.NDArray[Any]


class Nearest(NamedTuple):
    """Of each direction [features]: its largest cosine to another and whose that is (NaN, -1 for none); pairs above 0.9."""

    cosine: PerFeature
    feature: npt.NDArray[np.int64]
    pairs: int


def measure_weights(
    sae: str, tensors: Mapping[str, Array], advance: Callable[[int], object] = lambda products: None
) -> WeightFacts:
    """All facts of an SAE's tensors: W_dec [features, width], and where they are W_enc [width, features], b_dec [width] and
    any tensor [features].

    `advance` is told of blocks of cosines as they are done, `cosine_blocks` in all. Raises StoreDamaged without W_dec, or
    with an encoder of another shape.
    """
    if "W_dec" not in tensors or tensors["W_dec"].ndim != 2:
        raise StoreDamaged(f"The weights of SAE '{sae}' have no decoder W_dec [features, width].")
    decoder = tensors["W_dec"].astype(np.float32, copy=False)
    features, width = decoder.shape
    encoder = tensors.get("W_enc")
    if encoder is not None and encoder.shape != (width, features):
        raise StoreDamaged(
            f"W_enc of SAE '{sae}' has the shape {encoder.shape}; its W_dec asks for {(width, features)}."
        )
    norms = _norms(decoder)
    found = nearest_directions(decoder, norms, advance)
    bias = tensors.get("b_dec")
    own = None if encoder is None else encoder.T.astype(np.float32, copy=False)
    own_norms = None if own is None else _norms(own)
    return WeightFacts(
        features=features,
        width=width,
        decoder_norm=norms,
        max_cosine=found.cosine,
        nearest=found.feature,
        duplicate_pairs=found.pairs,
        encoder_norm=own_norms,
        encoder_decoder_cosine=None if own is None or own_norms is None else _cosines(own, own_norms, decoder, norms),
        biases={
            name: tensor.astype(np.float32, copy=False)
            for name, tensor in sorted(tensors.items())
            if tensor.shape == (features,) and name != "b_dec"
        },
        decoder_bias_norm=None if bias is None else float(np.linalg.norm(bias.astype(np.float64))),
        nonfinite={name: count_nonfinite(tensor) for name, tensor in sorted(tensors.items())},
    )


def cosine_blocks(features: int) -> int:
    """How many blocks of cosines `nearest_directions` computes."""
    blocks = -(-features // BLOCK)
    return blocks * (blocks + 1) // 2


def nearest_directions(
    decoder: npt.NDArray[np.float32], norms: PerFeature, advance: Callable[[int], object] = lambda products: None
) -> Nearest:
    """For every row [features, width] the largest cosine to another row: exact, over all pairs, 16 MiB at a time.

    Of equal cosines the first feature is named. Rows of length 0 and rows that are not finite are nobody's neighbours.
    """
    features = len(decoder)
    best, whose, pairs = np.full(features, -np.inf, np.float32), np.full(features, -1, np.int64), 0
    usable = np.isfinite(norms) & (norms > 0)

    def unit(first: int) -> npt.NDArray[np.float32]:
        rows = slice(first, first + BLOCK)
        lengths = np.where(usable[rows], norms[rows], 1)[:, None]
        made: npt.NDArray[np.float32] = np.divide(
            np.where(usable[rows, None], decoder[rows], 0), lengths, dtype=np.float32
        )
        return made

    for first in range(0, features, BLOCK):
        rows = unit(first)
        for second in range(first, features, BLOCK):
            block = rows @ (rows if second == first else unit(second)).T
            block[~usable[first : first + BLOCK]] = -np.inf
            block[:, ~usable[second : second + BLOCK]] = -np.inf
            if second == first:
                np.fill_diagonal(block, -np.inf)
            pairs += int((block > DUPLICATE).sum()) // (2 if second == first else 1)
            _take_better(block, first, second, best, whose)
            if second != first:
                _take_better(block.T, second, first, best, whose)
            advance(1)
    alone = np.isneginf(best)
    whose[alone] = -1
    cosine = np.where(alone, np.nan, np.clip(best, -1, 1)).astype(np.float32)
    return Nearest(cosine, whose, pairs)


def _take_better(
    block: npt.NDArray[np.float32], first: int, second: int, best: PerFeature, whose: npt.NDArray[np.int64]
) -> None:
    """Note each row's largest cosine in a block that begins at row `first` and column `second`."""
    value = block.max(axis=1)
    rows = np.flatnonzero(value >= best[first : first + len(block)])  # few, once most blocks are seen
    column = second + np.ascontiguousarray(block[rows]).argmax(axis=1)
    rows, value = first + rows, value[rows]
    is_better = (value > best[rows]) | (column < whose[rows])
    best[rows[is_better]], whose[rows[is_better]] = value[is_better], column[is_better]


def _norms(rows: npt.NDArray[np.float32]) -> PerFeature:
    """Length of each row, summed in double precision."""
    squares = np.einsum("fd,fd->f", rows, rows, dtype=np.float64)
    return np.sqrt(squares).astype(np.float32)


def _cosines(a: Array, a_norms: PerFeature, b: Array, b_norms: PerFeature) -> PerFeature:
    """Cosine of each row of `a` with the same row of `b`; NaN where one has no length."""
    products = np.einsum("fd,fd->f", a, b, dtype=np.float64)
    lengths = a_norms.astype(np.float64) * b_norms
    found = np.divide(products, lengths, out=np.full(len(lengths), np.nan), where=lengths > 0)
    return np.clip(found, -1, 1).astype(np.float32)


def count_nonfinite(tensor: Array) -> int:
    """Values that are NaN or infinite."""
    return int(tensor.size - np.isfinite(tensor).sum())


def describe(values: Array) -> dict[str, float | int | None]:
    """Quantiles, mean and standard deviation of the finite values, and how many there are; None without any."""
    finite = values[np.isfinite(values)].astype(np.float64).ravel()
    if not finite.size:
        return {"n": 0, **dict.fromkeys((*QUANTILES, "mean", "std"))}
    found = dict(zip(QUANTILES, np.quantile(finite, list(QUANTILES.values())).tolist(), strict=True))
    return {"n": int(finite.size), **found, "mean": float(finite.mean()), "std": float(finite.std())}
