"""What a hub lists, read in the background: a page asks and goes on at once, however slow or far away the hub is."""

import logging
import threading
import time
from typing import NamedTuple

from loaders.errors import LoupeError
from loaders.hub import Hub
from loaders.hub_place import open_place, without_password
from loaders.hub_schema import Artifact

FRESH_S = 30.0  # a listing, or an error, is believed for as long
FIRST_WAIT_S = 0.2  # that the first page waits, so that a hub on the same disk is there at once
log = logging.getLogger("loupe")


class Snapshot(NamedTuple):
    """What is known now: `artifacts` (newest version of each) is None until the hub has answered once, `error` why the
    last try failed, `age` the seconds since the list was read, `waited` those since a try that still goes on began."""

    shown: str
    artifacts: list[Artifact] | None
    faults: list[str]
    error: str | None
    age: float
    waited: float | None


class HubListing:
    """The list of one hub, read again by one thread at a time when somebody asks and it is older than `FRESH_S`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._hub: Hub | None = None
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._began: float | None = None  # of the try that goes on
        self._tried = float("-inf")  # when the last one ended
        self._read = float("-inf")  # when the list was read
        self._artifacts: list[Artifact] | None = None
        self._faults: list[str] = []
        self._error: str | None = None
        self._shown = without_password(address)

    def snapshot(self) -> Snapshot:
        """What is known; takes at most `FIRST_WAIT_S`, and no time at all once there is a list."""
        now = time.monotonic()
        with self._lock:
            if self._began is None and now - self._tried >= FRESH_S:
                self._began = now
                self._answered.clear()
                threading.Thread(target=self._refresh, name="hub", daemon=True).start()
            began, is_first = self._began, self._artifacts is None
        if began is not None and is_first:
            self._answered.wait(max(0.0, began + FIRST_WAIT_S - time.monotonic()))
        with self._lock:
            now = time.monotonic()
            waited = None if self._began is None else now - self._began
            return Snapshot(self._shown, self._artifacts, self._faults, self._error, now - self._read, waited)

    def _refresh(self) -> None:
        artifacts, error = None, None
        try:
            if self._hub is None:
                self._hub = Hub(open_place(self._address))
                self._shown = self._hub.place.shown
            artifacts = self._hub.refresh().artifacts(newest_only=True)
        except LoupeError as refused:
            error = without_password(str(refused))
        except Exception:
            log.exception("hub failed")
            error = "The hub cannot be read; the server's log has the details."
        with self._lock:
            self._began, self._tried, self._error = None, time.monotonic(), error
            if artifacts is not None and self._hub is not None:
                self._artifacts, self._faults, self._read = artifacts, self._hub.faults, self._tried
        self._answered.set()


_listings: dict[str, HubListing] = {}
_guard = threading.Lock()


def listing_of(address: str) -> HubListing:
    """The one listing of a hub in this process."""
    with _guard:
        return _listings.setdefault(address, HubListing(address))
