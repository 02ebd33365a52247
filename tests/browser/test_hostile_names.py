"""A model whose tokens, texts, metadata and files are full of markup: every page shows it as text, in a real browser."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from catalog.catalog import Catalog
from catalog.lists import make_list
from loaders.workspace import Workspace
from precompute import build
from precompute.progress import Progress

HIT = "window.hit=1"
TOKENS = (
    f'<img/src=x/onerror="{HIT}">',
    f"<script>{HIT}</script>",
    f'<a/href="javascript:{HIT}">link</a>',
    f"<svg/onload={HIT}>",
    "<b>bold</b>",
    "{{7*7}}",
    "%{x}<extra></extra>",
    "<br>",
    "$x^2$",
    "\u202eover\u202c",
)
"""Without spaces, so that each is one token: HTML, Plotly's own pseudo-HTML and templates, TeX, a change of direction."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two layers of a model that has those words as tokens, over texts, columns and categories of the same kind."""
    root = tmp_path_factory.mktemp("hostile")
    texts = root / "<img src=x onerror=alert(1)>.jsonl"
    rows = [
        {
            "text": " ".join(TOKENS[(i * 7 + j * (1 + i % 3)) % len(TOKENS)] for j in range(30)),
            f"<b>column</b>{TOKENS[0]}": TOKENS[i % 3],
            "plain": TOKENS[i % len(TOKENS)],
        }
        for i in range(160)
    ]
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = build.Config(
        model=str(_write_model(root / "models" / "hostile")),
        hooks=("encoder.layer.0", "encoder.layer.1"),
        source=str(texts),
        set_id="hostile",
        context_length=32,
        k=4,
        expansion=2,
        steps=(40,),
        batch=256,
    )
    build.run(config, Workspace(root), Progress())
    return Workspace(root)


def _write_model(folder: Path) -> Path:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(("[PAD]", "[UNK]", *TOKENS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    folder.mkdir(parents=True)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
    ).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=64, **shape)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def address(hostile: Workspace) -> Iterator[str]:
    """A server of its own: two dashboards in one process would mix up their callbacks."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serving = subprocess.Popen([sys.executable, "-m", "loupe", "serve", str(hostile.root), "--port", str(port)])
    found = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    while True:
        try:
            urlopen(f"{found}/health/live")
            break
        except OSError:
            assert serving.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
    yield found
    serving.terminate()
    serving.wait()


def assert_only_text(page: Page) -> None:
    """Nothing of the markup became an element, ran, or was given to Plotly as its pseudo-HTML."""
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.hit") is None, page.url
    for made in (
        "main img",
        "main script",
        'main a[href^="javascript"]',
        "main svg a",
        "main [onerror], main [onload]",
    ):
        assert page.locator(made).count() == 0, (page.url, made)
    bold = page.evaluate("[...document.querySelectorAll('main b, main tspan')].map((each) => each.textContent)")
    assert "bold" not in bold, page.url


def test_every_page_shows_markup_as_text(hostile: Workspace, address: str, visitor: BrowserContext) -> None:
    store = hostile.open_store("hostile-l0@" + hostile.open_store(hostile.store_ids()[0]).dataset.id)
    catalog = Catalog(hostile.catalog_url)
    name = TOKENS[0]
    make_list(catalog, name, name)
    catalog.close()
    page = visitor.new_page()
    stats = store.stats().sort_values("n", ascending=False)
    living = [int(feature) for feature in stats["feature_id"][:6]]
    paths = [
        "/",
        *(f"/feature/{store.id}/{feature}" for feature in {1, *living}),
        f"/explorer/{store.id}",
        *(f"/labels/{store.id}?tab={tab}" for tab in ("labels", "queue", "reviews", "lists", "files")),
        f"/training?runs={store.sae_id}",
        "/layers/hostile",
        "/present",
    ]
    for path in paths:
        page.goto(address + path)
        expect(page.locator("main h1")).to_be_visible()
        assert_only_text(page)


def test_the_hostile_words_are_really_shown(hostile: Workspace, address: str, visitor: BrowserContext) -> None:
    store = hostile.open_store(hostile.store_ids()[0])
    page = visitor.new_page()
    strongest = int(store.stats().sort_values("n", ascending=False)["feature_id"].iloc[0])
    page.goto(f"{address}/feature/{store.id}/{strongest}")
    for panel in ("#feature-strongest", "#feature-tokens"):
        expect(page.locator(panel)).to_contain_text(re.compile("<(img/src|script|a/href|svg/onload)"))
    assert any("<b>column</b>" in option for option in page.locator("#feature-column option").all_inner_texts())
    page.locator("#feature-category-rates .main-svg").first.wait_for()
    shown = page.locator("#feature-category-rates .main-svg text").all_text_contents()
    assert any(text.startswith("<") for text in shown), shown
    page.goto(f"{address}/explorer/{store.id}")
    expect(page.locator("#explorer-grid")).to_contain_text("<script>")
    assert_only_text(page)
