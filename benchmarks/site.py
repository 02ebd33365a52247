"""What a visitor waits for: first load over the wire, the Feature page's server time, components and settling."""

import argparse
import random
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser

from benchmarks.browser import Watch, chromium, served
from benchmarks.result import write_result
from loaders.workspace import Workspace


def measure_first_load(browser: Browser, address: str) -> dict[str, float]:
    """Bytes over the wire of the first visit to Home, and hosts other than ours."""
    page = browser.new_context().new_page()
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    received: list[float] = []
    hosts: set[str] = set()
    client.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    watch = Watch(page)
    page.goto(address)
    watch.settle()
    return {"first_load_mb": round(sum(received) / 1e6, 3), "foreign_hosts": len(hosts - {address.split("/")[2]})}


def measure_features(browser: Browser, address: str, store: str, features: list[int]) -> dict[str, object]:
    """Server time (sum over the page's callbacks, as the browser sees it) and settling time of each Feature page."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    watch = Watch(page)
    server, settled = [], []
    page.goto(f"{address}/feature/{store}/{features[0]}")
    watch.settle()
    for feature in features:
        watch.server_ms.clear()
        page.goto(f"{address}/feature/{store}/{feature}")
        settled.append(watch.settle())
        server.append(sum(watch.server_ms))
    return {
        "features": len(features),
        "server_ms": {f"p{q}": round(float(np.percentile(server, q)), 1) for q in (50, 95, 99)},
        "settled_ms": {f"p{q}": round(float(np.percentile(settled, q)), 1) for q in (50, 95, 99)},
        "console": sorted(set(watch.console)),
    }


def measure_pages(browser: Browser, address: str, workspace: Workspace) -> dict[str, object]:
    """Settling time and console lines of every kind of page."""
    store = workspace.store_ids()[0]
    paths = ["/", f"/explorer/{store}", f"/feature/{store}/0", "/training", *(f"/layers/{s}" for s in workspace.sets())]
    found: dict[str, object] = {}
    for path in paths:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        watch = Watch(page)
        page.goto(address + path)
        found[path] = {"settled_ms": round(watch.settle(), 1), "console": watch.console}
        page.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", default="workspace")
    parser.add_argument("--features", type=int, default=200)
    parsed = parser.parse_args()
    workspace = Workspace(Path(parsed.workspace))
    store = workspace.store_ids()[-1]
    count = workspace.open_store(store).features
    features = random.Random(0).sample(range(count), min(parsed.features, count))
    start = time.monotonic()
    with served(parsed.workspace) as (address, ready), chromium() as browser:
        figures = {
            "second_start_s": round(ready, 2),
            **measure_first_load(browser, address),
            "feature_page": {"store": store, **measure_features(browser, address, store, features)},
            "pages": measure_pages(browser, address, workspace),
            "seconds": 0.0,
        }
    figures["seconds"] = round(time.monotonic() - start, 1)
    write_result("site", figures)


if __name__ == "__main__":
    main()
