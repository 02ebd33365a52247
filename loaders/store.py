"""A store answers the domain's questions about one SAE over one dataset, each exactly, from any loader."""

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from loaders import mirror, remote
from loaders.backends import open_loader
from loaders.dataset import Dataset
from loaders.errors import BadInput, FeatureNotFound, StoreDamaged
from loaders.examples import Example, Examples, draw_band, make_example, strongest_contexts
from loaders.manifest import check_files, read_manifest
from loaders.protocol import ActivationLoader, FeatureActivations
from loaders.rates import with_rates
from loaders.schema import BREAKDOWNS
from loaders.tables import GroupedTable, has_table, read_parquet_table
from loaders.token_ranking import TokenCounts, rank_bigrams, rank_tokens

ELSEWHERE = {mirror.POINTER: mirror.ELSEWHERE, remote.POINTER: remote.ELSEWHERE}
"""Files that a store need not hold itself, by the file that says where they are."""


class Histogram(NamedTuple):
    """`edges` f64 [bins + 1] over the non-zero values, `counts` i64 [bins], `zeros`: samples without activation."""

    edges: np.ndarray
    counts: np.ndarray
    zeros: int


class Influences(NamedTuple):
    """`rows`: token, token_id, value, descending; `kind`: 'logits' or 'nearest input tokens'."""

    kind: str
    rows: pd.DataFrame


class Context(NamedTuple):
    """One context: token strings, exact text pieces per token, text and metadata."""

    tokens: list[str]
    pieces: list[str]
    text: str
    metadata: dict[str, Any]


class Store:
    """One SAE's activations over one dataset, with the tables computed from them."""

    def __init__(self, directory: Path, manifest: dict[str, Any], dataset: Dataset, loader: ActivationLoader) -> None:
        self.directory, self.manifest, self.dataset, self.loader = directory, manifest, dataset, loader
        self.id: str = manifest["id"]
        self.samples: int = manifest["samples"]
        self.features: int = manifest["features"]
        self.sae_id: str = manifest["sae"]
        self.set_id: str | None = manifest.get("set")
        self.hook: str = manifest["hook"]
        self.fingerprint: str = manifest["fingerprints"]["store"]
        self.sae_fingerprint: str = manifest["fingerprints"]["sae"]
        self._grouped = lru_cache(maxsize=8)(lambda name: GroupedTable(directory, name))

    @classmethod
    def open(cls, directory: Path, datasets: Path, loader: str | None = None) -> "Store":
        """Open a published store and its dataset; `loader` names a backend, by default the best that is there.

        Raises StoreNotFound, or StoreDamaged when a file is missing or altered or the dataset was swapped.
        """
        manifest = read_manifest(directory, "store")
        elsewhere = next((files for pointer, files in ELSEWHERE.items() if (directory / pointer).exists()), ())
        check_files(directory, manifest, elsewhere=elsewhere)
        dataset = Dataset.open(datasets / Path(manifest["dataset"]).name)  # a manifest leads nowhere else
        if dataset.fingerprint != manifest["fingerprints"]["dataset"]:
            raise StoreDamaged(
                f"Store '{manifest['id']}' was made from another version of dataset '{dataset.id}'. Harvest it again."
            )
        return cls(directory, manifest, dataset, open_loader(directory, loader))

    def has(self, table: str) -> bool:
        return has_table(self.directory, table)

    @property
    def generation(self) -> int:
        return int(self.manifest["generation"])

    def stats(self) -> pd.DataFrame:
        """One row per feature, columns of schema.STATS."""
        return read_parquet_table(self.directory, "stats").to_pandas()

    def feature(self, feature_id: int) -> dict[str, Any]:
        """The statistics of one feature, computed from its activations, and `is_dead`."""
        values = self.activations(feature_id).activations.astype(np.float64)
        n = len(values)
        quartiles = np.quantile(values, [0.25, 0.5, 0.75]) if n else np.zeros(3)
        return {
            "feature_id": feature_id,
            "n": n,
            "density": n / self.samples if self.samples else 0.0,
            "sum": float(values.sum()),
            "mean": float(values.mean()) if n else 0.0,
            "std": float(values.std()) if n else 0.0,
            "min": float(values.min()) if n else 0.0,
            "max": float(values.max()) if n else 0.0,
            "q25": float(quartiles[0]),
            "q50": float(quartiles[1]),
            "q75": float(quartiles[2]),
            "is_dead": n == 0,
        }

    def activations(self, feature_id: int) -> FeatureActivations:
        """All non-zero activations; raises FeatureNotFound."""
        return self.loader.load(self._checked(feature_id))

    def _checked(self, feature_id: int) -> int:
        if not 0 <= feature_id < self.features:
            raise FeatureNotFound(feature_id, self.features, f"store '{self.id}'")
        return feature_id

    def histogram(self, feature_id: int, bins: int = 50) -> Histogram:
        """Exact counts of the non-zero values in `bins` equal bins over [0, max]; a dead feature has no counts."""
        values = self.activations(feature_id).activations
        top = float(values.max()) if len(values) else 1.0
        counts, edges = np.histogram(values, bins=bins, range=(0.0, top))
        return Histogram(edges, counts, self.samples - len(values))

    def examples(
        self, feature_id: int, n: int = 20, interval: tuple[float, float] | None = None, seed: int = 0
    ) -> Examples:
        """The `n` strongest contexts, or `n` firing samples drawn from a band of population quantiles."""
        found = self.activations(feature_id)
        if interval is None:
            return self._show(found, strongest_contexts(found, self.dataset, n))
        return self._show(found, draw_band(found, self.dataset, n, interval, seed))

    def _show(self, found: FeatureActivations, chosen: Examples) -> Examples:
        samples = np.array([example.sample for example in chosen.items], dtype=np.int64)
        contexts, _ = self.dataset.locate(samples)
        rows = self.dataset.metadata(contexts)
        items = [make_example(found, self.dataset, sample, row) for sample, row in zip(samples, rows, strict=True)]
        return chosen._replace(items=items)

    def example(self, feature_id: int, sample: int) -> Example:
        """One sample in its context, with this feature's activations; raises BadInput for a sample out of range."""
        self._require_range("Sample", sample, self.samples)
        found = self.activations(feature_id)
        contexts, _ = self.dataset.locate(np.array([sample]))
        return make_example(found, self.dataset, sample, self.dataset.metadata(contexts)[0])

    def _require_range(self, what: str, index: int, count: int) -> None:
        if not 0 <= index < count:
            raise BadInput(f"{what} {index} does not exist: store '{self.id}' has 0 to {count - 1}.")

    @cached_property
    def _token_counts(self) -> TokenCounts:
        idf = read_parquet_table(self.directory, "idf")
        return TokenCounts.from_table(idf, len(self.dataset.vocab), self.samples, self.dataset.contexts)

    def top_tokens(self, feature_id: int, n: int = 20, by: str = "tfidf", bigrams: bool = False) -> pd.DataFrame:
        """Tokens (or bigrams) on which the feature fires, best first: columns of schema.TOKENS and the token's text."""
        rank = rank_bigrams if bigrams else rank_tokens
        return rank(self.activations(feature_id), self.dataset, self._token_counts, n, by)

    def breakdown(self, feature_id: int, column: str) -> pd.DataFrame:
        """Firing rate (Wilson 95 % interval) and mean by metadata category, zeros included."""
        if self.has("breakdowns"):
            rows = self._grouped("breakdowns").rows(self._checked(feature_id)).to_pandas()
            rows = rows[rows["column"] == column]
            frame = rows.drop(columns=["feature_id", "column"]).reset_index(drop=True)
        else:
            frame = self._live_breakdown(feature_id, column)
        return with_rates(frame)

    def _live_breakdown(self, feature_id: int, column: str) -> pd.DataFrame:
        codes, categories = self.dataset.column(column)
        found = self.activations(feature_id)
        contexts, _ = self.dataset.locate(found.indices)
        where, size = codes[contexts], len(categories)
        values = found.activations.astype(np.float64)
        frame = pd.DataFrame(
            {
                "category": categories,
                "samples": np.bincount(codes, np.diff(self.dataset.sample_offsets), size).astype(np.int64),
                "n": np.bincount(where, minlength=size),
                "sum": np.bincount(where, values, size),
                "sum_squares": np.bincount(where, values**2, size),
            }
        )
        return frame[[field.name for field in BREAKDOWNS if field.name in frame]]

    def influences(self, feature_id: int) -> Influences:
        """Output tokens that the feature promotes and suppresses, or the nearest input tokens of an encoder."""
        table = self._grouped("influences")
        rows = table.rows(self._checked(feature_id)).to_pandas().drop(columns="feature_id")
        rows.insert(0, "token", [self.dataset.vocab[i] for i in rows["token_id"]])
        return Influences(table.metadata.get("kind", "logits"), rows)

    def neighbours(self, feature_id: int) -> pd.DataFrame:
        """Columns of schema.NEIGHBOURS, by Pearson descending; raises TableMissing while not computed."""
        return self._grouped("neighbours").rows(self._checked(feature_id)).to_pandas().drop(columns="feature_id")

    def top_token_names(self, n: int = 3) -> list[list[str]]:
        """The `n` strongest tokens of every feature by tf-idf, from the `tokens` table; [] for a dead feature."""
        table = self._grouped("tokens").read_all()
        ids, features = table["token_id"].to_numpy(), table["feature_id"].to_numpy()
        starts = np.searchsorted(features, np.arange(self.features + 1))
        return [
            [self.dataset.vocab[i] for i in ids[start : min(start + n, stop)]]
            for start, stop in zip(starts[:-1], starts[1:], strict=True)
        ]

    def context(self, index: int) -> Context:
        """One whole context; raises BadInput for an index out of range."""
        self._require_range("Context", index, self.dataset.contexts)
        row = self.dataset.metadata(np.array([index]))[0]
        text = str(row.pop("text"))
        start, stop = int(self.dataset.offsets[index]), int(self.dataset.offsets[index + 1])
        tokens = [self.dataset.vocab[i] for i in self.dataset.tokens[start:stop]]
        return Context(tokens, self.dataset.pieces(index, text), text, row)
