"""People in front of a served workspace: they send the callbacks that a browser was seen to send, think, and send others."""

import http.client
import json
import random
import threading
import time
from typing import Any, NamedTuple

from benchmarks.site import CALLBACK, with_feature

THINK_S = 5.0
SORTS = ("density", "max", "mean", "n", "median", "feature_id")
WORDS = ("the", "data", "array", "return", "import", "value", "name", "list")


class Recorded(NamedTuple):
    """What a browser sent: the callbacks of an Explorer and of a Feature page, and which store and feature they name."""

    store: str
    feature: int
    explorer_page: list[dict[str, Any]]
    feature_page: list[dict[str, Any]]


class Answered(NamedTuple):
    """One click: its kind, when it began (s after the start), and the milliseconds of each of its requests."""

    kind: str
    at: float
    request_ms: list[float]


class Person(threading.Thread):
    """Clicks and thinks until told to stop; what was answered is in `clicks`, what failed in `failures`.

    A kept connection that the server has closed between two requests is opened anew, as a browser does.
    """

    def __init__(self, number: int, address: str, recorded: Recorded, features: int, think_s: float = THINK_S) -> None:
        super().__init__(daemon=True)
        self.number, self.address, self.recorded, self.features, self.think_s = (
            number, address, recorded, features, think_s,
        )  # fmt: skip
        self.random = random.Random(number)
        self.clicks: list[Answered] = []
        self.failures: list[str] = []
        self.stopped = threading.Event()
        self.began = time.monotonic()
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        self.stopped.wait(self.random.uniform(0, self.think_s))
        while not self.stopped.is_set():
            kind = self.random.choices(("feature", "explorer", "label"), (6, 3, 1))[0]
            start = time.monotonic() - self.began
            try:
                spent = [self.send(*request) for request in getattr(self, f"{kind}_click")()]
                self.clicks.append(Answered(kind, start, spent))
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(f"{kind}: {error!r}")
            self.stopped.wait(self.random.expovariate(1 / self.think_s) if self.think_s else 0)

    def feature_click(self) -> list[tuple[str, str, Any]]:
        old, new = self.recorded.feature, self.random.randrange(self.features)
        return [
            ("POST", CALLBACK, with_feature(body, self.recorded.store, old, new)) for body in self.recorded.feature_page
        ]

    def explorer_click(self) -> list[tuple[str, str, Any]]:
        """The page, then its table sorted or searched otherwise."""
        bodies = [("POST", CALLBACK, body) for body in self.recorded.explorer_page]
        rows = next(body for body in self.recorded.explorer_page if "getRowsRequest" in json.dumps(body["inputs"]))
        changed = json.loads(json.dumps(rows))
        wanted = changed["inputs"][0]["value"]
        wanted["sortModel"] = [{"colId": self.random.choice(SORTS), "sort": "desc"}]
        if self.random.random() < 0.5:
            text = {"filterType": "text", "type": "contains", "filter": self.random.choice(WORDS)}
            wanted["filterModel"] = {"search": text}
        return [*bodies, ("POST", CALLBACK, changed)]

    def label_click(self) -> list[tuple[str, str, Any]]:
        """Read a label and save the next version; a version that somebody else saved meanwhile is no failure."""
        at = f"/api/v1/stores/{self.recorded.store}/features/{self.random.randrange(self.features)}/label"
        self.send("GET", at, None)
        saved = {"name": f"click {self.number}", "notes": "", "replaces": self.last["version"]}
        return [("PUT", at, saved)]

    def send(self, method: str, path: str, body: Any) -> float:
        """Milliseconds until the answer was read; raises ValueError for an answer that is an error."""
        start = time.monotonic()
        headers = {"Content-Type": "application/json", "Origin": self.address}
        content = None if body is None else json.dumps(body)
        for is_again in (False, True):
            is_fresh = self._connection is None
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self.address.removeprefix("http://"), timeout=60)
            try:
                self._connection.request(method, path, content, headers)
                reply = self._connection.getresponse()
                read = reply.read()
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self._connection.close()
                self._connection = None
                if is_fresh or is_again:
                    raise
        if reply.will_close and self._connection is not None:
            self._connection.close()
            self._connection = None
        if reply.status not in (200, 204, 409):
            raise ValueError(f"{method} {path} answered {reply.status}: {read[:200]!r}")
        self.last = json.loads(read) if read[:1] == b"{" else {}
        if "shell-message" in self.last.get("sideUpdate", {}):
            raise ValueError(f"{method} {path} was answered with {self.last['sideUpdate']['shell-message']}")
        return 1000 * (time.monotonic() - start)


def go_on(people: list[Person], seconds: float) -> None:
    """Let the people click for so long, then wait until each has its last answer."""
    for person in people:
        person.start()
    time.sleep(seconds)
    leave(people)


def leave(people: list[Person]) -> None:
    """Tell everybody to stop, and wait for them."""
    for person in people:
        person.stopped.set()
    for person in people:
        person.join()
