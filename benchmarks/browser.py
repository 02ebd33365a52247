"""Drive a served workspace in Chromium and say when a page has settled and what its console said."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

from loaders.errors import BadInput

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
QUIET_MS = 250
WATCH = "window.lastChange = 0; new MutationObserver(() => { window.lastChange = performance.now(); })" + (
    ".observe(document, {childList: true, subtree: true, attributes: true, characterData: true});"
)


def find_chromium() -> str:
    """Path of the system's Chromium; raises BadInput that says what to install."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise BadInput(
        "No Chromium was found. Install it (Debian: apt-get install chromium chromium-driver) and run again."
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@contextmanager
def served(workspace: str) -> Iterator[tuple[str, float]]:
    """Serve a workspace with `loupe serve`; yields its address and the seconds until the first page answered."""
    port, start = free_port(), time.monotonic()
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([sys.executable, "-m", "loupe", "serve", workspace, "--port", str(port)])
    try:
        while not answers(address + "/"):
            if process.poll() is not None or time.monotonic() - start > 60:
                raise BadInput(f"The server did not start on {address}; see its message above.")
            time.sleep(0.05)
        yield address, time.monotonic() - start
    finally:
        process.terminate()
        process.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield browser
        browser.close()


class Watch:
    """Counts a page's open requests, and keeps what the console says."""

    def __init__(self, page: Page) -> None:
        self.page, self.pending, self.console = page, 0, list[str]()
        page.add_init_script(WATCH)
        page.on("request", lambda request: self._change(1))
        page.on("requestfinished", lambda request: self._change(-1))
        page.on("requestfailed", lambda request: self._change(-1))
        page.on(
            "console", lambda line: self.console.append(f"{line.type}: {line.text}") if line.type in _LOUD else None
        )
        page.on("pageerror", lambda error: self.console.append(f"exception: {error}"))

    def _change(self, by: int) -> None:
        self.pending += by

    def settle(self, limit_s: float = 20) -> float:
        """Wait until nothing is requested and nothing changes; returns performance.now() of the last change, in ms."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            self.page.wait_for_timeout(50)
            now, last = self.page.evaluate("[performance.now(), window.lastChange]")
            if self.pending <= 0 and now - last > QUIET_MS:
                return float(last)
        raise TimeoutError(f"The page {self.page.url} did not settle within {limit_s} s.")


_LOUD = ("error", "warning")
