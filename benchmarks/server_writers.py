"""Writers of labels who go on through killed workers and databases, and the check of what the catalog then holds."""

import http.client
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import select

from catalog.catalog import Catalog
from catalog.records import LabelRecord

FEATURES_EACH = 5
PATIENCE_S = 60


class Saved(NamedTuple):
    """One acknowledged edit: the text says whose it is and which one."""

    feature: int
    version: int
    name: str


class Writer(threading.Thread):
    """Saves labels one after the other on features of its own; each text is unique.

    An edit whose answer was lost, or was 503, is sent again with the same edit key, so that it is saved no second time.
    What made a writer give up is its `failure`.
    """

    def __init__(self, number: int, address: str, store: str, edits: int) -> None:
        super().__init__(daemon=True)
        self.number, self.address, self.store, self.edits = number, address, store, edits
        self.acknowledged: list[Saved] = []
        self.lost_answers = self.unavailable = 0
        self.failure = ""

    def run(self) -> None:
        try:
            self._write()
        except (OSError, ValueError, KeyError) as error:
            self.failure = f"writer {self.number}: {error!r}"

    def _write(self) -> None:
        versions: dict[int, int | None] = {}
        for edit in range(self.edits):
            feature = self.number * FEATURES_EACH + edit % FEATURES_EACH
            if feature not in versions:
                versions[feature] = self._ask("GET", feature, None)["version"]
            name = f"writer {self.number} edit {edit}"
            sent = {"name": name, "notes": "", "replaces": versions[feature], "edit_key": uuid.uuid4().hex}
            saved = self._ask("PUT", feature, sent)
            versions[feature] = saved["version"]
            self.acknowledged.append(Saved(feature, saved["version"], saved["name"]))

    def _ask(self, method: str, feature: int, body: Any) -> Any:
        """The JSON of the answer, asked for until there is one; raises ValueError for an error other than 503."""
        deadline = time.monotonic() + PATIENCE_S
        path = f"/api/v1/stores/{self.store}/features/{feature}/label"
        headers = {"Content-Type": "application/json", "Origin": self.address}
        while time.monotonic() < deadline:
            connection = http.client.HTTPConnection(self.address.removeprefix("http://"), timeout=PATIENCE_S)
            try:
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                reply = connection.getresponse()
                status, read = reply.status, reply.read()
            except (OSError, http.client.HTTPException):
                self.lost_answers += 1
                status, read = 0, b""
            finally:
                connection.close()
            if status == 503:
                self.unavailable += 1
                if not reply.headers["Retry-After"] or b"Traceback" in read:
                    raise ValueError(f"503 without Retry-After, or with a trace: {read[:200]!r}")
            elif status:
                if status != 200:
                    raise ValueError(f"{method} {path} answered {status}: {read[:200]!r}")
                return json.loads(read)
            time.sleep(0.05)
        raise ValueError(f"No answer for {PATIENCE_S} s: {method} {path}")


def check_catalog(url: str, fingerprint: str, writers: Sequence[Writer]) -> dict[str, int]:
    """Acknowledged edits that are missing, out of order or there twice: all of them 0 where nothing was lost."""
    columns = LabelRecord.feature_id, LabelRecord.version, LabelRecord.name
    query = select(*columns).where(LabelRecord.sae_fingerprint == fingerprint)
    catalog = Catalog(url)
    with catalog.read() as session:
        rows = [Saved(*row) for row in session.execute(query)]
    catalog.close()
    found, times = set(rows), Counter(row.name for row in rows)
    acknowledged = [edit for writer in writers for edit in writer.acknowledged]
    return {
        "missing": sum(edit not in found for edit in acknowledged),
        "out_of_order": sum(
            _out_of_order([edit for edit in writer.acknowledged if edit in found]) for writer in writers
        ),
        "twice": sum(times[edit.name] > 1 for edit in acknowledged),
        "writers_that_gave_up": sum(len(writer.acknowledged) < writer.edits for writer in writers),
    }


def _out_of_order(edits: Sequence[Saved]) -> int:
    """Edits whose version does not follow that of the same feature's edit before."""
    last: dict[int, int] = {}
    wrong = 0
    for edit in edits:
        wrong += edit.version <= last.get(edit.feature, 0)
        last[edit.feature] = edit.version
    return wrong
