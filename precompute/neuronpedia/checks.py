"""What is wrong with one row by itself: counts that do not add up, a maximum that is none, lists of unequal length."""

import math
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from catalog.dictionary.neuronpedia import index_of
from precompute.neuronpedia.fields import NEEDED, TOP

Floats = npt.NDArray[np.float64]
CLOSE = 1e-5
DECIMALS = 6e-4
"""SAEDashboard writes three decimals; what is counted or compared may be off by half of the last one."""
PARALLEL = (  # lists that are read side by side
    ("topkCosSimIndices", "topkCosSimValues"),
    ("neuron_alignment_indices", "neuron_alignment_values", "neuron_alignment_l1"),
    ("correlated_neurons_indices", "correlated_neurons_pearson", "correlated_neurons_l1"),
    ("correlated_features_indices", "correlated_features_pearson", "correlated_features_l1"),
    ("neg_str", "neg_values"),
    ("pos_str", "pos_values"),
    ("freq_hist_data_bar_values", "freq_hist_data_bar_heights"),
    ("logits_hist_data_bar_values", "logits_hist_data_bar_heights"),
    ("vector",),
    ("decoder_weights_dist",),
)


def numbers(value: Any) -> Floats | None:
    """A JSON list of finite numbers as f64 [n]; None for anything else."""
    if not isinstance(value, list) or set(map(type, value)) - {int, float}:
        return None
    try:
        found = np.array(value, dtype=np.float64)
    except OverflowError:
        return None
    return found if np.isfinite(found).all() else None


def is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def near(a: float, b: float, tolerance: float = CLOSE) -> bool:
    """Equal up to the rounding of decimal numbers."""
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)


def is_top(fields: dict[str, Any]) -> bool:
    """Whether an activation's row is one of the strongest contexts, not of a bin."""
    return fields.get("binContains") in (None, TOP) or fields.get("binMin") == TOP


def check_place(kind: str, fields: dict[str, Any], model_id: str | None, source: str | None) -> list[str]:
    """Missing fields, and rows of another model, source or of no feature."""
    if missing := [name for name in NEEDED[kind] if fields.get(name) is None]:
        return [f"has no {', '.join(missing)}"]
    found = []
    if index_of(fields) is None:
        found.append(f"index {str(fields['index'])[:40]!r} is no feature")
    if model_id is not None and fields["modelId"] != model_id:
        found.append(f"modelId is {str(fields['modelId'])[:80]!r}; the bundle is of '{model_id}'")
    if source is not None and fields["layer"] != source:
        found.append(f"layer is {str(fields['layer'])[:80]!r}; the bundle is of '{source}'")
    return found


def check_activation(fields: dict[str, Any], is_exact: bool) -> list[str]:
    """Values against their tokens, maximum, its place, minimum and bin; `is_exact`: Loupe's own, not rounded."""
    values, tokens = numbers(fields["values"]), fields["tokens"]
    if values is None or not len(values):
        return ["values is no list of numbers"]
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        return ["tokens is no list of texts"]
    if len(tokens) != len(values):
        return [f"has {len(tokens)} tokens and {len(values)} values"]
    found = []
    top, place = float(values.max()), fields["maxValueTokenIndex"]
    if not is_number(fields["maxValue"]) or not near(fields["maxValue"], top, 1e-7):
        found.append(f"maxValue is {fields['maxValue']}; the largest of its values is {top:.9g}")
    if not _is_place(place, values) or values[place] != top:
        found.append(f"maxValueTokenIndex is {place}; the largest value is at {int(values.argmax())}")
    low = fields.get("minValue")
    if low is not None and (not is_number(low) or not near(low, float(values.min()), 1e-7)):
        found.append(f"minValue is {low}; the least of its values is {float(values.min()):.9g}")
    return found + _check_bin(fields, values, is_exact)


def _is_place(place: Any, values: Floats) -> bool:
    return isinstance(place, int) and not isinstance(place, bool) and 0 <= place < len(values)


def _check_bin(fields: dict[str, Any], values: Floats, is_exact: bool) -> list[str]:
    place, low, high, share = (fields.get(key) for key in ("qualifyingTokenIndex", "binMin", "binMax", "binContains"))
    if place is not None and not _is_place(place, values):
        return [f"qualifyingTokenIndex {place} is none of its {len(values)} tokens"]
    if is_top(fields):
        if is_exact and place is not None and values[place] != values.max():
            return [f"qualifyingTokenIndex is {place}; the largest value is at {int(values.argmax())}"]
        return []
    if not (is_number(low) and is_number(high) and is_number(share)) or low > high or not 0 <= share <= 1:
        return [f"bin from {low} to {high} with a share of {share} cannot be"]
    slack = CLOSE * max(abs(high), 1e-9) + (0 if is_exact else 2 * DECIMALS)
    if place is not None and not low - slack <= values[place] <= high + slack:
        return [
            f"value {values[place]:.9g} at qualifyingTokenIndex {place} lies outside of its bin {low:.9g} to {high:.9g}"
        ]
    return []


def check_feature(fields: dict[str, Any], samples: int | None, is_exact: bool) -> list[str]:
    """Logits in order, histograms against counts, of a row that `check_form` passed; `samples` None: not known.

    `is_exact` is false for a bundle of another tool, whose numbers are rounded to three decimals, shares to five.
    """
    found, share, top = [], fields["frac_nonzero"], fields.get("maxActApprox")
    heights, centres = numbers(fields["freq_hist_data_bar_heights"]), numbers(fields["freq_hist_data_bar_values"])
    assert heights is not None and centres is not None  # check_form looked
    found += _check_bars("freq_hist_data", heights, centres, is_exact)
    if samples is not None:
        fires, slack = share * samples, 0.01 if is_exact else 1 + 1e-5 * samples
        if abs(heights.sum() - fires) > slack:
            found.append(
                f"freq_hist_data_bar_heights add up to {heights.sum():,.0f}; frac_nonzero x {samples:,} samples is {fires:,.0f}"
            )
    if top and len(centres) > 1:
        end = float(centres[-1] + (centres[-1] - centres[-2]) / 2)
        end += 0 if is_exact else 0.02 * abs(end) + 2 * DECIMALS
        if top > end + CLOSE * abs(end) or (is_exact and not near(top, end)):
            found.append(f"freq_hist_data ends at {end:.9g}; maxActApprox is {top:.9g}")
    logits = numbers(fields.get("logits_hist_data_bar_heights") or [])
    middle = numbers(fields.get("logits_hist_data_bar_values") or [])
    assert logits is not None and middle is not None
    return found + _check_bars("logits_hist_data", logits, middle, is_exact) + _check_order(fields)


def check_form(fields: dict[str, Any]) -> list[str]:
    """Whether the values of a feature's row can be read at all; nothing else is checked of a row that fails."""
    share, top = fields["frac_nonzero"], fields.get("maxActApprox")
    if not is_number(share) or not 0 <= share <= 1:
        return [f"frac_nonzero {share!r} is no share"]
    if top is not None and not is_number(top):
        return [f"maxActApprox {top!r} is no number"]
    if fields.get("hasVector") and not fields.get("vector"):
        return ["hasVector is true; there is no vector"]
    for names in PARALLEL:
        lists = [fields.get(name) or [] for name in names]
        for name, each in zip(names, lists, strict=True):
            is_text = name.endswith("_str")
            right = numbers(each) is not None
            if is_text:
                right = isinstance(each, list) and all(isinstance(item, str) for item in each)
            if not right:
                return [f"{name} is no list of {'texts' if is_text else 'numbers'}"]
        filled = [each for name, each in zip(names, lists, strict=True) if each or not name.endswith("_l1")]
        if len({len(each) for each in filled}) > 1:
            return [f"{' and '.join(names)} have {' and '.join(str(len(each)) for each in lists)} entries"]
    return []


def _check_bars(name: str, heights: Floats, centres: Floats, is_exact: bool) -> list[str]:
    found = []
    if (heights < 0).any() or (heights != np.rint(heights)).any():
        found.append(
            f"{name}_bar_heights holds {heights[(heights < 0) | (heights != np.rint(heights))][0]:g}, which is no count"
        )
    steps = np.diff(centres)
    falls = np.flatnonzero(steps <= 0 if is_exact else steps < 0)  # rounding makes neighbours equal
    if len(falls):
        at = int(falls[0])
        found.append(f"{name}_bar_values do not ascend: {centres[at]:.9g} is followed by {centres[at + 1]:.9g}")
    return found


def _check_order(fields: dict[str, Any]) -> list[str]:
    found = []
    for name, sign, order in (
        ("pos_values", -1, "descend"),
        ("neg_values", 1, "ascend"),
        ("topkCosSimValues", -1, "descend"),
        ("correlated_features_pearson", -1, "descend"),
    ):
        values = numbers(fields.get(name) or [])
        if values is not None and (sign * np.diff(values) < -1e-9).any():
            at = int(np.flatnonzero(sign * np.diff(values) < -1e-9)[0])
            found.append(f"{name} do not {order}: {values[at]:.9g} is followed by {values[at + 1]:.9g}")
    return found


def check_explanation(fields: dict[str, Any]) -> list[str]:
    """An explanation says something."""
    text = fields["description"]
    return [] if isinstance(text, str) and text.strip() else ["description is empty"]


def heights_agree(values: Floats, heights: Floats, centres: Floats, slack: float) -> bool:
    """Whether bars with these centres count `values`; a value within `slack` of an edge may lie on either side."""
    if not len(centres):
        return not len(values)
    edges = (centres[:-1] + centres[1:]) / 2
    ordered, below = np.sort(values), np.cumsum(heights)
    least, most = np.searchsorted(ordered, edges - slack), np.searchsorted(ordered, edges + slack, side="right")
    return bool(below[-1] == len(values) and (least <= below[:-1]).all() and (below[:-1] <= most).all())
