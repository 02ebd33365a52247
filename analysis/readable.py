"""Features of a store that a stranger can read at once, chosen by rules over its tables: a word, a meaning, a topic."""

from typing import NamedTuple

import pandas as pd

from loaders.store import Store
from loaders.tables import GroupedTable

LEAST_FIRINGS = 200  # of a feature: with fewer a share means little
LEAST_OF_WORD = 20  # firing samples with a word that counts for a meaning
WORD = r"[^\W\d_]{3,}"


class WordFeature(NamedTuple):
    """A feature for one word: it fires on `n` of `total` samples with it, and they are `precision` of its firings."""

    feature: int
    word: str
    n: int
    total: int
    precision: float


class MeaningFeature(NamedTuple):
    """A feature for several words: on most samples with each it fires, together they are the share `coverage` of its firings."""

    feature: int
    words: list[str]
    coverage: float


class TopicFeature(NamedTuple):
    """A feature for one category of `column`, whatever the word: `share` of its `n` firings, where `base` of all samples are."""

    feature: int
    column: str
    category: str
    n: int
    share: float
    base: float
    tokens: int  # different ones among its best


def word_feature(store: Store) -> WordFeature | None:
    """The feature with the largest F1 of "fires" as a test for "the token is this word"; None where none fires enough."""
    rows = _tokens(store)
    rows = rows[(rows["n"] >= LEAST_FIRINGS / 2) & rows["token"].str.fullmatch(WORD)]
    if rows.empty:
        return None
    f1 = 2 * rows["share"] * rows["rate"] / (rows["share"] + rows["rate"])
    best = rows.iloc[int(f1.to_numpy().argmax())]
    total = round(best["n"] / best["rate"])
    return WordFeature(int(best["feature_id"]), str(best["token"]), int(best["n"]), total, float(best["share"]))


def meaning_feature(store: Store) -> MeaningFeature | None:
    """The feature whose firings are most evenly those of three or more words: coverage x (1 - share of the commonest).

    A word counts where the feature fires on at least half of its samples.
    """
    rows = _tokens(store)
    rows = rows[
        (rows["rate"] >= 0.5)
        & (rows["n"] >= LEAST_OF_WORD)
        & (rows["firings"] >= LEAST_FIRINGS)
        & rows["token"].str.fullmatch(WORD)
    ]
    groups = rows.groupby("feature_id")
    found = pd.DataFrame({"words": groups["token"].nunique(), "all": groups["n"].sum(), "most": groups["n"].max()})
    found["coverage"] = found["all"] / groups["firings"].first()
    found = found[found["words"] >= 3]
    if found.empty:
        return None
    best = int((found["coverage"] * (1 - found["most"] / found["all"])).to_numpy().argmax())
    feature = int(found.index.to_numpy()[best])
    words = rows[rows["feature_id"] == feature].sort_values("n", ascending=False)["token"]
    return MeaningFeature(feature, words.tolist(), float(found["coverage"].to_numpy()[best]))


def topic_feature(store: Store) -> TopicFeature | None:
    """The feature with the largest share of its firings in one category, among those that no single token explains.

    No token may be 15 % of the firings, the category not 30 % of the samples. Over the first metadata column.
    """
    columns = store.dataset.category_columns()
    if not columns or not store.has("breakdowns"):
        return None
    tokens = _tokens(store)
    groups = tokens.groupby("feature_id")
    facts = pd.DataFrame({"firings": groups["firings"].first(), "most": groups["share"].max(), "tokens": groups.size()})
    rows = GroupedTable(store.directory, "breakdowns").read_all().to_pandas()
    rows = rows[rows["column"] == columns[0]].join(facts, on="feature_id", how="inner")
    rows["base"], rows["part"] = rows["samples"] / store.samples, rows["n"] / rows["firings"]
    rows = rows[(rows["firings"] >= LEAST_FIRINGS) & (rows["most"] < 0.15) & (rows["base"] < 0.3)]
    if rows.empty:
        return None
    best = rows.iloc[int(rows["part"].to_numpy().argmax())]
    return TopicFeature(
        int(best["feature_id"]),
        columns[0],
        str(best["category"]),
        int(best["firings"]),
        float(best["part"]),
        float(best["base"]),
        int(best["tokens"]),
    )


def _tokens(store: Store) -> pd.DataFrame:
    """The table `tokens` with each token's text, the feature's firing samples, and the share of them with the token."""
    rows = GroupedTable(store.directory, "tokens").read_all().to_pandas()
    vocab = store.dataset.vocab
    rows["token"] = [vocab[token_id] for token_id in rows["token_id"]]
    rows["firings"] = store.stats()["n"].to_numpy()[rows["feature_id"]]
    rows["share"] = rows["n"] / rows["firings"]
    return rows
