"""The Training page's tables and comparisons of runs: the list, the L0-FVU frontier, and densities of finished stores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.components import count, percent, plural
from dashboard.components import figures as three_digits
from dashboard.figures.training_saes import draw_frontier, is_best
from dashboard.training_runs import TrainingRun
from loaders.errors import LoupeError
from loaders.workspace import Workspace

LINES = {"solid": "solid", "dash": "dashed", "dot": "dotted"}
"""What the style sheets call the line patterns of the figures."""


def run_rows(found: Sequence[TrainingRun]) -> list[dict[str, Any]]:
    """Rows of the runs table: numbers for sorting and the words that are shown."""
    return [
        {
            "id": run.sae_id,
            "colour": run.look.colour,
            "line": LINES[run.look.dash],
            "status": run.status,
            "error": run.error or "",
            "step": steps(run),
            "duration": run.duration,
            "duration_text": duration(run.duration),
            "fvu": run.quality.fvu,
            "fvu_text": three_digits(run.quality.fvu),
            "explained_text": percent(None if run.quality.fvu is None else 1 - run.quality.fvu),
            "l0": run.quality.l0,
            "l0_text": three_digits(run.quality.l0),
            "dead": run.quality.dead_share,
            "dead_text": percent(run.quality.dead_share),
            "rows": run.quality.rows,
            "features": run.features,
        }
        for run in found
    ]


def steps(run: TrainingRun) -> str:
    """How far a run came: '230 of 400'."""
    done = f"{run.curves.step:,}" if run.curves.step >= 0 else "–"
    return f"{done} of {run.total_steps:,}" if run.total_steps else done


def duration(seconds: float | None) -> str:
    """A length of time: '45 s', '3 min 20 s', '2 h 5 min'."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def frontier_frame(found: Sequence[TrainingRun], chosen: Sequence[TrainingRun]) -> pd.DataFrame:
    """One row per SAE with held-out figures, as `draw_frontier` wants them; the chosen ones are selected."""
    ids = {run.sae_id for run in chosen}
    known = [run for run in found if run.quality.fvu is not None and run.quality.l0 is not None]
    return pd.DataFrame(
        {
            "name": [run.sae_id for run in known],
            "architecture": [run.architecture for run in known],
            "group": [run.subject for run in known],
            "l0": pd.Series([run.quality.l0 for run in known], dtype=float),
            "fvu": pd.Series([run.quality.fvu for run in known], dtype=float),
            "rows": pd.Series([run.quality.rows for run in known], dtype="Float64"),
            "features": [run.features or 0 for run in known],
            "colour": [run.look.colour for run in known],
            "is_selected": [run.sae_id in ids for run in known],
        }
    )


def draw_runs_frontier(found: Sequence[TrainingRun], chosen: Sequence[TrainingRun], *, height: int) -> go.Figure:
    """The L0-FVU frontier of every SAE with held-out figures; the chosen ones are filled."""
    return draw_frontier(frontier_frame(found, chosen), height=height)


def frontier_words(saes: pd.DataFrame) -> str:
    """What the frontier counts and connects, and what it leaves apart."""
    if saes.empty:
        return "no SAE has finished yet"
    words = f"{plural(len(saes), 'finished SAE')}, held-out rows"
    rows = saes["rows"].dropna()
    if len(rows):
        low, high = int(rows.min()), int(rows.max())
        words += f" ({low:,} each)" if low == high else f" ({low:,} to {high:,})"
    joined = 0
    for _, group in saes.groupby("group"):
        best = int(is_best(group["l0"].to_numpy(), group["fvu"].to_numpy()).sum())
        joined += best if best > 1 else 0
    groups = saes["group"].nunique()
    words += f" · dotted line: the {joined:,} Pareto-optimal" if joined else " · no two Pareto-optimal to join"
    return words + (" · other hook points or datasets are not joined" if groups > 1 else "")


def densities(
    workspace: Workspace, chosen: Sequence[TrainingRun]
) -> tuple[list[tuple[str, str, str, NDArray[np.float64]]], str]:
    """Name, colour, line pattern and density [features] of the chosen runs that have a store, and what was left out."""
    drawn, dead = [], []
    for run in chosen:
        if run.store_id is None:
            continue
        try:
            density = workspace.open_store(run.store_id).stats()["density"].to_numpy()
        except LoupeError:
            dead.append(f"{run.sae_id}, whose store cannot be read")
            continue
        drawn.append((run.sae_id, run.look.colour, run.look.dash, density))
        if never := int((density == 0).sum()):
            dead.append(f"{count(never)} dead of {run.sae_id}")
    return drawn, "exact, over each store's samples; left out: " + (", ".join(dead) or "no dead features")
