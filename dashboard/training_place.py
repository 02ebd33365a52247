"""Where the time machine stands: which run, which of its snapshots, which feature; read from a URL and written to one."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from dashboard.components import percent
from dashboard.context import workspace
from dashboard.training_history import default_feature, history
from dashboard.training_runs import TrainingRun
from loaders.errors import LoupeError
from loaders.snapshots import Snapshot


class Place(NamedTuple):
    """What a URL asks the time machine for; whatever is None or not there falls back to the default."""

    run: str | None = None
    step: str | None = None
    feature: str | None = None


def followed(found: Sequence[TrainingRun]) -> list[TrainingRun]:
    """The runs that have snapshots."""
    return [run for run in found if workspace().snapshot_steps(run.sae_id)]


def facts_of(run: TrainingRun | None, is_own: bool) -> dict[str, Any]:
    """What the browser keeps of the run that is followed; `is_own`: the page chose it, no address and no reader did."""
    found = history(workspace().with_snapshots(run.sae_id)) if run else None
    if run is None or found is None or not found.snapshots:
        nothing = {"run": "", "is_own": is_own, "steps": [], "features": 1, "default": 0, "store": None, "colour": ""}
        return {**nothing, "damaged": list(found.damaged) if found else []}
    try:
        default, damaged = default_feature(found.snapshots), found.damaged
    except LoupeError as error:
        default, damaged = 0, [*found.damaged, str(error)]
    return {
        "run": run.sae_id,
        "is_own": is_own,
        "steps": [snapshot.step for snapshot in found.snapshots],
        "features": found.snapshots[-1].features,
        "default": default,
        "damaged": damaged,
        "store": run.store_id,
        "colour": run.look.colour,
    }


def whole_number(text: str | int | None) -> int | None:
    """A number without a sign, as a URL or a number box gives it; None for anything else."""
    digits = str(text)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 13 else None


class View(NamedTuple):
    """What is shown now: the run's snapshots, the place of the chosen one and what the browser keeps of the run."""

    snapshots: list[Snapshot]
    place: int
    facts: dict[str, Any]

    @property
    def now(self) -> Snapshot:
        return self.snapshots[self.place]


def view_of(place: Any, facts: dict[str, Any] | None) -> View | None:
    """The snapshots that are there now; None where there are none (any more)."""
    if not facts or not facts["steps"]:
        return None
    snapshots = history(workspace().with_snapshots(str(facts["run"]))).snapshots
    wanted = facts["steps"][min(max(int(place or 0), 0), len(facts["steps"]) - 1)]
    at = next((at for at, snapshot in enumerate(snapshots) if snapshot.step == wanted), None)
    return None if at is None else View(snapshots, at, facts)


def feature_words(view: View, feature: int, to_end: float) -> str:
    """One feature at the chosen step, in a sentence."""
    density, fired = float(view.now.density[feature]), int(view.now.last_fired[feature])
    when = f"at step {fired:,}" if fired else "never"
    return (
        f"at step {view.now.step:,}: fires on {percent(density)} of {view.now.rows:,} held-out rows · last fired in"
        f" training {when} · cosine to its end {to_end:.3f}"
    )


def query(view: View, feature: int) -> dict[str, Any]:
    """The query parameters of this view: none where it is what the page shows by itself."""
    is_last, is_default = view.place == len(view.snapshots) - 1, feature == view.facts["default"]
    if is_last and is_default and view.facts["is_own"]:
        return {}
    return {
        "run": view.facts["run"],
        "step": None if is_last else view.now.step,
        "feature": None if is_default else feature,
    }
