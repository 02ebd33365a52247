"""What became of features over the snapshots of a run: movement, neighbours, death and revival."""

import os

import numpy as np
import pytest

from dashboard.figures.training_history import draw_density, draw_direction
from dashboard.training_history import change_at, cosines, default_feature, history, moved_most, nearest, way_of
from dashboard.training_tables import MOST_ROWS, died_rows, ledger_rows, moved_rows, nearest_rows
from precompute.snapshots import write_snapshot

ANGLES = {1: (0, 0, 0, 0), 10: (10, 0, 45, 0), 20: (20, 0, 90, 60)}  # degrees of each feature's direction, by step
DENSITY = {1: (0.5, 0, 0.1, 0), 10: (0.5, 0.2, 0.1, 0), 20: (0.5, 0.2, 0, 0.01)}
FIRED = {1: (1, 0, 1, 0), 10: (10, 9, 4, 0), 20: (20, 9, 20, 19)}


@pytest.fixture
def sae_dir(tmp_path):
    """Three snapshots of four features in a plane, dead after 5 silent steps."""
    for step, angles in ANGLES.items():
        radians = np.radians(angles)
        w_dec = np.stack([np.cos(radians), np.sin(radians)], axis=1)
        write_snapshot(tmp_path, step, w_dec, np.array(DENSITY[step]), np.array(FIRED[step]), 200, 1 / step, 5)
    return tmp_path


def test_cosines_and_the_features_that_moved_most(sae_dir):
    first, middle, last = history(sae_dir).snapshots
    np.testing.assert_allclose(cosines(first, last), np.cos(np.radians(ANGLES[20])), atol=1e-3)
    found = moved_most(middle, last, 2)
    assert found.feature.tolist() == [3, 2]
    assert found.density_before.tolist() == pytest.approx([0, 0.1]) and found.density_after[0] == pytest.approx(0.01)


def test_the_feature_shown_first_moved_farthest_of_those_that_fire_at_the_end(sae_dir):
    assert default_feature(history(sae_dir).snapshots) == 3, "2 moved farther, but is silent at the end"


def test_a_features_way_is_told_by_its_cosines_to_start_and_end(sae_dir):
    way = way_of(history(sae_dir).snapshots, 2)
    assert way.to_start == pytest.approx(np.cos(np.radians([0, 45, 90])), abs=1e-3)
    assert way.to_end == pytest.approx(np.cos(np.radians([90, 45, 0])), abs=1e-3)
    start, end = draw_direction(way.trajectory.step, way.to_start, way.to_end, 10, "#0072B2", height=200).data
    assert list(end.x) == [1, 10, 20] and end.line.color == "#0072B2" and start.line.dash == "dash"


def test_a_density_of_zero_is_drawn_hollow_below_one_row():
    step, density = np.array([1, 10, 20]), np.array([0, 0.005, 0.5], np.float32)
    (drawn,) = draw_density(step, density, [200] * 3, 10, "#0072B2", height=200).data
    assert list(drawn.marker.symbol) == ["circle-open", "circle", "circle"]
    assert drawn.y[0] == 0.5 / 200 and drawn.customdata[0] == "fires on none of 200 rows"


def test_nearest_features_are_exact_at_the_chosen_step_and_compared_with_the_end(sae_dir):
    snapshots = history(sae_dir).snapshots
    ids, cosine = nearest(snapshots[2], 3, 2)
    assert ids.tolist() == [2, 0] and cosine == pytest.approx(np.cos(np.radians([30, 40])), abs=1e-3)
    rows = nearest_rows(snapshots, 1, 3, "sae@docs")
    assert [row["feature"] for row in rows] == [1, 0, 2] and rows[0]["href"] == "/feature/sae@docs/1"
    assert rows[2]["cosine_text"] == "0.707" and rows[2]["last"] == pytest.approx(np.cos(np.radians(30)), abs=1e-3)
    assert "href" not in nearest_rows(snapshots, 1, 3, None)[0]


def test_the_ledger_counts_the_dead_the_newly_dead_and_the_revived(sae_dir):
    snapshots = history(sae_dir).snapshots
    rows = ledger_rows(snapshots)
    assert [(row["step"], row["dead"], row["newly"], row["revived"]) for row in rows] == [
        (1, 0, 0, 0),  # nothing can be dead before step 5
        (10, 2, 2, 0),
        (20, 1, 1, 2),
    ]
    assert [row["silent"] for row in rows] == [2, 1, 1] and rows[1]["fvu_text"] == "0.100"
    change = change_at(snapshots, 2)
    assert (change.dead.tolist(), change.newly_dead.tolist(), change.revived.tolist()) == ([1], [1], [2, 3])
    listed, note = died_rows(snapshots, 1, "dead", "sae@docs")
    assert [(row["feature"], row["fired_text"]) for row in listed] == [(2, "4"), (3, "never")]
    assert note == "2 features dead at step 10"
    assert died_rows(snapshots, 2, "revived", None)[1] == "2 features revived at step 20"
    assert died_rows(snapshots, 0, "newly", None) == ([], "0 features newly dead at step 1")


def test_moved_features_are_compared_with_the_snapshot_before_or_with_the_last(sae_dir):
    snapshots = history(sae_dir).snapshots
    rows, words = moved_rows(snapshots, 0, "final", None)
    assert [row["feature"] for row in rows][:2] == [2, 3] and words.startswith("step 1 to 20")
    assert "1 of 4 features turned less than 8°" in words
    assert moved_rows(snapshots, 1, "previous", None)[1].startswith("step 1 to 10")
    assert moved_rows(snapshots, 0, "previous", None) == (
        [],
        "the first snapshot has none before it: choose another step or the other comparison",
    )
    assert moved_rows(snapshots, 2, "final", None)[0] == []


def test_long_lists_are_cut_and_say_so(tmp_path):
    many = MOST_ROWS + 1
    for step in (1, 20):
        write_snapshot(tmp_path, step, np.ones((many, 2)), np.zeros(many), np.zeros(many), 10, 1.0, 5)
    snapshots = history(tmp_path).snapshots
    rows, note = died_rows(snapshots, 1, "dead", None)
    assert len(rows) == MOST_ROWS and note == "501 features dead at step 20 · the first 500 are listed"
    assert "the first 500 are listed" in moved_rows(snapshots, 1, "previous", None)[1]


def test_a_snapshot_that_was_written_again_is_read_again_and_the_others_are_not(sae_dir):
    before = history(sae_dir).snapshots
    write_snapshot(sae_dir, 20, np.eye(4, 2), np.ones(4), np.full(4, 20), 200, 0.5, 5)
    os.utime(sae_dir / "snapshots" / "step_00000020.safetensors", ns=(1, 1))
    after = history(sae_dir).snapshots
    assert after[0] is before[0] and after[2].density.tolist() == [1, 1, 1, 1]


def test_the_other_snapshots_are_shown_when_one_is_torn(sae_dir):
    (sae_dir / "snapshots" / "step_00000010.safetensors").write_bytes(b"torn")
    found = history(sae_dir)
    assert [snapshot.step for snapshot in found.snapshots] == [1, 20] and "Delete it" in found.damaged[0]
