"""The table of nearest features: decoder cosine beside co-activation, with the disagreements of the two flagged."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from dashboard.components.numbers import count, figures, percent
from dashboard.components.table import Column, number, table_data

ALIKE, UNLIKE = 0.4, 0.1
"""From `ALIKE` on a measure calls two features near, up to `UNLIKE` it does not; between the two it says nothing."""

COLUMNS = (
    Column("feature", "feature", "The neighbour, its label or else its strongest tokens"),
    Column("cosine", "number", "Cosine of the two decoder rows: do both write in the same direction?"),
    Column("Pearson", "number", "Correlation of the two activations over all samples, zeros included"),
    Column("Jaccard", "number", "Samples on which both fire / samples on which either fires"),
    Column("PMI", "number", "log2 of how much more often both fire together than independent features would"),
    Column(
        "P(it | this)", "number", "Sufficiency: share of this feature's firing samples on which the neighbour fires too"
    ),
    Column("", "flag", "Where decoder and co-activation disagree"),
)


def disagreement(cosine: float, pearson: float, both: int) -> tuple[str, str] | None:
    """A short flag and its sentence where decoder direction and co-activation disagree, or None."""
    if cosine >= ALIKE and both == 0:
        return "never together", f"Similar directions (cosine {figures(cosine)}), yet the two never fire together."
    if cosine >= ALIKE and pearson <= UNLIKE:
        return "seldom together", f"Similar directions (cosine {figures(cosine)}), yet Pearson is {figures(pearson)}."
    if pearson >= ALIKE and cosine <= UNLIKE:
        return "other direction", f"They fire together (Pearson {figures(pearson)}), yet cosine is {figures(cosine)}."
    return None


def _decimals(value: float, digits: int) -> str:
    """Decimals in place of significant digits: measures with one common scale are compared down a column."""
    if not math.isfinite(value):
        return figures(value)
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def neighbour_table(
    rows: pd.DataFrame, *, names: Mapping[int, str], tokens: Mapping[int, list[str]], link: Callable[[int], str]
) -> dict[str, Any]:
    """Table data of schema.NEIGHBOURS rows; `names` are labels, `tokens` the strongest tokens, by feature id."""
    shown = []
    for row in rows.itertuples():
        neighbour, flag = int(row.neighbour), disagreement(row.cosine, row.pearson, row.both)
        shown.append(
            [
                {
                    "href": link(neighbour),
                    "id": neighbour,
                    "name": names.get(neighbour, ""),
                    "tokens": tokens.get(neighbour, []),
                },
                number(row.cosine, _decimals(row.cosine, 3)),
                number(row.pearson, _decimals(row.pearson, 3)),
                number(row.jaccard, _decimals(row.jaccard, 3)),
                {
                    "value": max(row.pmi, -1e9),
                    "text": _decimals(row.pmi, 2),
                    "title": f"together on {count(row.both)} samples",
                },
                number(row.sufficiency, percent(row.sufficiency)),
                {"text": flag[0], "title": flag[1]} if flag else "",
            ]
        )
    return table_data(COLUMNS, shown, sorted_by=2, empty="No neighbours are recorded for this feature.")
