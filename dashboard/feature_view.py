"""What a reader may choose on a Feature page, as it stands in the URL: `View.read(query)` and back by `query()`."""

from typing import NamedTuple

BANDS: dict[str, tuple[float, float] | None] = {  # quantiles over the firing samples; None: the strongest contexts
    "0-20": (0.0, 0.2),
    "20-40": (0.2, 0.4),
    "40-60": (0.4, 0.6),
    "60-80": (0.6, 0.8),
    "80-99": (0.8, 0.99),
    "top": None,
}
RANKINGS = {"tfidf": "tf-idf", "n": "count", "mean": "mean", "lift": "lift"}


class View(NamedTuple):
    """The choices; the defaults leave no trace in the URL."""

    scale: str = "linear"  # of the histogram's counts: linear or log
    text: str = "snippet"  # of the examples: snippet or whole
    band: str = "40-60"  # a key of BANDS
    rank: str = "tfidf"  # a key of RANKINGS
    unit: str = "token"  # token or bigram
    column: str = ""  # metadata column of the categories; empty: the first

    @classmethod
    def read(cls, query: dict[str, str], columns: list[str]) -> "View":
        """Take what is known from a URL's query; everything else falls back to its default."""
        known = {
            "scale": ("linear", "log"),
            "text": ("snippet", "whole"),
            "band": tuple(BANDS),
            "rank": tuple(RANKINGS),
            "unit": ("token", "bigram"),
            "column": tuple(columns),
        }
        return cls(**{name: query[name] for name, values in known.items() if query.get(name) in values})

    def query(self) -> dict[str, str]:
        """The choices that differ from the defaults, as query parameters."""
        return {name: value for name, value in self._asdict().items() if value != self._field_defaults[name]}
