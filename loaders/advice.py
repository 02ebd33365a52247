"""The recommendation of `loupe layers` on disk: one JSON file for a model and a dataset, read without torch."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from loaders.errors import StoreDamaged, StoreNotFound
from loaders.workspace import Workspace, slug

KIND = "advice"
VERSION = 1
REASON_KINDS = ("for", "against", "note")
LARGEST_FILE = 16 * 2**20  # bytes; a file with 1,000 hook points has about 2 MiB


class Reason(NamedTuple):
    """`kind`: for, against, or a note that does not touch the score; `text`: the sentence's words."""

    kind: str
    text: str


class AdvisedHook(NamedTuple):
    """One hook point: its place in the ranking (1 is best), its score in [0, 1], the score's parts, the measures that
    `analysis.advice_moments.Measures` defines, and the reasons in words; None is what could not be measured."""

    hook: str
    width: int
    rank: int
    score: float
    parts: dict[str, float | None]
    measures: dict[str, float | None]
    reasons: list[Reason]


class Advice(NamedTuple):
    """Hook points in the model's order, and what they were measured on."""

    model: str
    model_id: str
    dataset: str
    fingerprints: dict[str, str]
    sample: dict[str, Any]
    score: str
    plan: dict[str, Any]
    hooks: list[AdvisedHook]

    @property
    def ranked(self) -> list[AdvisedHook]:
        """The hook points, best first."""
        return sorted(self.hooks, key=lambda found: found.rank)

    def as_json(self) -> dict[str, Any]:
        """What the file holds."""
        hooks = [{**found._asdict(), "reasons": [reason._asdict() for reason in found.reasons]} for found in self.hooks]
        return {"kind": KIND, "schema_version": VERSION, **self._asdict(), "hooks": hooks}


def advice_path(workspace: Workspace, model_id: str, dataset_id: str) -> Path:
    """Where the recommendation for a model and a dataset lies, or will lie."""
    return workspace.file(f"advice/{slug(model_id)}@{slug(dataset_id)}.json")


def read_advice(path: Path) -> Advice:
    """Raises StoreNotFound where there is none, StoreDamaged for a file that is not one."""
    if not path.is_file():
        raise StoreNotFound(f"There is no recommendation at '{path}'. Run `loupe layers`.")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"it has {path.stat().st_size:,} bytes")
        return _advice(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreDamaged(f"'{path}' is no recommendation ({error}). Run `loupe layers` again.") from error


def _advice(found: dict[str, Any]) -> Advice:
    if (found["kind"], found["schema_version"]) != (KIND, VERSION):
        raise ValueError(f"kind {found['kind']!r}, version {found['schema_version']!r}")
    sample = {
        **{name: str(found["sample"][name]) for name in ("computed_on", "computed_in")},
        **{name: int(found["sample"][name]) for name in ("contexts", "samples", "of_samples", "seed")},
    }
    hooks = [_hook(each) for each in found["hooks"]]
    if not hooks or sorted(each.rank for each in hooks) != list(range(1, len(hooks) + 1)):
        raise ValueError("its ranks are not 1 to the number of hook points")
    prints = {str(name): str(value) for name, value in found["fingerprints"].items()}
    return Advice(
        model=str(found["model"]),
        model_id=str(found["model_id"]),
        dataset=str(found["dataset"]),
        fingerprints=prints,
        sample=sample,
        score=str(found["score"]),
        plan=dict(found["plan"]),
        hooks=hooks,
    )


def _hook(found: dict[str, Any]) -> AdvisedHook:
    score = _number(found["score"])
    if score is None or not 0 <= score <= 1:
        raise ValueError(f"a score of {found['score']!r}")
    reasons = [Reason(str(each["kind"]), str(each["text"])) for each in found["reasons"]]
    if unknown := [reason.kind for reason in reasons if reason.kind not in REASON_KINDS]:
        raise ValueError(f"a reason of the kind {unknown[0]!r}")
    parts, measures = ({str(k): _number(v) for k, v in found[name].items()} for name in ("parts", "measures"))
    return AdvisedHook(str(found["hook"]), int(found["width"]), int(found["rank"]), score, parts, measures, reasons)


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} where a number belongs")
    return value
