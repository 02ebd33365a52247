"""The Training page's curves: which metrics are drawn together, and a figure of each for the chosen runs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.components import count
from dashboard.figures.training import Axes, Line, draw_curves
from dashboard.training_curves import Window, envelope, smooth
from dashboard.training_metrics import Series
from dashboard.training_runs import TrainingRun

MAX_SMOOTHING = 0.99


class Part(NamedTuple):
    """One metric of a panel: what it is called in hover texts, and its mark ("" for a plain line)."""

    metric: str
    words: str = ""
    symbol: str = ""


class Panel(NamedTuple):
    """One chart: its metrics, and how their values are drawn."""

    name: str
    title: str
    note: str
    y_title: str
    parts: tuple[Part, ...]
    can_be_log: bool = True


def _held_out(metric: str) -> Part:
    return Part(metric, "held out", "circle")


PANELS = (
    Panel(
        "fvu", "FVU", "line: training batches · dots: held-out rows", "variance unexplained",
        (Part("fvu_train"), _held_out("fvu_held_out")),
    ),
    Panel("loss", "Loss", "on training batches", "loss", (Part("loss"),)),
    Panel(
        "l0", "L0", "line: training batches · dots: held-out rows", "features per sample",
        (Part("l0"), _held_out("l0_held_out")), False,
    ),
    Panel("dead", "Dead features", "as the trainer counts them while it runs", "features", (Part("dead"),), False),
    Panel("lr", "Learning rate", "of the optimiser", "learning rate", (Part("lr"),)),
    Panel("grad", "Gradient norm", "before the optimiser's step", "norm", (Part("grad_norm"),)),
    Panel(
        "variance", "Explained variance", "1 − FVU, on held-out rows", "variance explained",
        (_held_out("explained_variance"),), False,
    ),
    Panel(
        "deadshare", "Dead share", "features that fire on no held-out row", "share of features",
        (_held_out("dead_share_held_out"),), False,
    ),
    Panel(
        "parts", "Parts of the loss", "line: auxiliary (revives dead features) · dots: sparsity", "loss",
        (Part("aux_loss", "auxiliary"), Part("sparsity_loss", "sparsity", "circle")),
    ),
    Panel(
        "ce", "Cross-entropy", "of the model · ▽ untouched · ● spliced · ✕ hook point ablated", "nats per token",
        (Part("ce_clean", "model untouched", "triangle-down"), Part("ce_spliced", "SAE spliced in", "circle"),
         Part("ce_ablated", "hook point ablated", "x")),
    ),
    Panel(
        "recovered", "Loss recovered", "(ablated − spliced) ÷ (ablated − untouched)", "share of the cross-entropy",
        (_held_out("loss_recovered"),), False,
    ),
    Panel("speed", "Speed", "rows of activations per second", "rows per second", (Part("rows_per_second"),)),
)  # fmt: skip
ALWAYS = ("fvu", "loss", "l0", "dead", "lr", "grad")
"""Panels that keep their place whatever a run says; the others appear once a ticked run has a value for them."""
COUNTED = "held_out_samples"
KNOWN = frozenset({part.metric for panel in PANELS for part in panel.parts} | {COUNTED})


class Settings(NamedTuple):
    """What the controls say: smoothing weight in [0, 0.99], logarithmic axes, and x in steps or seconds."""

    smoothing: float = 0.0
    is_log_y: bool = False
    is_log_x: bool = False
    by_time: bool = False

    @property
    def axis(self) -> str:
        """The kind of x axis; a zoom counts as long as it stays the same."""
        return f"{'time' if self.by_time else 'step'}{'-log' if self.is_log_x else ''}"


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


def present(chosen: Sequence[TrainingRun]) -> list[Panel]:
    """The panels beside those that are always there of which any of the runs has a value."""
    there = {name for run in chosen for name in run.curves.series}
    return [one for one in PANELS if one.name not in ALWAYS and any(part.metric in there for part in one.parts)]


def more_names(chosen: Sequence[TrainingRun]) -> list[str]:
    """The metrics of any of the runs that no panel draws, by name."""
    return sorted({name for run in chosen for name in run.curves.series if name not in KNOWN})


def more_panel(name: str) -> Panel:
    """A panel for a metric that the page does not know."""
    return Panel("more", _plain(name), "", _plain(name), (Part(name),))


def _plain(name: str) -> str:
    """A metric's name as a figure may show it: no markup, no template, no more than fits."""
    return "".join(letter if letter.isalnum() or letter in " _./@:-" else "·" for letter in name[:40])


def read_window(zoom: dict[str, Any] | None, name: str, settings: Settings) -> Window | None:
    """Which part of the x axis a chart shows, in steps or seconds; None where all of it.

    `zoom` holds, per chart, the axis on which one zoomed and the range as plotly gives it (log10 on a logarithmic axis).
    """
    found = (zoom or {}).get(name)
    if not isinstance(found, dict) or found.get("axis") != settings.axis:
        return None
    try:
        low, high = (float(end) for end in found["range"])
        window = (10**low, 10**high) if settings.is_log_x else (low, high)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return window if np.isfinite(window).all() else None


def draw_panel(
    panel: Panel, chosen: Sequence[TrainingRun], settings: Settings, window: Window | None = None, *, height: int
) -> go.Figure:
    """One chart of the chosen runs: smoothed lines over the faint raw ones, held-out rows as dots.

    A long line is an envelope; of the part within `window` every point is drawn once they are few enough.
    """
    axes = Axes(
        x_title="seconds of training" if settings.by_time else "step",
        y_title=panel.y_title,
        y_hover=panel.title,
        is_log_x=settings.is_log_x,
        is_log_y=settings.is_log_y and panel.can_be_log,
        from_zero=True,
    )
    lines = [line for run in chosen for part in panel.parts if (line := _line(part, run, settings, axes, window))]
    return draw_curves(lines, axes, height=height)


def _line(part: Part, run: TrainingRun, settings: Settings, axes: Axes, window: Window | None) -> Line | None:
    series = run.curves.series.get(part.metric)
    if series is None:
        return None
    x, value = _along(series, settings)
    raw = _drawable(value, axes.is_log_y)
    line = Line(_name(part, run), run.look.colour, run.look.dash, x, raw, symbol=part.symbol)
    at = envelope(x, raw, window, is_log_x=settings.is_log_x)
    if part.symbol or not settings.smoothing:
        return line._replace(x=x[at], y=raw[at])
    smoothed = _drawable(smooth(value, settings.smoothing), axes.is_log_y)
    drawn = envelope(x, smoothed, window, is_log_x=settings.is_log_x)
    return line._replace(x=x[drawn], y=smoothed[drawn], faint_x=x[at], faint_y=raw[at])


def _name(part: Part, run: TrainingRun) -> str:
    rows = run.curves.series.get(COUNTED)
    if part.words == "held out" and rows:
        return f"{run.sae_id}, {count(rows.value[-1])} held-out rows"
    return f"{run.sae_id}, {part.words}" if part.words else run.sae_id


def _along(series: Series, settings: Settings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x ascending and the values over it; rows without a time have no place among seconds."""
    if not settings.by_time:
        return series.step.astype(np.float64), series.value
    is_known = np.isfinite(series.seconds)
    x, value = series.seconds[is_known], series.value[is_known]
    if (np.diff(x) < 0).any():  # a resumed run whose clock started anew
        order = np.argsort(x, kind="stable")
        return x[order], value[order]
    return x, value


def _drawable(value: NDArray[np.float64], is_log: bool) -> NDArray[np.float64]:
    return np.where(np.isfinite(value) & (value > 0) if is_log else np.isfinite(value), value, np.nan)


def undrawn(chosen: Sequence[TrainingRun], settings: Settings) -> tuple[int, int]:
    """Measured values that are not finite (a diverged run), and those at or below zero that a log axis cannot show."""
    unfinite = below = 0
    for panel in PANELS:
        for run in chosen:
            for part in panel.parts:
                if (series := run.curves.series.get(part.metric)) is not None:
                    unfinite += int((~np.isfinite(series.value)).sum())
                    if settings.is_log_y and panel.can_be_log:
                        below += int((series.value <= 0).sum())
    return unfinite, below
