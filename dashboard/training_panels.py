"""The Training page's curves and tables, from runs to figures and rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.components import count, percent
from dashboard.components import figures as three_digits
from dashboard.figures.training import Axes, Line, draw_curves, draw_frontier
from dashboard.training_curves import Series, smooth, thin
from dashboard.training_runs import TrainingRun
from loaders.errors import StoreDamaged
from loaders.workspace import Workspace

MAX_SMOOTHING = 0.99


class Panel(NamedTuple):
    """One chart: the metric of the training batches, its held-out twin, and how its values are drawn."""

    name: str
    title: str
    note: str
    y_title: str
    train: str
    held_out: str | None = None
    can_be_log: bool = True


PANELS = (
    Panel(
        "fvu", "FVU", "line: training batches · dots: held-out rows", "variance unexplained",
        "fvu_train", "fvu_held_out",
    ),
    Panel("loss", "Loss", "on training batches", "loss", "loss"),
    Panel("l0", "L0", "line: training batches · dots: held-out rows", "features per sample", "l0", "l0_held_out", False),
    Panel("dead", "Dead features", "as the trainer counts them while it runs", "features", "dead", None, False),
    Panel("lr", "Learning rate", "of the optimiser", "learning rate", "lr"),
    Panel("grad", "Gradient norm", "before the optimiser's step", "norm", "grad_norm"),
)  # fmt: skip


class Settings(NamedTuple):
    """What the controls say: smoothing weight in [0, 0.99], logarithmic axes, and x in steps or seconds."""

    smoothing: float = 0.0
    is_log_y: bool = False
    is_log_x: bool = False
    by_time: bool = False


def read_settings(smooth_text: str | None, log: str | None, x: str | None) -> Settings:
    """Settings of a URL; whatever is no setting falls back to the default."""
    try:
        smoothing = min(max(float(smooth_text or Settings().smoothing), 0.0), MAX_SMOOTHING)
    except ValueError:
        smoothing = Settings().smoothing
    axes = (log or "").split(",")
    return Settings(smoothing, "y" in axes, "x" in axes, x == "time")


def write_settings(settings: Settings) -> dict[str, str | None]:
    """The query parameters that differ from the defaults."""
    axes = [name for name, is_on in (("y", settings.is_log_y), ("x", settings.is_log_x)) if is_on]
    is_default = settings.smoothing == Settings().smoothing
    return {
        "smooth": None if is_default else f"{settings.smoothing:g}",
        "log": ",".join(axes) or None,
        "x": "time" if settings.by_time else None,
    }


def draw_panel(panel: Panel, chosen: Sequence[TrainingRun], settings: Settings, *, height: int) -> go.Figure:
    """One chart of the chosen runs: the smoothed line over the faint raw one, held-out rows as dots."""
    axes = Axes(
        x_title="seconds of training" if settings.by_time else "step",
        y_title=panel.y_title,
        y_hover=panel.title,
        is_log_x=settings.is_log_x,
        is_log_y=settings.is_log_y and panel.can_be_log,
        from_zero=True,
    )
    lines = [line for run in chosen for line in _lines(panel, run, settings)]
    return draw_curves(lines, axes, height=height)


def _lines(panel: Panel, run: TrainingRun, settings: Settings) -> list[Line]:
    lines = []
    found = run.curves.series.get(panel.train)
    if found is not None:
        x, raw = _x(found, settings), _drawable(found.value)
        is_smoothed = settings.smoothing > 0
        drawn = smooth(found.value, settings.smoothing) if is_smoothed else raw
        at, faint = thin(drawn), thin(raw)
        line = Line(run.sae_id, run.look.colour, run.look.dash, x[at], drawn[at])
        lines.append(line._replace(faint_x=x[faint], faint_y=raw[faint]) if is_smoothed else line)
    held_out = run.curves.series.get(panel.held_out or "")
    if held_out is not None:
        x, y = _x(held_out, settings), _drawable(held_out.value)
        at = thin(y)
        rows = run.curves.series.get("held_out_samples")
        name = f"{run.sae_id}, {count(rows.value[-1])} held-out rows" if rows else f"{run.sae_id}, held out"
        lines.append(Line(name, run.look.colour, run.look.dash, x[at], y[at], has_markers=True))
    return lines


def _x(series: Series, settings: Settings) -> np.ndarray:
    return series.seconds if settings.by_time else series.step.astype(np.float64)


def _drawable(value: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(value), value, np.nan)


def unfinite(chosen: Sequence[TrainingRun]) -> int:
    """Measured values that cannot be drawn because they are not finite (a diverged run)."""
    drawn = [name for panel in PANELS for name in (panel.train, panel.held_out) if name]
    return sum(
        int((~np.isfinite(run.curves.series[name].value)).sum())
        for run in chosen
        for name in drawn
        if name in run.curves.series
    )


def run_rows(found: Sequence[TrainingRun]) -> list[dict[str, Any]]:
    """Rows of the runs table: numbers for sorting and the words that are shown."""
    return [
        {
            "id": run.sae_id,
            "colour": run.look.colour,
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


def draw_runs_frontier(found: Sequence[TrainingRun], chosen: Sequence[TrainingRun], *, height: int) -> go.Figure:
    """The L0-FVU frontier of every SAE with held-out figures; the chosen ones are filled."""
    ids = {run.sae_id for run in chosen}
    known = [run for run in found if run.quality.fvu is not None and run.quality.l0 is not None]
    return draw_frontier(
        pd.DataFrame(
            {
                "name": [run.sae_id for run in known],
                "l0": [run.quality.l0 for run in known],
                "fvu": [run.quality.fvu for run in known],
                "rows": pd.Series([run.quality.rows for run in known], dtype="Float64"),
                "features": [run.features or 0 for run in known],
                "colour": [run.look.colour for run in known],
                "symbol": [run.look.symbol for run in known],
                "is_selected": [run.sae_id in ids for run in known],
            }
        ),
        height=height,
    )


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
        except StoreDamaged:
            dead.append(f"{run.sae_id}, whose store is damaged")
            continue
        drawn.append((run.sae_id, run.look.colour, run.look.dash, density))
        if never := int((density == 0).sum()):
            dead.append(f"{count(never)} dead of {run.sae_id}")
    return drawn, "exact, over each store's samples; left out: " + (", ".join(dead) or "no dead features")
