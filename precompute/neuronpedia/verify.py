"""Verify a bundle by its VALUES: every row by itself, rows against each other, and against the store and its model."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from catalog.dictionary.neuronpedia import index_of
from loaders.errors import BadInput
from loaders.manifest import file_sha256
from loaders.store import Store
from loaders.workspace import Workspace
from precompute.neuronpedia.checks import (
    CLOSE,
    DECIMALS,
    check_activation,
    check_explanation,
    check_feature,
    check_form,
    check_place,
    is_number,
    is_top,
    near,
)
from precompute.neuronpedia.directions import read_directions
from precompute.neuronpedia.files import CARDS, KINDS, BadLine, Bundle, Row
from precompute.neuronpedia.logits import Recomputed, read_head
from precompute.neuronpedia.truth import Truth
from precompute.progress import Progress

ROWS_AT_ONCE = 2048
MOST_NAMED = 5
MOST_WORDS = 400


class Problem(NamedTuple):
    """One thing that is wrong; `line` 0 stands for the whole file (or folder)."""

    file: str
    line: int
    problem: str


class Verification:
    """Goes over a bundle once; what later checks need of earlier rows is kept by feature."""

    def __init__(self, bundle: Bundle, truth: Truth | None, samples: int | None) -> None:
        self.bundle, self.truth, self.samples = bundle, truth, samples
        self.problems: list[Problem] = []
        self.rows = dict.fromkeys(KINDS, 0)
        self._ids: dict[str, set[int]] = {"activations": set(), "explanations": set()}
        self._maxima: dict[int, float] = {}
        self._tops: dict[int, list[tuple[float, str, int]]] = {}
        self._features: dict[int, tuple[str, int]] = {}

    def run(self, progress: Progress) -> None:
        """All checks, in the order in which later ones need earlier ones."""
        files = {kind: self.bundle.batches(kind) for kind in ("activations", "features", "explanations")}
        self._check_files()
        self._check_cards()
        checks = {
            "activations": self._check_activations,
            "features": self._check_features,
            "explanations": self._explain,
        }
        with progress.step("verify the bundle", sum(map(len, files.values())), "files") as bar:
            for kind, check in checks.items():
                for file in files[kind]:
                    for rows in self._read(kind, file):
                        check(rows)
                    bar.advance()
        self._check_completeness()
        if self.truth:
            for feature, tops in sorted(self._tops.items()):
                if feature < self.truth.store.features:
                    self._add(*self.truth.check_top(feature, tops, _asked(self.bundle.plan)))
        self.problems.sort(key=lambda found: (found.file, found.line))

    def _add(self, *found: tuple[str, int, str]) -> None:
        self.problems += [Problem(file, line, words[:MOST_WORDS]) for file, line, words in found]

    def _read(self, kind: str, file: str) -> Iterator[list[Row]]:
        """Rows that can be checked further, some thousand at a time."""
        rows = self.bundle.rows(file)
        while True:
            good: list[Row] = []
            taken = 0
            try:
                for row in islice(rows, ROWS_AT_ONCE):
                    taken += 1
                    self.rows[kind] += 1
                    wrong = check_place(kind, row.fields, self.bundle.model_id, self.bundle.source)
                    self._add(*((file, row.line, what) for what in wrong))
                    if index_of(row.fields) is not None and not any(what.startswith("has no") for what in wrong):
                        self._check_id(kind, row)
                        good.append(row)
            except BadLine as error:
                self._add((file, error.line, error.problem))
                taken = 0
            yield good
            if taken < ROWS_AT_ONCE:
                return

    def _check_id(self, kind: str, row: Row) -> None:
        if kind in self._ids:
            mark = hash(str(row.fields["id"]))
            if mark in self._ids[kind]:
                self._add((row.file, row.line, f"id {str(row.fields['id'])[:40]!r} is that of an earlier row"))
            self._ids[kind].add(mark)

    def _check_files(self) -> None:
        """Files against what the export noted of them."""
        listed = self.bundle.sidecar.get("files")
        if not isinstance(listed, dict):
            return
        there = {file for kind in KINDS for file in self.bundle.batches(kind)}
        there |= {f"{name}.jsonl" for name in CARDS if (self.bundle.directory / f"{name}.jsonl").is_file()}
        for name, facts in listed.items():
            if name not in there:
                self._add((name[:200], 0, "is missing"))
            elif not isinstance(facts, dict) or file_sha256(self.bundle.directory / name) != facts.get("sha256"):
                self._add((name, 0, "was altered after the export: its sha256 differs"))
        self._add(*((name, 0, "was not written by the export") for name in sorted(there - listed.keys())))

    def _check_cards(self) -> None:
        cards = self.bundle.cards
        self._add(*((f"{name}.jsonl", 0, "is missing or holds no row") for name in CARDS if not cards[name]))
        for (one, field), (other, key) in (
            (("source", "modelId"), ("model", "id")),
            (("source", "setName"), ("sourceset", "name")),
            (("sourceset", "modelId"), ("model", "id")),
            (("sourceset", "releaseName"), ("release", "name")),
        ):
            if cards[one] and cards[other] and cards[one].get(field) != cards[other].get(key):
                what = f"{field} is {cards[one].get(field)!r}; {other}.jsonl says {cards[other].get(key)!r}"
                self._add((f"{one}.jsonl", 1, what[:200]))

    def _check_activations(self, rows: list[Row]) -> None:
        sound, is_exact = [], bool(self.bundle.plan)
        for row in rows:
            wrong = check_activation(row.fields, is_exact)
            self._add(*((row.file, row.line, what) for what in wrong))
            feature, top = index_of(row.fields), row.fields["maxValue"]
            assert feature is not None
            if is_number(top):
                self._maxima[feature] = max(self._maxima.get(feature, 0.0), float(top))
                if is_top(row.fields):
                    place = row.fields.get("qualifyingTokenIndex")
                    by_token = not is_exact and not wrong and place is not None  # as SAEDashboard chooses them
                    value = row.fields["values"][place] if by_token else top
                    self._tops.setdefault(feature, []).append((float(value), row.file, row.line))
            if not wrong and (self.truth is None or feature < self.truth.store.features):
                sound.append(row)
        if self.truth:
            self._add(*((row.file, row.line, what) for row, what in self.truth.check_activations(sound)))

    def _check_features(self, rows: list[Row]) -> None:
        is_exact = bool(self.bundle.plan)
        for row in rows:
            feature = index_of(row.fields)
            assert feature is not None
            if feature in self._features:
                before = self._features[feature]
                self._add((row.file, row.line, f"feature {feature} is there already: line {before[1]} of {before[0]}"))
                continue
            self._features[feature] = row.file, row.line
            wrong = check_form(row.fields)
            if not wrong:
                wrong = self._check_feature(row.fields, feature, is_exact)
            self._add(*((row.file, row.line, what) for what in wrong))

    def _check_feature(self, fields: dict[str, Any], feature: int, is_exact: bool) -> list[str]:
        wrong = check_feature(fields, self.samples, is_exact)
        stated, seen = fields.get("maxActApprox"), self._maxima.get(feature)
        if is_number(stated) and seen is not None and not near(stated, seen, CLOSE if is_exact else 2 * DECIMALS):
            wrong.append(f"maxActApprox is {stated:.9g}; the largest maxValue of its activations is {seen:.9g}")
        if seen is None and fields["frac_nonzero"] and self.rows["activations"] and _asked(self.bundle.plan):
            wrong.append("fires, but has no activations")
        if self.truth is None:
            return wrong
        if feature >= self.truth.store.features:
            return [*wrong, f"feature {feature} is none of the store's {self.truth.store.features:,}"]
        return wrong + self.truth.check_feature(fields, feature)

    def _explain(self, rows: list[Row]) -> None:
        for row in rows:
            wrong = check_explanation(row.fields)
            if index_of(row.fields) not in self._features:
                wrong.append(f"feature {row.fields['index']} is not in the bundle")
            self._add(*((row.file, row.line, what) for what in wrong))

    def _check_completeness(self) -> None:
        """Every feature of the range is there; without a range, every one up to the largest."""
        plan = self.bundle.plan
        first, last = plan.get("first", 0), plan.get("last", max(self._features, default=-1))
        if not isinstance(first, int) or not isinstance(last, int) or not -1 <= last < 1 << 31:
            self._add(("loupe.json", 0, f"features {first!r} to {last!r} cannot be"))
            return
        count = last - max(first, 0) + 1 - sum(first <= feature <= last for feature in self._features)
        if count > 0:
            absent = (feature for feature in range(max(first, 0), last + 1) if feature not in self._features)
            named = ", ".join(map(str, islice(absent, MOST_NAMED)))
            more = f" and {count - MOST_NAMED:,} more" if count > MOST_NAMED else ""
            self._add(("features", 0, f"features {named}{more} are missing"))
        if not self._features:
            self._add(("features", 0, "there are no features"))
        strange = sorted(self._maxima.keys() - self._features.keys())
        if strange:
            self._add(("activations", 0, f"activations of feature {strange[0]} are there, the feature is not"))


def _asked(plan: dict[str, Any]) -> int | None:
    top = plan.get("top")
    return top if isinstance(top, int) else None


def verify(
    bundle: Bundle, workspace: Workspace | None, store: Store | None, model: str | None, progress: Progress
) -> dict[str, Any]:
    """What was found: `problems`, and what could not be checked. Raises BadInput for a store that is not the bundle's."""
    stated = bundle.plan.get("fingerprints")
    truth, left = None, []
    if store is None or workspace is None:
        left.append("values against the store (name it with --store)")
    else:
        if isinstance(stated, dict) and stated.get("store") != store.fingerprint:
            raise BadInput(
                f"The bundle was made from store '{str(bundle.plan.get('store'))[:80]}', not from '{store.id}' as it is now:"
                " their fingerprints differ. Name the right one, or verify without --store."
            )
        directions = read_directions(workspace, store)
        head, unknown = read_head(workspace, store, directions.decoder if directions else None, model)
        left += ["cosines: the SAE's weights are not here"] if directions is None else []
        left += [unknown] if unknown else []
        truth = Truth(store, directions, head if isinstance(head, Recomputed) else None, bool(bundle.plan))
    samples = store.samples if store else _samples(bundle)
    if samples is None:
        left.append("sums of histograms: the bundle does not say how many tokens were read")
    found = Verification(bundle, truth, samples)
    found.run(progress)
    return {
        "bundle": str(bundle.directory),
        "model": bundle.model_id,
        "source": bundle.source,
        "store": store.id if store else None,
        "rows": found.rows,
        "samples": samples,
        "not_checked": left,
        "problems": [each._asdict() for each in found.problems],
    }


def _samples(bundle: Bundle) -> int | None:
    """Tokens that the bundle's shares are of: Loupe's own count, or prompts times tokens as SAEDashboard counts them."""
    own = bundle.plan.get("samples")
    if isinstance(own, int) and not isinstance(own, bool) and 0 <= own < 1 << 40:
        return own
    source = bundle.cards["source"]
    prompts, tokens = source.get("num_prompts"), source.get("num_tokens_in_prompt")
    is_known = isinstance(prompts, int) and isinstance(tokens, int) and 0 < prompts < 1 << 32 and 0 < tokens < 1 << 32
    return prompts * tokens if is_known else None  # type: ignore[operator]
