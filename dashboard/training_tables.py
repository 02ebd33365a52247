"""Rows of the time machine's tables: nearest and moved features, the ledger of dead ones, and what the figures count."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard import urls
from dashboard.components import count, figures, percent, plural
from dashboard.training_history import change_at, cosines, moved_most, nearest
from loaders.snapshots import Snapshot

NEAREST = 12
MOST_ROWS = 500
"""Features that a table lists; how many there are is always said."""


def nearest_rows(snapshots: Sequence[Snapshot], place: int, feature: int, store: str | None) -> list[dict[str, Any]]:
    """The features nearest to one at a snapshot, and how near the same two are at the end."""
    ids, cosine = nearest(snapshots[place], feature, NEAREST)
    last = snapshots[-1]
    direction = last.direction(feature)
    rows = []
    for other, now in zip(ids, cosine, strict=True):
        at_end = float(np.clip(last.direction(int(other)) @ direction, -1, 1))
        rows.append(_row(other, store, cosine=(float(now), _three(now)), last=(at_end, _three(at_end))))
    return rows


def moved_rows(
    snapshots: Sequence[Snapshot], place: int, to: str, store: str | None
) -> tuple[list[dict[str, Any]], str]:
    """The features that turned farthest, and between which steps: from the snapshot before, or until the last one."""
    before, after = (place - 1, place) if to == "previous" else (place, len(snapshots) - 1)
    if before < 0 or before == after:
        alone = "the first snapshot has none before it" if before < 0 else "this is the last snapshot"
        return [], f"{alone}: choose another step or the other comparison"
    found = moved_most(snapshots[before], snapshots[after], MOST_ROWS)
    rows = [
        _row(
            feature,
            store,
            cosine=(float(cosine), _three(cosine)),
            before=(float(old), percent(float(old))),
            after=(float(new), percent(float(new))),
        )
        for feature, cosine, old, new in zip(*found, strict=True)
    ]
    still = int((cosines(snapshots[before], snapshots[after]) > 0.99).sum())
    total = snapshots[after].features
    words = f"step {count(snapshots[before].step)} to {count(snapshots[after].step)}"
    words += f" · {count(still)} of {plural(total, 'feature')} turned less than 8° (cosine above 0.99)"
    return rows, words + (f" · the first {count(len(rows))} are listed" if len(rows) < total else "")


def ledger_rows(snapshots: Sequence[Snapshot]) -> list[dict[str, Any]]:
    """Dead, newly dead and revived features at every snapshot."""
    rows = []
    for place, snapshot in enumerate(snapshots):
        change = change_at(snapshots, place)
        counts = {
            "dead": len(change.dead),
            "newly": len(change.newly_dead),
            "revived": len(change.revived),
            "silent": int((snapshot.density == 0).sum()),
        }
        shown = {f"{name}_text": count(value) for name, value in counts.items()}
        row = {
            "id": str(snapshot.step),
            "step": snapshot.step,
            "place": place,
            "fvu_text": figures(snapshot.fvu),
            **counts,
            **shown,
        }
        rows.append({**row, "fvu": snapshot.fvu if np.isfinite(snapshot.fvu) else None})
    return rows


def died_rows(
    snapshots: Sequence[Snapshot], place: int, kind: str, store: str | None
) -> tuple[list[dict[str, Any]], str]:
    """Which features are dead, newly dead or revived at a snapshot, and how many."""
    snapshot, change = snapshots[place], change_at(snapshots, place)
    ids: NDArray[np.int64] = {"newly": change.newly_dead, "revived": change.revived}.get(kind, change.dead)
    words = {"newly": "newly dead", "revived": "revived"}.get(kind, "dead")
    fired, density = snapshot.last_fired, snapshot.density
    rows = [
        _row(
            feature,
            store,
            fired=(int(fired[feature]), count(fired[feature]) if fired[feature] else "never"),
            density=(float(density[feature]), percent(float(density[feature]))),
        )
        for feature in ids[:MOST_ROWS]
    ]
    note = f"{plural(len(ids), 'feature')} {words} at step {count(snapshot.step)}"
    return rows, note + (f" · the first {count(MOST_ROWS)} are listed" if len(ids) > MOST_ROWS else "")


def _row(feature: Any, store: str | None, **values: tuple[float, str]) -> dict[str, Any]:
    """A feature with its link, and each value with the text that is shown for it."""
    row: dict[str, Any] = {"id": str(int(feature)), "feature": int(feature)}
    if store:
        row["href"] = urls.feature(store, int(feature))
    for name, (value, text) in values.items():
        row |= {name: value, f"{name}_text": text}
    return row


def _three(cosine: Any) -> str:
    return f"{float(cosine):.3f}".replace("-", "−")
