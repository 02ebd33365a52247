"""What a URL and a zoom say of the curves: read back as written, and never more than can be meant."""

import pytest

from dashboard.training_panels import Settings, read_settings, read_window, write_settings


@pytest.mark.parametrize(
    ("zoom", "settings", "window"),
    [
        (None, Settings(), None),
        ({"loss": {"axis": "step", "range": [2, 5]}}, Settings(), (2, 5)),
        ({"loss": {"axis": "step-log", "range": [0, 3]}}, Settings(is_log_x=True), (1, 1_000)),
        ({"loss": {"axis": "step", "range": [2, 5]}}, Settings(is_log_x=True), None),
        ({"loss": {"axis": "step", "range": ["a", 5]}}, Settings(), None),
        ({"loss": {"axis": "step-log", "range": [0, 1e9]}}, Settings(is_log_x=True), None),
        ({"loss": 7}, Settings(), None),
        ({"other": {"axis": "step", "range": [2, 5]}}, Settings(), None),
    ],
)
def test_a_zoom_counts_on_the_axis_it_was_made_on(zoom, settings, window):
    assert read_window(zoom, "loss", settings) == window


@pytest.mark.parametrize(
    "settings",
    [Settings(), Settings(0.5), Settings(0.9, True, False, True), Settings(0.25, True, True, False)],
)
def test_settings_survive_the_url(settings):
    written = write_settings(settings)
    assert read_settings(written["smooth"], written["log"], written["x"]) == settings


def test_a_mistyped_url_falls_back_to_the_defaults():
    assert read_settings("much", "z", "week") == Settings()
    assert read_settings("7", None, None).smoothing == 0.99
