"""People in front of a served workspace: they send the callbacks that a browser was seen to send, think, and send others."""

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple

from benchmarks.server_recording import Recorded, asks_for_rows
from benchmarks.site import CALLBACK, with_feature

THINK_S = 5.0
PATIENCE_S = 60.0
CLICKS = {"feature": 5, "explorer": 3, "labels": 2, "label": 1}
"""How often people click what: a feature, the Explorer's table, the Labels page, saving a label."""
SORTS = ("density", "max", "mean", "n", "median", "feature_id")
LABEL_SORTS = ("saved", "name", "feature", "author")
WORDS = ("the", "data", "array", "return", "import", "value", "name", "list")
CARRIED = ("label-base", "label-saved")
"""What an answer says that the next callback sends back: the version that was opened with its edit's key, what was saved."""


class Answered(NamedTuple):
    """One click: its kind, when it began (s after the start), and the milliseconds of each of its requests."""

    kind: str
    at: float
    request_ms: list[float]


class Person(threading.Thread):
    """Clicks and thinks until told to stop; what was answered is in `clicks`, what failed in `failures`.

    A kept connection that the server has closed between two requests is opened anew, as a browser does (`reopened` counts
    that). With `keeps_connection` False every request opens its own: then one without an answer is lost for certain.
    A server that takes no connection has accepted nothing: it is asked until it does (`refused` counts that).
    """

    def __init__(
        self, number: int, address: str, recorded: Recorded, features: int,
        think_s: float = THINK_S, keeps_connection: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(daemon=True)
        self.number, self.address, self.recorded, self.features = number, address, recorded, features
        self.think_s, self.keeps_connection = think_s, keeps_connection
        self.random = random.Random(number)
        self.clicks: list[Answered] = []
        self.failures: list[str] = []
        self.reopened = self.refused = 0
        self.stopped = threading.Event()
        self.began = time.monotonic()
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        self.stopped.wait(self.random.uniform(0, self.think_s))
        while not self.stopped.is_set():
            kind = self.random.choices(list(CLICKS), list(CLICKS.values()))[0]
            start = time.monotonic() - self.began
            try:
                spent = [self.send(body) for body in getattr(self, f"{kind}_click")()]
                self.clicks.append(Answered(kind, start, spent))
            except Exception as error:  # whatever it is, it must be counted: a person who is gone clicks no more
                self.failures.append(f"{kind}: {error!r}")
                self._close()
            self.stopped.wait(self.random.expovariate(1 / self.think_s) if self.think_s else 0)

    def feature_click(self) -> Iterator[dict[str, Any]]:
        yield from self.of_feature(self.recorded.page, self.random.randrange(self.features))

    def explorer_click(self) -> Iterator[dict[str, Any]]:
        """The page, then its table sorted or searched otherwise."""
        yield from self.recorded.explorer
        search = {"filterType": "text", "type": "contains", "filter": self.random.choice(WORDS)}
        filters = {"search": search} if self.random.random() < 0.5 else {}
        yield ordered(self.recorded.explorer, self.random.choice(SORTS), filters)

    def labels_click(self) -> Iterator[dict[str, Any]]:
        """The table of labels, then in another order; or the queue."""
        if self.random.random() < 0.5:
            yield from self.recorded.queue
            return
        yield from self.recorded.labels
        yield ordered(self.recorded.labels, self.random.choice(LABEL_SORTS), {})

    def label_click(self) -> Iterator[dict[str, Any]]:
        """Open a feature's label, change its name and save it; where somebody else was quicker, that is told and no failure."""
        carried: dict[str, Any] = {"label-name": f"click {self.number}"}
        for body in self.of_feature(self.recorded.editor, self.random.randrange(self.features)):
            sent = deepcopy(body)
            for each in (*sent["inputs"], *sent.get("state", [])):
                if each["id"] in carried:
                    each["value"] = carried[each["id"]]
            yield sent
            answered = self.last.get("response", {})
            if refusal := answered.get("label-name-error", {}).get("children"):
                raise ValueError(f"The label was refused: {refusal}")
            if answered.get("label-conflict", {}).get("hidden") is False:
                return
            carried |= {name: answered[name]["data"] for name in CARRIED if "data" in answered.get(name, {})}

    def of_feature(self, bodies: list[dict[str, Any]], feature: int) -> Iterator[dict[str, Any]]:
        """The recorded callbacks, for another feature."""
        for body in bodies:
            yield with_feature(body, self.recorded.store, self.recorded.feature, feature)

    def send(self, body: dict[str, Any]) -> float:
        """Milliseconds from the connection to the answer's end; raises ValueError for an answer that is an error."""
        headers, content = {"Content-Type": "application/json", "Origin": self.address}, json.dumps(body)
        is_kept = self._connection is not None
        self._connection = self._connection or self._connect()
        start = time.monotonic()
        try:
            reply, read = self._exchange(content, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            if not is_kept:
                raise
            self._close()
            self.reopened += 1
            reply, read = self._exchange(content, headers)
        if reply.will_close or not self.keeps_connection:
            self._close()
        if reply.status not in (200, 204):
            raise ValueError(f"{body['output'][:60]} answered {reply.status}: {read[:200]!r}")
        self.last = json.loads(read) if read[:1] == b"{" else {}
        if "shell-message" in self.last.get("sideUpdate", {}):
            raise ValueError(f"{body['output'][:60]} was answered with {self.last['sideUpdate']['shell-message']}")
        return 1000 * (time.monotonic() - start)

    def _exchange(self, content: str, headers: dict[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
        self._connection = self._connection or self._connect()
        self._connection.request("POST", CALLBACK, content, headers)
        reply = self._connection.getresponse()
        return reply, reply.read()

    def _connect(self) -> http.client.HTTPConnection:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            connection = http.client.HTTPConnection(self.address.removeprefix("http://"), timeout=PATIENCE_S)
            try:
                connection.connect()
                return connection
            except ConnectionRefusedError:
                self.refused += 1
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def ordered(bodies: list[dict[str, Any]], column: str, filters: dict[str, Any]) -> dict[str, Any]:
    """The request for a table's rows among a page's callbacks, in another order and filtered."""
    changed = deepcopy(next(body for body in bodies if asks_for_rows(body)))
    wanted = next(each for each in changed["inputs"] if each["property"] == "getRowsRequest")["value"]
    wanted |= {"sortModel": [{"colId": column, "sort": "desc"}], "filterModel": filters}
    return changed


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
