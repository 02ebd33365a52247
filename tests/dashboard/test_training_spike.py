"""One step among a million stands out in the curve that is drawn, whatever the axes and the zoom."""

import numpy as np
import pytest

from dashboard.training_metrics import MetricsFile
from dashboard.training_panels import PANELS, Settings, draw_panel
from dashboard.training_runs import Quality, TrainingRun

MILLION, SPIKE = 1_000_000, 765_432


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    """A run whose metrics.jsonl has a million lines; the loss is 77 at one step and about 1 elsewhere."""
    path = tmp_path_factory.mktemp("long") / "metrics.jsonl"
    with path.open("w") as file:
        for start in range(1, MILLION + 1, 50_000):
            lines = (
                f'{{"step": {step}, "loss": {77.0 if step == SPIKE else 1 + step % 7 / 100}, "seconds": {step / 20}}}\n'
                for step in range(start, start + 50_000)
            )
            file.write("".join(lines))
    metrics = MetricsFile(path)
    while not (curves := metrics.read()).is_whole:
        pass
    return TrainingRun(
        "long", "finished", None, 0, MILLION, None, {}, curves, Quality(None, None, None, None), 8, "topk", ""
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.99])
@pytest.mark.parametrize("is_log_y", [False, True])
@pytest.mark.parametrize("is_log_x", [False, True])
@pytest.mark.parametrize("by_time", [False, True])
def test_a_one_step_spike_among_a_million_lines_is_drawn_whatever_the_axes_and_the_zoom(
    long_run, smoothing, is_log_y, is_log_x, by_time
):
    loss = next(panel for panel in PANELS if panel.name == "loss")
    place = SPIKE / 20 if by_time else SPIKE
    step = 1 / 20 if by_time else 1
    for width in (None, 50_000, 400):
        window = None if width is None else (place - width * step, place + width * step)
        settings = Settings(smoothing, is_log_y, is_log_x, by_time)
        raw = draw_panel(loss, [long_run], settings, window, height=200).data[0]
        at = int(np.argmax(raw.y))
        assert (raw.y[at], raw.x[at]) == (77.0, pytest.approx(place))
        assert len(raw.y) < 2_500
        if width == 400:
            shown = raw.x[(raw.x >= window[0]) & (raw.x <= window[1])]
            assert len(shown) in (800, 801, 802), "so near, every single step is drawn"
