"""The Layers page in Chromium: fates by click and by keyboard, their features, shared examples, links, addresses.

The set is a planted one, so that every fate occurs and is known; the real steps make its stores and match them.
"""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from playwright.sync_api import Page, expect

from dashboard.layer_rows import fate_counts, fate_rows
from loaders.layers import LayerSet
from loaders.workspace import Workspace
from precompute import layers as matching
from precompute import publish, transpose
from precompute.progress import Progress
from precompute.sample_blocks import write_batch
from precompute.tables import idf, stats, tokens

ROOT = Path(__file__).parents[2]
ROWS = "#layers-table .ag-center-cols-container .ag-row"
STORES = ("tiny-l0@texts", "tiny-l1@texts")


def plant(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Activations of two layers with 12 features each, every column drawn by itself.

    0 to 5 persist; 6 splits into 6 and 7; 7 and 8 merge into 8; 9 and 10 of the earlier layer die, 9 of the later one
    is born; 11 of the earlier and 10 and 11 of the later layer never fire.
    """
    draw = np.random.default_rng(0)
    fires = draw.random((samples, 12)) < 0.03
    earlier = np.where(fires, draw.gamma(2.0, 1.0, fires.shape), 0.0)
    earlier[:, 11] = 0
    later = np.zeros_like(earlier)
    later[:, :6] = earlier[:, :6] * draw.uniform(0.8, 1.2, (samples, 6))
    is_half = draw.random(samples) < 0.5
    later[:, 6], later[:, 7] = earlier[:, 6] * is_half, earlier[:, 6] * ~is_half
    later[:, 8] = earlier[:, 7] + earlier[:, 8]
    later[:, 9] = np.where(draw.random(samples) < 0.03, 1.0, 0.0)
    return earlier, later


@pytest.fixture(scope="module")
def planted(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy of the small workspace whose two stores hold the planted activations."""
    root = tmp_path_factory.mktemp("planted")
    for part in ("datasets", "saes"):
        shutil.copytree(workspace.root / part, root / part)
    made = Workspace(root)
    samples = workspace.open_store(STORES[0]).samples
    for store_id, activations in zip(STORES, plant(samples), strict=True):
        directory = made.store_dir(store_id)
        (directory / "activations").mkdir(parents=True)
        shutil.copy(workspace.store_dir(store_id) / "harvest.json", directory)
        write_batch(directory / "activations" / "batch_0000.zarr", sp.csr_array(activations), {})
        for step in (transpose, stats, idf, publish, tokens, publish):
            step.run(step.Config(store=store_id), made, Progress())
    matching.run(matching.Config(set="tiny"), made, Progress())
    return made


@pytest.fixture(scope="module")
def live_server(planted: Workspace) -> Iterator[str]:
    """A dashboard over the planted workspace, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "app.py", str(planted.root), "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(300):
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "the dashboard ended by itself"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.terminate()


@pytest.fixture
def layers(planted: Workspace) -> LayerSet:
    return planted.layer_set("tiny")


def open_page(page: Page, address: str = "/layers/tiny") -> None:
    page.goto(address)
    page.wait_for_selector("#layers-flow .sankey-link")
    page.wait_for_selector(ROWS)
    page.wait_for_selector("#layers-examples-0 .example")


def test_every_planted_fate_is_found_counted_and_defined(page: Page, layers: LayerSet) -> None:
    sources, targets = fate_counts(layers, 0, 1)
    assert sources == {"persist": 6, "split": 1, "merge": 2, "death": 2}
    assert targets == {"persist": 6, "split": 2, "merge": 1, "birth": 1}
    open_page(page)
    shown = page.locator("#layers-fate").inner_text()
    for words in ("6 → 6", "1 → 2", "2 → 1", "2 →", "→ 1", "two or more earlier features linked to one later one"):
        assert words in shown, words
    expect(page.locator("#layers-dead")).to_have_text("Left out because they never fire: 1 of tiny-l0, 2 of tiny-l1")


def test_the_null_is_drawn_and_put_into_words(page: Page, layers: LayerSet) -> None:
    open_page(page)
    words = page.locator("#layers-null-words")
    expect(words).to_contain_text("have a partner above")
    expect(words).to_contain_text(f"{layers.pair(0, 1)['permutations']} permutation")
    assert page.locator("#layers-null .scatterlayer .trace").count() == 2
    expect(page.locator("#layers-null .annotation-text")).to_contain_text("threshold")


def test_choosing_a_fate_with_the_keyboard_lists_its_features(page: Page) -> None:
    open_page(page)
    page.locator("#layers-fate input[value=persist]").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#layers-table-title")).to_have_text("Split: tiny-l0 → tiny-l1")
    expect(page.locator("#layers-table-note")).to_contain_text("2 links")
    expect(page.locator(ROWS)).to_have_count(2)
    expect(page.locator(ROWS).first).to_contain_text("#6")
    page.wait_for_url(re.compile("fate=split&row=6-[67]$"))


def test_clicking_a_band_lists_its_features(page: Page) -> None:
    open_page(page)
    keys = page.evaluate("() => document.querySelector('#layers-flow .js-plotly-plot').data[0].link.customdata")
    page.locator("#layers-flow .sankey-link").nth(keys.index("0-1/merge")).dispatch_event("click")
    expect(page.locator("#layers-table-title")).to_contain_text("Merge")
    expect(page.locator("#layers-fate input[value=merge]")).to_be_checked()
    rows = page.locator(ROWS)
    expect(rows).to_have_count(2)
    assert {re.match(r"#\d+", text).group() for text in rows.all_inner_texts()} == {"#7", "#8"}


def test_a_row_shows_the_same_contexts_with_both_features_and_links_to_their_pages(
    page: Page, layers: LayerSet
) -> None:
    open_page(page, "/layers/tiny?fate=persist")
    page.locator(ROWS).nth(1).locator(".ag-cell[col-id=pearson]").click()
    row = fate_rows(layers, 0, 1, "persist").iloc[1]
    page.wait_for_url(re.compile(rf"row={row['source']}-{row['target']}$"))
    expect(page.locator("#layers-comparison-note")).to_contain_text(f"both fire on {row['both']:,} sample")
    examples = [page.locator(f"#layers-examples-{side} .example-text") for side in (0, 1)]
    expect(examples[0].first).to_be_visible()
    assert examples[0].count() == examples[1].count() == min(5, examples[0].count())
    texts = [[side.nth(i).inner_text() for i in range(side.count())] for side in examples]
    assert texts[0] == texts[1]
    assert all(side.nth(0).locator(".token.is-peak.is-active").count() == 1 for side in examples)
    page.get_by_role("link", name=f"tiny-l1 #{row['target']}").click()
    page.wait_for_url(f"**/feature/tiny-l1@texts/{row['target']}*")
    page.wait_for_selector(".panel-title")


def test_an_address_restores_fate_and_row(page: Page, layers: LayerSet) -> None:
    row = fate_rows(layers, 0, 1, "merge").iloc[1]
    open_page(page, f"/layers/tiny?pair=0-1&fate=merge&row={row['source']}-{row['target']}")
    expect(page.locator("#layers-fate input[value=merge]")).to_be_checked()
    expect(page.locator(".ag-row-selected")).to_contain_text(f"#{row['source']}")
    expect(page.locator(".layers-side-head").first).to_have_text(f"tiny-l0 #{row['source']}")


@pytest.mark.parametrize(("fate", "layer", "feature"), [("death", "tiny-l0", None), ("birth", "tiny-l1", 9)])
def test_an_unmatched_feature_is_shown_alone_with_its_nearest_partner(
    page: Page, fate: str, layer: str, feature: int | None
) -> None:
    open_page(page, f"/layers/tiny?fate={fate}")
    expect(page.locator("#layers-comparison-note")).to_contain_text("below the threshold")
    expect(page.locator(".layers-side-head")).to_have_count(1)
    expect(page.locator(".layers-side-head")).to_contain_text(layer if feature is None else f"{layer} #{feature}")


def test_layers_alone_opens_the_matched_set(page: Page) -> None:
    open_page(page, "/layers")
    expect(page.locator("#layers-table-title")).to_contain_text("tiny-l0 → tiny-l1")


def test_an_unknown_set_is_said_in_a_sentence(page: Page) -> None:
    page.goto("/layers/nowhere")
    expect(page.locator(".empty-title").first).to_have_text("There is no set 'nowhere' in this workspace")
    page.locator(".empty-text").first.get_by_role("link", name="tiny", exact=True).click()
    expect(page.locator("#layers-table-title")).to_contain_text("tiny-l0 → tiny-l1")


def test_a_mistyped_address_falls_back_to_the_first_pair(page: Page) -> None:
    open_page(page, "/layers/tiny?pair=7-1&fate=doom&row=x")
    expect(page.locator("#layers-table-title")).to_contain_text("Persist: tiny-l0 → tiny-l1")


def test_the_page_has_few_components(page: Page) -> None:
    open_page(page)
    count = page.evaluate("() => JSON.stringify(window.store.getState().layout).split('\"namespace\":').length - 1")
    assert 50 < count < 300


@contextmanager
def away(path: Path, root: Path) -> Iterator[None]:
    """Do without a directory of the workspace at `root` for a while."""
    hidden = root / "away"
    path.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(path)


def test_a_set_that_is_not_matched_yet_says_how_to_match_it(page: Page, planted: Workspace) -> None:
    with away(planted.layers_dir("tiny"), planted.root):
        page.goto("/layers/tiny")
        expect(page.locator(".empty-title").first).to_have_text("The layers of set 'tiny' have not been matched yet")
        expect(page.locator(".empty-text").first).to_contain_text("loupe match-layers --set tiny")


def test_a_set_of_one_layer_says_that_it_takes_two(page: Page, planted: Workspace) -> None:
    with away(planted.store_dir(STORES[1]), planted.root):
        page.goto("/layers/tiny")
        expect(page.locator(".empty-title").first).to_have_text("Set 'tiny' has one layer")


def test_matches_of_other_stores_than_these_are_refused(page: Page, planted: Workspace) -> None:
    manifest = planted.layers_dir("tiny") / "manifest.json"
    kept = manifest.read_text()
    altered = json.loads(kept)
    altered["members"][1]["fingerprint"] = "0" * 64
    manifest.write_text(json.dumps(altered))
    page.goto("/layers/tiny")
    expect(page.locator(".empty-text").first).to_contain_text("has changed since set 'tiny' was matched")
    manifest.write_text(kept)
