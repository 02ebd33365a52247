"""Column names and dtypes of every table on disk; writers cast to them, readers rely on them."""

import pyarrow as pa

SCHEMA_VERSION = 1

# One row per feature, Parquet, ordered by feature_id ------------------------------------------------------------
STATS = pa.schema(
    [
        ("feature_id", pa.uint32()),
        ("n", pa.int64()),  # samples on which the feature fires
        ("density", pa.float64()),  # n / samples
        ("sum", pa.float64()),  # sum of its activations
        ("mean", pa.float64()),  # mean over firing samples; 0 when dead
        ("std", pa.float64()),  # population standard deviation over firing samples
        ("min", pa.float32()),  # smallest and largest non-zero activation; 0 when dead
        ("max", pa.float32()),
        ("q25", pa.float32()),  # quartiles over firing samples (numpy 'linear')
        ("q50", pa.float32()),
        ("q75", pa.float32()),
    ]
)
HISTOGRAM_BINS = 24
HISTOGRAMS = pa.schema(  # the Explorer's sparkline: equal bins over [0, max] of the feature, non-zero values only
    [("feature_id", pa.uint32()), ("max", pa.float32()), ("counts", pa.list_(pa.int32(), HISTOGRAM_BINS))]
)
MAP = pa.schema([("feature_id", pa.uint32()), ("x", pa.float32()), ("y", pa.float32())])

# One row per token of the vocabulary that occurs, Parquet, ordered by token_id ----------------------------------
IDF = pa.schema(
    [
        ("token_id", pa.uint32()),
        ("count", pa.int64()),  # samples with this token
        ("df", pa.int64()),  # contexts that hold it
        ("idf", pa.float64()),  # log((contexts + 1) / (df + 1))
    ]
)

# Several rows per feature, Arrow IPC, sorted by feature_id, `<name>.offsets.npy` i64 [features + 1] beside it ----
TOKENS = pa.schema(  # cache (recomputable): the strongest tokens of a feature by tf-idf, best first
    [
        ("feature_id", pa.uint32()),
        ("token_id", pa.uint32()),
        ("n", pa.int64()),  # firing samples with this token
        ("mean", pa.float32()),  # mean activation over those
        ("tfidf", pa.float32()),  # n * idf(token)
        ("lift", pa.float32()),  # P(token | fires) / P(token)
        ("rate", pa.float32()),  # P(fires | token) = n / count(token)
    ]
)
BREAKDOWNS = pa.schema(  # cache: one row per feature, metadata column and category; zeros included in mean_all
    [
        ("feature_id", pa.uint32()),
        ("column", pa.dictionary(pa.int8(), pa.string())),
        ("category", pa.dictionary(pa.int32(), pa.string())),
        ("samples", pa.int64()),  # samples in the category
        ("n", pa.int64()),  # of which firing
        ("sum", pa.float64()),  # sum of activations
        ("sum_squares", pa.float64()),
    ]
)
INFLUENCES = pa.schema(  # value: direct-path logit, or cosine to the input embedding (`kind` in the schema metadata)
    [
        ("feature_id", pa.uint32()),
        ("token_id", pa.uint32()),
        ("value", pa.float32()),  # descending within a feature: the first k promote, the last k suppress
    ]
)
NEIGHBOURS = pa.schema(  # union of the k nearest by decoder cosine and the k nearest by Pearson, by Pearson descending
    [
        ("feature_id", pa.uint32()),
        ("neighbour", pa.uint32()),
        ("cosine", pa.float32()),  # of decoder rows
        ("pearson", pa.float32()),  # of activations over all samples, zeros included
        ("both", pa.int64()),  # samples on which both fire
        ("jaccard", pa.float32()),
        ("pmi", pa.float32()),  # log2(P(a, b) / (P(a) P(b))); -inf where they never fire together
        ("sufficiency", pa.float32()),  # P(neighbour | feature)
        ("necessity", pa.float32()),  # P(feature | neighbour)
    ]
)

# Cross-layer matching, Parquet, `matches_<i>_<j>.parquet` for members i < j of a set -----------------------------
MATCHES = pa.schema(  # one row per feature pair in which either is the other's best partner
    [
        ("source", pa.uint32()),  # feature of the earlier layer
        ("target", pa.uint32()),  # feature of the later layer
        ("pearson", pa.float32()),
        ("cosine", pa.float32()),  # null where the layers share no basis
        ("both", pa.int64()),
        ("jaccard", pa.float32()),
        ("sufficiency", pa.float32()),  # P(target | source)
        ("necessity", pa.float32()),  # P(source | target)
        ("is_best_target", pa.bool_()),  # target is the source's best partner
        ("is_best_source", pa.bool_()),  # source is the target's best partner
        ("is_linked", pa.bool_()),  # pearson above the pair's threshold (null or floor)
    ]
)
FATES = ("persist", "split", "merge", "death", "birth")
FLOWS = pa.schema(  # `flows_<i>_<j>.parquet`: the fate of every living feature on either side
    [
        (
            "side",
            pa.dictionary(pa.int8(), pa.string()),
        ),  # source: earlier layer (never birth); target: later (never death)
        ("feature_id", pa.uint32()),
        ("fate", pa.dictionary(pa.int8(), pa.string())),
        ("partner", pa.int64()),  # best partner, linked or not; -1 where there is none
        ("pearson", pa.float32()),  # with that partner
    ]
)

PARQUET_TABLES = {"stats": STATS, "histograms": HISTOGRAMS, "map": MAP, "idf": IDF}
GROUPED_TABLES = {"tokens": TOKENS, "breakdowns": BREAKDOWNS, "influences": INFLUENCES, "neighbours": NEIGHBOURS}
