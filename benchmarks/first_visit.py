"""How long a first visit to a Feature page takes to settle: empty browser cache, no debugger attached to the page.

Playwright's own debugger collects source positions while plotly.js is evaluated, which costs 0.4 s that no visitor
waits for. So Chromium opens the page by itself, an extension notes the last change, and only then is it asked.
"""

import argparse
import json
import random
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks.browser import FLAGS, find_chromium, free_port, served
from benchmarks.result import write_result
from loaders.workspace import Workspace

MANIFEST = {
    "manifest_version": 3,
    "name": "Notes the last change of a page",
    "version": "1",
    "content_scripts": [{"matches": ["http://127.0.0.1/*"], "js": ["watch.js"], "run_at": "document_start"}],
}
WATCH = """
new MutationObserver((changes) => {
  if (changes.every((change) => change.attributeName === "data-settled")) return;
  document.documentElement.dataset.settled = performance.now();
}).observe(document, {childList: true, subtree: true, attributes: true, characterData: true});
"""
STARTED_S, SETTLED_S = 3, 5


def visit(url: str) -> float:
    """Milliseconds from navigation to the last change, in a Chromium that has never been here."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        extension = Path(profile) / "extension"
        extension.mkdir()
        (extension / "manifest.json").write_text(json.dumps(MANIFEST))
        (extension / "watch.js").write_text(WATCH)
        control = f"http://127.0.0.1:{(port := free_port())}"
        flags = [*FLAGS, f"--remote-debugging-port={port}", f"--user-data-dir={profile}/user"]
        flags += [f"--load-extension={extension}", "--window-size=1400,1000", "about:blank"]
        process = subprocess.Popen([find_chromium(), *flags], stderr=subprocess.DEVNULL)
        try:
            time.sleep(STARTED_S)
            urllib.request.urlopen(urllib.request.Request(f"{control}/json/new?{url}", method="PUT")).close()
            time.sleep(SETTLED_S)
            with sync_playwright() as playwright:
                browser = playwright.chromium.connect_over_cdp(control)
                pages = [page for page in browser.contexts[0].pages if page.url == url]
                settled = float(pages[0].evaluate("document.documentElement.dataset.settled"))
                browser.close()
            return settled
        finally:
            process.terminate()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", default="workspace")
    parser.add_argument("--visits", type=int, default=12)
    parsed = parser.parse_args()
    workspace = Workspace(Path(parsed.workspace))
    store = workspace.store_ids()[-1]
    features = random.Random(1).sample(range(workspace.open_store(store).features), parsed.visits)
    with served(parsed.workspace) as (address, _):
        settled = [visit(f"{address}/feature/{store}/{feature}") for feature in features]
    figures = {f"p{q}": round(float(np.percentile(settled, q))) for q in (50, 95)}
    write_result("first_visit", {"store": store, "visits": len(settled), "settled_ms": figures})


if __name__ == "__main__":
    main()
