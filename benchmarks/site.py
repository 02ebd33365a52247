"""What a visitor waits for: first load over the wire, the Feature page's server time, components and settling."""

import argparse
import http.client
import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser

from benchmarks.browser import Watch, chromium, served
from benchmarks.result import write_result
from loaders.workspace import Workspace

CALLBACK = "/_dash-update-component"
VISITS = 30


def measure_load(browser: Browser, address: str, path: str) -> dict[str, float]:
    """Megabytes over the wire of a first visit that begins on this page, and the number of hosts other than ours."""
    page = browser.new_context().new_page()
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    received: list[float] = []
    hosts: set[str] = set()
    client.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    watch = Watch(page)
    page.goto(address + path)
    watch.settle()
    return {"mb": round(sum(received) / 1e6, 3), "foreign_hosts": len(hosts - {address.split("/")[2]})}


def record_callbacks(
    browser: Browser, address: str, store: str, feature: int, limit_s: float = 20
) -> list[dict[str, Any]]:
    """Bodies of the callbacks that one Feature page sends to the server, in their order."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    watch, bodies = Watch(page), list[dict[str, Any]]()
    page.on("request", lambda request: bodies.append(request.post_data_json) if CALLBACK in request.url else None)
    page.goto(f"{address}/feature/{store}/{feature}")
    watch.settle(limit_s)
    page.close()
    return bodies


def with_feature(body: Any, store: str, old: int, new: int) -> Any:
    """The same callback for another feature: its address and its place are exchanged."""
    if isinstance(body, dict):
        return {
            key: new if key == "feature" and value == old else with_feature(value, store, old, new)
            for key, value in body.items()
        }
    if isinstance(body, list):
        return [with_feature(value, store, old, new) for value in body]
    return f"/feature/{store}/{new}" if body == f"/feature/{store}/{old}" else body


def measure_server(
    address: str, store: str, recorded: int, bodies: list[dict[str, Any]], features: list[int]
) -> list[float]:
    """Milliseconds that the server takes for all callbacks of each feature's page, sent one after the other."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    totals = []
    for feature in features:
        start = time.perf_counter()
        for body in bodies:
            content = json.dumps(with_feature(body, store, recorded, feature))
            connection.request("POST", CALLBACK, content, {"Content-Type": "application/json", "Origin": address})
            reply = connection.getresponse()
            reply.read()
            if reply.status not in (200, 204):
                raise SystemExit(f"A callback of feature {feature} answered {reply.status}.")
        totals.append((time.perf_counter() - start) * 1000)
    return totals


def measure_features(browser: Browser, address: str, store: str, features: list[int]) -> dict[str, object]:
    """Server time of the whole page for every feature; settling time and components for the first of them."""
    recorded = features[0]
    bodies = record_callbacks(browser, address, store, recorded)
    server = measure_server(address, store, recorded, bodies, features)
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    watch, settled = Watch(page), []
    page.goto(f"{address}/feature/{store}/{recorded}")
    first_visit = watch.settle()
    for feature in features[:VISITS]:
        page.goto(f"{address}/feature/{store}/{feature}")
        settled.append(watch.settle())
    return {
        "features": len(features),
        "callbacks": len(bodies),
        "server_ms": _percentiles(server),
        "visits": len(settled),
        "settled_ms": _percentiles(settled),
        "settled_first_visit_ms": round(first_visit),
        "console": sorted(set(watch.console)),
    }


def _percentiles(values: list[float]) -> dict[str, float]:
    return {f"p{q}": round(float(np.percentile(values, q)), 1) for q in (50, 95, 99)}


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
            "first_load": {
                path: measure_load(browser, address, path)
                for path in ("/", f"/explorer/{store}", f"/feature/{store}/0")
            },
            "feature_page": {"store": store, **measure_features(browser, address, store, features)},
            "pages": measure_pages(browser, address, workspace),
            "seconds": 0.0,
        }
    figures["seconds"] = round(time.monotonic() - start, 1)
    write_result("site", figures)


if __name__ == "__main__":
    main()
