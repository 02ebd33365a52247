"""Where an SAE is worth training: a score made of measured parts, a ranking, and the reasons in words."""

from collections.abc import Sequence
from typing import NamedTuple

from analysis.advice_moments import Measures
from loaders.advice import AdvisedHook, Reason

FLOAT16_MAX = 65_504.0
NEW_ENOUGH = 0.05  # share of new variance from which a hook point is not marked down for repeating the previous one
SCORE = (
    "geometric mean of four parts from 0 to 1: spread, 1 - variance share of the first principal direction; beyond the"
    " token, 1 - eta² of the current token; beyond the context, 1 - eta² of the context; new, share of the variance that"
    f" the previous hook point does not have, where {100 * NEW_ENOUGH:g} % or more count as 1. Parts that cannot be measured"
    " are left out. It is 0 where values are not finite, exceed float16 or do not vary."
)
NARROW, LESS_NARROW = 0.5, 0.2  # share of the first principal direction
TOKEN_ALL, TOKEN_MOST = 0.8, 0.5  # eta squared of the current token
CONTEXT_MOST = 0.5  # eta squared of the context
OFFSET_LARGE = 0.5  # share of the squared norm in the mean
RATIO_LARGE, KURTOSIS_LARGE, NORMS_WIDE = 20.0, 50.0, 0.5
FLOAT16_NEAR = 0.25  # share of the largest float16
ROWS_PER_DIMENSION = 10  # samples below which spectra are flatter in the sample than in truth


class Candidate(NamedTuple):
    """A hook point and its measures; `previous` is the hook point that it was compared with, None for none."""

    hook: str
    width: int
    measures: Measures
    previous: str | None


def advise(candidates: Sequence[Candidate]) -> list[AdvisedHook]:
    """The candidates in their order, each with score, rank (1 is best; of equal scores the earlier one) and reasons."""
    parts = [score_parts(each.measures) for each in candidates]
    scores = [score(found, each.measures) for found, each in zip(parts, candidates, strict=True)]
    order = sorted(range(len(candidates)), key=lambda i: (-scores[i], i))
    return [
        AdvisedHook(
            each.hook, each.width, order.index(i) + 1, scores[i], parts[i], each.measures._asdict(), reasons(each)
        )
        for i, each in enumerate(candidates)
    ]


def score_parts(found: Measures) -> dict[str, float | None]:
    """The four parts of the score, each in [0, 1]; None where it could not be measured."""
    new = None if found.kept is None else min(1.0, (1 - found.kept) / NEW_ENOUGH)
    return {
        "spread": _rest(found.top_share),
        "beyond_token": _rest(found.token_eta2),
        "beyond_context": _rest(found.context_eta2),
        "new": new,
    }


def score(parts: dict[str, float | None], found: Measures) -> float:
    """The geometric mean of the measured parts; 0 where activations cannot be kept or do not vary."""
    known = [part for part in parts.values() if part is not None]
    if found.nonfinite or found.variance <= 0 or not known or (found.largest or 0) > FLOAT16_MAX:
        return 0.0
    product = 1.0
    for part in known:
        product *= part
    return float(product ** (1 / len(known)))


def _rest(share: float | None) -> float | None:
    return None if share is None else 1 - share


def reasons(candidate: Candidate) -> list[Reason]:
    """Why a hook point scores as it does (for, against), and what to know before training there (notes)."""
    found = candidate.measures
    said = [*_obstacles(found)]
    if found.variance > 0:
        said += [*_shape(candidate), *_owners(found), *_change(candidate), *_notes(candidate)]
    return sorted(said, key=lambda reason: ("against", "for", "note").index(reason.kind))


def _obstacles(found: Measures) -> list[Reason]:
    said = []
    if found.nonfinite:
        said.append(
            Reason(
                "against",
                f"{found.nonfinite:,} of {found.nonfinite + found.samples:,} samples hold values that are not finite",
            )
        )
    if (found.largest or 0) > FLOAT16_MAX:
        words = f"reaches {found.largest:,.4g}; float16 ends at {FLOAT16_MAX:,.0f}, so keep its activations as float32"
        said.append(Reason("against", words))
    if found.samples and found.variance <= 0:
        said.append(Reason("against", "hands on the same row for every sample"))
    return said


def _shape(candidate: Candidate) -> list[Reason]:
    top, found = candidate.measures.top_share or 0.0, candidate.measures
    if top >= NARROW:
        return [Reason("against", f"most of its variance is one direction ({_percent(top)})")]
    if top >= LESS_NARROW:
        return [Reason("against", f"{_percent(top)} of its variance is one direction")]
    spread = f"participation ratio {found.participation:,.0f} of {candidate.width:,}"
    return [Reason("for", f"its variance spreads over many directions ({spread})")]


def _owners(found: Measures) -> list[Reason]:
    said = []
    if found.token_eta2 is not None:
        eta = f"eta² {found.token_eta2:.2f}"
        if found.token_eta2 >= TOKEN_ALL:
            said.append(Reason("against", f"still determined by the current token ({eta})"))
        elif found.token_eta2 >= TOKEN_MOST:
            said.append(Reason("against", f"the current token explains most of its variance ({eta})"))
        else:
            said.append(Reason("for", f"says more than which token it is ({eta} by token)"))
    if found.context_eta2 is not None and found.context_eta2 >= CONTEXT_MOST:
        words = f"much the same all along a context (eta² {found.context_eta2:.2f} by context)"
        said.append(Reason("against", words))
    return said


def _change(candidate: Candidate) -> list[Reason]:
    kept, previous = candidate.measures.kept, candidate.previous
    if kept is None or previous is None:
        return []
    new = 1 - kept
    if new < 1e-4:
        return [Reason("against", f"hands on {previous} unchanged, at most scaled and shifted by a constant")]
    if new < NEW_ENOUGH:
        return [Reason("against", f"repeats {previous}: {_percent(new)} of its variance is new")]
    return []


def _notes(candidate: Candidate) -> list[Reason]:
    found, said = candidate.measures, []
    if (found.mean_share or 0) >= OFFSET_LARGE:
        said.append(f"{_percent(found.mean_share or 0)} of its squared norm is the mean: centre rows before training")
    if (found.variance_ratio or 0) >= RATIO_LARGE:
        said.append(f"dimension {found.variance_dimension} has {found.variance_ratio:.0f} times the mean variance")
    if (found.kurtosis or 0) >= KURTOSIS_LARGE:
        said.append(f"dimension {found.kurtosis_dimension} has rare, very large values (kurtosis {found.kurtosis:.0f})")
    if (found.norm_spread or 0) >= NORMS_WIDE:
        said.append(f"norms differ widely (standard deviation {found.norm_spread:.1f} of the mean)")
    if FLOAT16_NEAR * FLOAT16_MAX <= (found.largest or 0) <= FLOAT16_MAX:
        said.append(f"reaches {_percent((found.largest or 0) / FLOAT16_MAX)} of the largest float16")
    if found.samples < ROWS_PER_DIMENSION * candidate.width:
        said.append(f"{found.samples:,} samples are few for {candidate.width:,} dimensions: measure more")
    return [Reason("note", words) for words in said]


def _percent(share: float) -> str:
    return f"{100 * share:.2g}\N{NO-BREAK SPACE}%" if share < 0.995 else f"{100 * share:.3g}\N{NO-BREAK SPACE}%"
