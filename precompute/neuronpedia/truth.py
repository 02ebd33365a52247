"""Compares rows with the store, its decoder and its model: what a row claims, recomputed."""

from typing import Any

import numpy as np

from analysis.neuronpedia import context_values, similarity
from catalog.dictionary.neuronpedia import index_of
from loaders.examples import strongest_contexts
from loaders.protocol import FeatureActivations
from loaders.store import Store
from precompute.neuronpedia.checks import CLOSE, DECIMALS, Floats, heights_agree, is_top, numbers
from precompute.neuronpedia.directions import Directions
from precompute.neuronpedia.files import Row
from precompute.neuronpedia.logits import Recomputed
from precompute.neuronpedia.rows import context_tokens

COSINE = 1e-5
LOGIT = 1e-4


class Truth:
    """One store; `directions` and `head` are None where weights or the model are not here."""

    def __init__(self, store: Store, directions: Directions | None, head: Recomputed | None, is_exact: bool) -> None:
        self.store, self.directions, self.head = store, directions, head
        self._is_exact = is_exact
        self._measure = COSINE if is_exact else DECIMALS  # of cosines and correlations
        self._last: tuple[int, FeatureActivations] | None = None

    def activations(self, feature: int) -> FeatureActivations:
        """The feature's activations; the last feature's are kept, as rows of one feature follow each other."""
        if self._last is None or self._last[0] != feature:
            self._last = feature, self.store.activations(feature)
        return self._last[1]

    def check_activations(self, rows: list[Row]) -> list[tuple[Row, str]]:
        """Rows whose tokens, values or share are not the store's; rows that name no context of it are left alone."""
        named = {row.line: self._context(row.fields) for row in rows}
        contexts = sorted({context for context in named.values() if context is not None})
        texts = self.store.dataset.metadata(np.array(contexts, dtype=np.int64))
        text_of = {context: str(text["text"]) for context, text in zip(contexts, texts, strict=True)}
        found = []
        for row in rows:
            context = named[row.line]
            if context is not None:
                found += [(row, what) for what in self._check_context(row.fields, context, text_of[context])]
            found += [(row, what) for what in self._check_share(row.fields)]
        return found

    def _context(self, fields: dict[str, Any]) -> int | None:
        stated = fields.get("dataIndex")
        if fields.get("dataSource") != self.store.dataset.id or not isinstance(stated, str):
            return None
        is_one = stated.isascii() and stated.isdigit() and len(stated) < 12
        return int(stated) if is_one and int(stated) < self.store.dataset.contexts else None

    def _check_context(self, fields: dict[str, Any], context: int, text: str) -> list[str]:
        feature = index_of(fields)
        assert feature is not None
        if fields["tokens"] != context_tokens(self.store.dataset, context, text):
            return [f"tokens are not those of context {context}"]
        true = context_values(self.activations(feature), self.store.dataset, context)
        values = np.array(fields["values"], dtype=np.float64)
        if wrong := np.flatnonzero(np.abs(values - true) > self._slack(float(true.max()))).tolist():
            return [
                f"values[{wrong[0]}] is {values[wrong[0]]:.9g}; the store has {true[wrong[0]]:.9g} in context {context}"
            ]
        return []

    def _check_share(self, fields: dict[str, Any]) -> list[str]:
        feature = index_of(fields)
        if is_top(fields) or feature is None:
            return []
        values, samples, stated = (
            np.sort(self.activations(feature).activations),
            self.store.samples,
            fields["binContains"],
        )
        low, high, slack = fields["binMin"], fields["binMax"], self._slack(fields["binMax"])
        is_last = not len(values) or high >= values[-1] - slack
        zeros = samples - len(values) if low <= 0 else 0

        def count(low: float, high: float) -> int:
            last = len(values) if is_last else int(np.searchsorted(values, high))
            return zeros + max(last - int(np.searchsorted(values, low)), 0)

        least, most = count(low + slack, high - slack) / samples, count(low - slack, high + slack) / samples
        if not least - CLOSE <= stated <= most + CLOSE:
            return [
                f"binContains is {stated:.6g}; {count(low, high) / samples:.6g} of the store's samples lie in the bin"
            ]
        return []

    def _slack(self, size: float) -> float:
        """How far a value near `size` may be off: Loupe writes float32 exactly, SAEDashboard three decimals."""
        return 1e-6 * max(abs(size), 1e-9) if self._is_exact else DECIMALS + CLOSE * abs(size)

    def check_top(
        self, feature: int, tops: list[tuple[float, str, int]], asked: int | None
    ) -> list[tuple[str, int, str]]:
        """Whether the strongest contexts shown (value, file, line) are the store's strongest; `asked`: how many there
        should be, None where the bundle does not say. Another tool's are the strongest tokens, some of one context."""
        found = self.activations(feature)
        best = strongest_contexts(found, self.store.dataset, max(asked or 0, len(tops)))
        true = [example.value for example in best.items]
        shown = sorted(tops, reverse=True)
        wrong = self._first_wrong(shown, true)
        if wrong is not None and not self._is_exact:
            true = np.sort(found.activations)[::-1][: len(tops)].tolist()
            wrong = self._first_wrong(shown, true)
        if wrong is not None:
            value, file, line = shown[wrong]
            said = f"the store's is {true[wrong]:.9g}" if wrong < len(true) else f"the store has {len(true)}"
            return [(file, line, f"feature {feature}: top activation {wrong + 1} is {value:.9g}; {said}")]
        if asked is not None and len(shown) < len(true):
            return [("activations", 0, f"feature {feature}: {len(shown)} of its {len(true)} top activations are there")]
        return []

    def _first_wrong(self, shown: list[tuple[float, str, int]], true: list[float]) -> int | None:
        """The first place at which a value shown is not the true one."""
        for place, (value, _, _) in enumerate(shown):
            if place >= len(true) or abs(value - true[place]) > self._slack(true[place]):
                return place
        return None

    def check_feature(self, fields: dict[str, Any], feature: int) -> list[str]:
        """Counts, histogram, maximum, vector, cosines, correlations and logits of one feature's row, recomputed."""
        values = self.activations(feature).activations.astype(np.float64)
        found, samples = [], self.store.samples
        true = len(values) / samples if samples else 0.0
        if abs(fields["frac_nonzero"] - true) > (1e-9 if self._is_exact else 1e-5):
            found.append(f"frac_nonzero is {fields['frac_nonzero']:.6g}; it fires on {true:.6g} of the store's samples")
        heights, centres = (_floats(fields, f"freq_hist_data_bar_{what}") for what in ("heights", "values"))
        top = float(values.max()) if len(values) else 0.0
        if not heights_agree(values, heights, centres, self._slack(top)):
            found.append("freq_hist_data does not count the store's activations")
        stated = fields.get("maxActApprox")
        if stated is not None and abs(stated - top) > self._slack(top):
            found.append(f"maxActApprox is {stated:.9g}; the store's maximum is {top:.9g}")
        return (
            found
            + self._check_directions(fields, feature)
            + self._check_alike(fields, feature)
            + self._check_logits(fields, feature)
        )

    def _check_directions(self, fields: dict[str, Any], feature: int) -> list[str]:
        if self.directions is None:
            return []
        found, vector = [], _floats(fields, "vector")
        row = self.directions.decoder[feature].astype(np.float64)
        if len(vector) and (
            len(vector) != len(row) or np.abs(vector - row).max() > COSINE * max(np.abs(row).max(), 1e-9)
        ):
            found.append("vector is not the feature's decoder row")
        others = [int(i) for i in _floats(fields, "topkCosSimIndices")]
        if not others:
            return found
        if wrong := [i for i in others if not 0 <= i < self.store.features]:
            return [*found, f"topkCosSimIndices holds {wrong[0]}, which is no feature"]
        stated, true = _floats(fields, "topkCosSimValues"), self.directions.cosine(feature, others)
        best = self.directions.nearest(feature, feature + 1, len(others))[1][0]
        for place, other in enumerate(others):
            if abs(stated[place] - true[place]) > self._measure:
                what = f"topkCosSimValues[{place}] is {stated[place]:.6g}; the cosine with feature {other} is {true[place]:.6g}"
                return [*found, what]
        if (
            feature not in others
            and len(best) == len(others)
            and np.abs(np.sort(true)[::-1] - best).max() > self._measure
        ):
            found.append("topkCosSimIndices are not the features with the largest cosines")
        return found

    def _check_alike(self, fields: dict[str, Any], feature: int) -> list[str]:
        others = [int(i) for i in _floats(fields, "correlated_features_indices")]
        found = self.activations(feature)
        for place, other in enumerate(others):
            if not 0 <= other < self.store.features:
                return [f"correlated_features_indices holds {other}, which is no feature"]
            true = similarity(found, self.store.activations(other), self.store.samples)
            pairs = (("pearson", true.pearson), ("l1", true.cosine))
            for name, value in pairs:
                stated = _floats(fields, f"correlated_features_{name}")
                if len(stated) and abs(stated[place] - value) > self._measure:
                    return [
                        f"correlated_features_{name}[{place}] is {stated[place]:.6g}; with feature {other} it is {value:.6g}"
                    ]
        return []

    def _check_logits(self, fields: dict[str, Any], feature: int) -> list[str]:
        if self.head is None:
            return []
        logits = self.head.logits(feature, feature + 1)[0].astype(np.float64)
        ordered, slack, found = np.sort(logits), LOGIT * float(np.abs(logits).max()), []
        if not self._is_exact:  # TransformerLens may centre the unembedding: all logits move alike
            ends = [(_floats(fields, "pos_values"), ordered[::-1]), (_floats(fields, "neg_values"), ordered)]
            moved = np.concatenate([true[: len(stated)] - stated[: len(true)] for stated, true in ends])
            shift = float(np.median(moved)) if len(moved) else 0.0
            logits, ordered, slack = logits - shift, ordered - shift, slack + 2 * DECIMALS
        for sign, name in ((-1, "pos"), (1, "neg")):
            stated, tokens = _floats(fields, f"{name}_values"), fields.get(f"{name}_str") or []
            true = ordered[::sign][: len(stated)]
            if len(true) < len(stated) or np.abs(stated - true).max(initial=0) > slack:
                at = int(np.argmax(np.abs(stated[: len(true)] - true)))
                found.append(f"{name}_values[{at}] is {stated[at]:.6g}; recomputed it is {true[at]:.6g}")
                continue
            for place, token in enumerate(tokens):
                may_be = {self.head.vocabulary[i] for i in np.flatnonzero(np.abs(logits - true[place]) <= slack)}
                if token not in may_be:
                    found.append(f"{name}_str[{place}] is {token[:40]!r}; recomputed it is {min(may_be)[:40]!r}")
                    break
        heights, centres = (_floats(fields, f"logits_hist_data_bar_{what}") for what in ("heights", "values"))
        if len(centres) and not heights_agree(logits, heights, centres, slack):
            found.append(f"logits_hist_data does not count the logits of {len(logits):,} tokens")
        return found


def _floats(fields: dict[str, Any], name: str) -> Floats:
    found = numbers(fields.get(name) or [])
    return np.empty(0) if found is None else found
