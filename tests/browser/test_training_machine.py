"""The time machine of the Training page in Chromium: its slider, its tables, and a run without snapshots."""

import shutil

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from loaders.workspace import Workspace
from precompute.snapshots import write_snapshot
from tests.browser.test_training import names, open_page


@pytest.fixture
def no_snapshots(workspace: Workspace):
    """What the trainer kept is put aside for a test."""
    folders = [workspace.sae_dir(sae_id) / "snapshots" for sae_id in workspace.sae_ids()]
    kept = [(folder, folder.rename(folder.with_name("aside"))) for folder in folders if folder.is_dir()]
    yield
    for folder, aside in kept:
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)


@pytest.fixture
def snapshots(workspace: Workspace, no_snapshots):
    """Four snapshots of tiny-l0: feature 7 turns around, 3 dies at step 20 and comes back at 150, the others stay."""
    directory = workspace.sae_dir("tiny-l0")
    directions = np.random.default_rng(0).normal(size=(128, 32))
    for step, turned in ((1, 1.0), (20, 0.5), (100, -0.5), (150, -1.0)):
        w_dec, fired, density = directions.copy(), np.full(128, step), np.full(128, 0.01)
        w_dec[7] = turned * directions[7] + (1 - abs(turned)) * directions[8]
        fired[3] = {1: 1, 150: 150}.get(step, 2)
        density[:3] = (0, step / 1_000, 0.5)
        write_snapshot(directory, step, w_dec, density, fired, 500, 1 / (1 + step), 10)
    yield
    shutil.rmtree(directory / "snapshots")


def test_the_slider_leads_through_the_snapshots_and_the_address_restores_run_step_and_feature(
    page: Page, snapshots
) -> None:
    open_page(page)
    expect(page.locator("#training-then-title")).to_have_text("Densities at step 150")
    expect(page.locator("#training-way-title")).to_have_text("Feature #7")
    expect(page.locator("#training-then-note")).to_contain_text("on 500 held-out rows · 1 feature silent")
    assert names(page, "training-then") == ["step 150, the last", "step 150"]
    page.get_by_label("Step", exact=True).focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#training-then-title")).to_have_text("Densities at step 100")
    expect(page.locator("#training-step-words")).to_have_text("100 (3 of 4)")
    page.wait_for_url("**run=tiny-l0&step=100")
    page.get_by_role("button", name="Next feature (n)").click()
    expect(page.locator("#training-way-title")).to_have_text("Feature #8")
    page.locator("h1").click()
    page.keyboard.press("p")
    page.keyboard.press("p")
    expect(page.locator("#training-way-title")).to_have_text("Feature #6")
    page.wait_for_url("**run=tiny-l0&step=100&feature=6")
    page.reload()
    expect(page.locator("#training-way-title")).to_have_text("Feature #6")
    expect(page.locator("#training-then-title")).to_have_text("Densities at step 100")
    assert names(page, "training-direction") == ["to its start", "to its end"]
    expect(page.locator("#training-way-note a")).to_have_attribute("href", "/feature/tiny-l0@texts/6")


def test_tables_name_what_moved_and_what_died_and_a_click_follows(page: Page, snapshots) -> None:
    open_page(page, "/training?run=tiny-l0&step=20&feature=1")
    expect(page.locator("#training-way-title")).to_have_text("Feature #1")
    page.locator("#training-moved .cell-follow").first.click()
    expect(page.locator("#training-way-title")).to_have_text("Feature #7")
    expect(page.locator("#training-nearest .ag-row").first).to_contain_text("#8")
    expect(page.locator("#training-died .ag-row")).to_have_count(1)
    expect(page.locator("#training-died-note")).to_have_text("1 feature dead at step 20")
    expect(page.locator("#training-ledger-words")).to_contain_text("in the last 10 training steps")
    page.locator("#training-ledger .cell-follow", has_text="150").click()
    expect(page.locator("#training-then-title")).to_have_text("Densities at step 150")
    page.locator("#training-died-kind label", has_text="revived").click()
    expect(page.locator("#training-died-note")).to_have_text("1 feature revived at step 150")
    expect(page.locator("#training-died .ag-row")).to_contain_text("#3")


def test_play_goes_from_the_first_snapshot_to_the_last(page: Page, snapshots) -> None:
    open_page(page)
    expect(page.locator("#training-then-title")).to_have_text("Densities at step 150")
    page.get_by_role("button", name="Play the snapshots").click()
    expect(page.locator("#training-then-title")).to_have_text("Densities at step 1")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.locator("#training-then-title")).to_have_text("Densities at step 150")
    expect(page.get_by_role("button", name="Play the snapshots")).to_be_visible()


def test_without_snapshots_the_time_machine_says_so(page: Page, no_snapshots) -> None:
    open_page(page)
    expect(page.locator("#training-machine")).to_contain_text("No run has snapshots yet")
    expect(page.get_by_label("Step", exact=True)).to_be_hidden()
