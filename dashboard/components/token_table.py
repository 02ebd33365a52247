"""The table of tokens or bigrams on which a feature fires."""

from typing import Any

import pandas as pd

from dashboard.components.numbers import count, figures, percent
from dashboard.components.table import Column, number, table_data

COLUMNS = (
    Column("count", "number", "Firing samples with this token"),
    Column("mean", "number", "Mean activation over those samples"),
    Column("tf-idf", "number", "count x idf, idf = log((contexts + 1) / (contexts with the token + 1))"),
    Column(
        "lift", "number", "How much likelier the feature fires on this token than on any: P(fires | token) / P(fires)"
    ),
    Column("fires on", "number", "Share of all samples with this token on which the feature fires"),
)
MEASURES = ("n", "mean", "tfidf", "lift")


def token_table(rows: pd.DataFrame, names: list[list[str]], by: str) -> dict[str, Any]:
    """Table data of `Store.top_tokens` rows, which come ranked by `by` (one of MEASURES).

    `names` are each row's tokens: one, or the two of a bigram.
    """
    title = "tokens" if names and len(names[0]) > 1 else "token"
    first = Column(title, "token", "As the tokenizer writes it; ␣ ⏎ ⇥ are whitespace")
    shown = [
        [
            name,
            number(row.n, count(row.n)),
            number(row.mean, figures(row.mean)),
            number(row.tfidf, figures(row.tfidf)),
            number(row.lift, figures(row.lift)),
            number(row.rate, percent(row.rate)),
        ]
        for row, name in zip(rows.itertuples(), names, strict=True)
    ]
    empty = "The feature never fires, so it has no tokens."
    return table_data((first, *COLUMNS), shown, sorted_by=1 + MEASURES.index(by), empty=empty)
