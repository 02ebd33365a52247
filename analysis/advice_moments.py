"""Moments of activation rows, gathered batch by batch in bounded memory, and what they say about one hook point."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Rows = npt.NDArray[np.float32]
TOP = 10  # principal directions whose share is summed


class Measures(NamedTuple):
    """What was measured at one hook point of n samples x_i in d dimensions; None where it is not defined.

    `samples` counted and `nonfinite` left out; `norm_mean` and `norm_spread` (standard deviation over mean) of |x_i|;
    `largest` |x_ij|; `mean_share` = |mean|^2 / mean of |x_i|^2 (anisotropy); `variance` = trace of the covariance C;
    `top_share` and `top10_share` of C's largest eigenvalues; `participation` = tr(C)^2 / tr(C^2) (participation ratio);
    `effective_rank` = exp(entropy of C's normalised eigenvalues) (Roy & Vetterli 2007); `variance_ratio`, the largest
    variance of a dimension over the mean one, at `variance_dimension`; `kurtosis`, the largest E(x-m)^4 / var^2 of a
    dimension (3 for a normal one), at `kurtosis_dimension`; `token_eta2` and `context_eta2`, the share of the variance
    that the current token or the context explains (see `explained_share`), on `token_samples` samples of `token_groups`
    tokens; against the previous hook point: mean `cosine` of the rows, mean relative `update` |x_i - p_i| / |p_i|, and
    `kept`, the squared correlation of the centred rows over all entries (1 where x is p scaled and shifted by constants).
    """

    samples: int
    nonfinite: int
    norm_mean: float | None
    norm_spread: float | None
    largest: float | None
    mean_share: float | None
    variance: float
    top_share: float | None
    top10_share: float | None
    participation: float | None
    effective_rank: float | None
    variance_ratio: float | None
    variance_dimension: int | None
    kurtosis: float | None
    kurtosis_dimension: int | None
    token_eta2: float | None
    token_samples: int
    token_groups: int
    context_eta2: float | None
    cosine: float | None
    update: float | None
    kept: float | None


class Moments:
    """Streaming moments of rows [n, width], with sums for `tokens` groups; holds 8 * width * (width + tokens) bytes.

    Sums are about the first batch's mean, so that a large mean costs no digits.
    """

    def __init__(self, width: int, tokens: int) -> None:
        self.samples = self.nonfinite = 0
        self.largest = 0.0
        self._norms = np.zeros(2)  # sum and sum of squares of |x|
        self._about: npt.NDArray[np.float64] | None = None
        self._powers = np.zeros((4, width))  # sums of (x - about)^1..4 by dimension
        self._products = np.zeros((width, width))
        self._tokens = Groups(np.zeros((tokens, width)))
        self._contexts = Groups(np.zeros((0, width)))

    def add(self, rows: Rows, tokens: npt.NDArray[np.int64], contexts: npt.NDArray[np.int64]) -> None:
        """Add rows [n, width]; `tokens` [n] is the group of each (-1: none), `contexts` [n] ascending within the batch.

        All rows of a context must come in one batch. Rows with a value that is not finite are counted and left out.
        """
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            self.nonfinite += int((~finite).sum())
            rows, tokens, contexts = rows[finite], tokens[finite], contexts[finite]
        if not len(rows):
            return
        wide = rows.astype(np.float64)
        norms = np.sqrt(np.einsum("nd,nd->n", wide, wide))
        self.samples += len(rows)
        self.largest = max(self.largest, float(np.abs(rows).max()))
        self._norms += [norms.sum(), (norms**2).sum()]
        if self._about is None:
            self._about = wide.mean(axis=0)
        wide -= self._about
        power = np.ones_like(wide)
        for order in range(4):
            power *= wide
            self._powers[order] += power.sum(axis=0)
        self._products += wide.T @ wide
        self._tokens.add(wide, tokens)
        self._contexts.add_whole(wide, contexts)

    def measure(self, change: "Change | None") -> Measures:
        """Everything at once; `change` is that from the previous hook point, None where there is none."""
        n = self.samples
        cosine, update, kept = change.measure() if change else (None, None, None)
        if n < 2 or self._about is None:
            return self._nothing()
        mean, second, third, fourth = self._powers / n
        variances = np.maximum(second - mean**2, 0.0)
        central4 = fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4
        covariance = self._products / n - np.outer(mean, mean)
        values = np.maximum(np.linalg.eigvalsh(covariance)[::-1], 0.0)
        total = float(values.sum())
        norm, squares = self._norms / n
        varies = total > 1e-12 * squares
        varying = variances > 1e-9 * variances.max(initial=0.0)
        kurtosis = np.divide(central4, variances**2, out=np.zeros_like(variances), where=varying)
        shares = values / total if varies else values
        entropy = -np.sum(shares * np.log(shares, out=np.zeros_like(shares), where=shares > 0))
        return Measures(
            samples=n,
            nonfinite=self.nonfinite,
            norm_mean=float(norm),
            norm_spread=float(np.sqrt(max(squares - norm**2, 0.0)) / norm) if norm else None,
            largest=self.largest,
            mean_share=float(np.sum((self._about + mean) ** 2) / squares) if squares else None,
            variance=total if varies else 0.0,
            top_share=float(shares[0]) if varies else None,
            top10_share=float(shares[:TOP].sum()) if varies else None,
            participation=float(1 / np.sum(shares**2)) if varies else None,
            effective_rank=float(np.exp(entropy)) if varies else None,
            variance_ratio=float(variances.max() / variances.mean()) if varies else None,
            variance_dimension=int(variances.argmax()) if varies else None,
            kurtosis=float(kurtosis.max()) if varies else None,
            kurtosis_dimension=int(kurtosis.argmax()) if varies else None,
            token_eta2=self._tokens.explained() if varies else None,
            token_samples=self._tokens.counted()[0],
            token_groups=self._tokens.counted()[1],
            context_eta2=self._contexts.explained() if varies else None,
            cosine=cosine,
            update=update,
            kept=kept,
        )

    def _nothing(self) -> Measures:
        """Of fewer than two samples nothing is known."""
        unknown: dict[str, Any] = dict.fromkeys(Measures._fields)
        counted = {"samples": self.samples, "nonfinite": self.nonfinite, "token_samples": 0, "token_groups": 0}
        return Measures(**{**unknown, **counted, "variance": 0.0})


class Groups:
    """Sums of squares within groups of rows; groups of one row say nothing and are left out."""

    def __init__(self, sums: npt.NDArray[np.float64]) -> None:
        self._sums = sums  # (group, width), of rows that come bit by bit
        self._counts = np.zeros(len(sums), np.int64)
        self._squares = np.zeros(len(sums))
        self._whole = np.zeros(2, np.int64)  # rows and groups of those that came whole
        self._within = 0.0
        self._whole_squares = 0.0
        self._whole_sum = np.zeros(sums.shape[1])

    def add(self, rows: npt.NDArray[np.float64], groups: npt.NDArray[np.int64]) -> None:
        """Rows [n, width] of groups that may come again; -1 is no group."""
        taken = groups >= 0
        rows, groups = rows[taken], groups[taken]
        if not len(rows):
            return
        present, inverse = np.unique(groups, return_inverse=True)
        ones = sp.csr_array((np.ones(len(rows)), (inverse, np.arange(len(rows)))), shape=(len(present), len(rows)))
        self._sums[present] += ones @ rows
        self._counts[present] += np.bincount(inverse)
        self._squares[present] += np.bincount(inverse, np.einsum("nd,nd->n", rows, rows))

    def add_whole(self, rows: npt.NDArray[np.float64], groups: npt.NDArray[np.int64]) -> None:
        """Rows [n, width] with ascending groups [n], none of which comes again: nothing is kept for each of them."""
        starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
        counts = np.diff(np.append(starts, len(groups)))
        sums, many = np.add.reduceat(rows, starts, axis=0), counts > 1
        squares = np.add.reduceat(np.einsum("nd,nd->n", rows, rows), starts)
        between = np.einsum("gd,gd->g", sums, sums) / counts
        self._whole += [int(counts[many].sum()), int(many.sum())]
        self._within += float((squares - between)[many].sum())
        self._whole_squares += float(squares[many].sum())
        self._whole_sum += sums[many].sum(axis=0)

    def counted(self) -> tuple[int, int]:
        """Rows and groups, of groups with two rows or more."""
        many = self._counts > 1
        return int(self._counts[many].sum() + self._whole[0]), int(many.sum() + self._whole[1])

    def explained(self) -> float | None:
        """`explained_share` of the rows in groups of two or more."""
        many = self._counts > 1
        sums, counts = self._sums[many], self._counts[many]
        within = self._within + float((self._squares[many] - np.einsum("gd,gd->g", sums, sums) / counts).sum())
        rows, groups = self.counted()
        middle = self._whole_sum + sums.sum(axis=0)
        total = self._whole_squares + float(self._squares[many].sum()) - float(middle @ middle) / max(rows, 1)
        return explained_share(within, total, rows, groups)


def explained_share(within: float, total: float, rows: int, groups: int) -> float | None:
    """Eta squared corrected for small groups: 1 - (within / (rows - groups)) / (total / (rows - 1)), at least 0.

    `within` and `total` are sums of squared deviations from the group's mean and from the mean. The plain share
    1 - within / total grows with the number of groups even when they mean nothing; this one does not (Kelley 1935).
    None for fewer than 2 groups, or where nothing varies.
    """
    if groups < 2 or rows <= groups or total <= 0:
        return None
    return float(min(max(1 - (within / (rows - groups)) / (total / (rows - 1)), 0.0), 1.0))


class Change:
    """How rows differ from those of the previous hook point over the same samples."""

    def __init__(self, width: int) -> None:
        self.samples = 0
        self._cosine = self._update = 0.0
        self._about: npt.NDArray[np.float64] | None = None
        self._sums = np.zeros((2, width))
        self._squares = np.zeros(3)  # of the rows, of the previous ones, and their products

    def add(self, rows: Rows, previous: Rows) -> None:
        """Rows [n, width] of both, in the same order; those with a value that is not finite are left out."""
        finite = np.isfinite(rows).all(axis=1) & np.isfinite(previous).all(axis=1)
        now, then = rows[finite].astype(np.float64), previous[finite].astype(np.float64)
        lengths = np.sqrt(np.stack([(now**2).sum(axis=1), (then**2).sum(axis=1)]))
        both = (lengths > 0).all(axis=0)
        self._cosine += float(((now * then).sum(axis=1)[both] / lengths[:, both].prod(axis=0)).sum())
        self._update += float((np.sqrt(((now - then) ** 2).sum(axis=1))[both] / lengths[1, both]).sum())
        self.samples += int(both.sum())
        now, then = now[both], then[both]
        if self._about is None and len(now):
            self._about = np.stack([now.mean(axis=0), then.mean(axis=0)])
        if self._about is not None:
            now, then = now - self._about[0], then - self._about[1]
            self._sums += [now.sum(axis=0), then.sum(axis=0)]
            self._squares += [(now**2).sum(), (then**2).sum(), (now * then).sum()]

    def measure(self) -> tuple[float | None, float | None, float | None]:
        """Mean cosine, mean relative update, and the squared correlation of the centred rows."""
        n = self.samples
        if n < 2:
            return None, None, None
        mine, theirs = self._sums
        own = self._squares[0] - mine @ mine / n
        other = self._squares[1] - theirs @ theirs / n
        shared = self._squares[2] - mine @ theirs / n
        kept = float(min(shared**2 / (own * other), 1.0)) if own > 0 and other > 0 else None
        return self._cosine / n, self._update / n, kept
