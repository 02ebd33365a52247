"""Writers of labels who go on through killed workers, and the check of what the catalog then holds."""

import http.client
import json
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

FEATURES_EACH = 5
PATIENCE_S = 60


class Edit(NamedTuple):
    """One acknowledged edit: the text says whose it is and which one."""

    feature: int
    version: int
    name: str


class Writer(threading.Thread):
    """Saves labels one after the other on features of its own; each text is unique.

    An answer that was lost is asked for again: the version that the edit replaces makes repeating it safe, as the server
    answers 409 with the saved text where it had been saved already.
    """

    def __init__(self, number: int, address: str, store: str, edits: int) -> None:
        super().__init__(daemon=True)
        self.number, self.address, self.store, self.edits = number, address, store, edits
        self.acknowledged: list[Edit] = []
        self.repeated = 0

    def run(self) -> None:
        versions: dict[int, int | None] = {}
        for edit in range(self.edits):
            feature = self.number * FEATURES_EACH + edit % FEATURES_EACH
            if feature not in versions:
                versions[feature] = self.ask("GET", feature, None)[1]["version"]
            name = f"writer {self.number} edit {edit}"
            status, saved = self.ask("PUT", feature, {"name": name, "notes": "", "replaces": versions[feature]})
            if status == 409 and saved["current"]["name"] == name:
                saved = saved["current"]
            elif status != 200:
                raise SystemExit(f"'{name}' was answered {status}: {saved}")
            versions[feature] = saved["version"]
            self.acknowledged.append(Edit(feature, saved["version"], name))

    def ask(self, method: str, feature: int, body: Any) -> tuple[int, Any]:
        """Status and JSON of the answer; asked again while there is none."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            connection = http.client.HTTPConnection(self.address.removeprefix("http://"), timeout=PATIENCE_S)
            headers = {"Content-Type": "application/json", "Origin": self.address}
            try:
                path = f"/api/v1/stores/{self.store}/features/{feature}/label"
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                reply = connection.getresponse()
                read = json.loads(reply.read())
                if reply.status != 503:
                    return reply.status, read
            except (OSError, http.client.HTTPException, ValueError):
                pass
            finally:
                connection.close()
            self.repeated += 1
            time.sleep(0.05)
        raise SystemExit(f"Writer {self.number} had no answer for {PATIENCE_S} s.")


def check_catalog(catalog: Path, fingerprint: str, writers: list[Writer]) -> dict[str, int]:
    """Acknowledged edits that are missing, out of order or there twice: all of them 0 where nothing was lost."""
    query = "select feature_id, version, name from labels where sae_fingerprint = ? order by feature_id, version"
    with sqlite3.connect(catalog) as connection:
        rows = [Edit(*row) for row in connection.execute(query, [fingerprint])]
    found, times = set(rows), Counter(row.name for row in rows)
    place = {row.name: (row.feature, row.version) for row in rows}
    out_of_order = 0
    for writer in writers:
        last: dict[int, int] = {}
        for edit in writer.acknowledged:
            version = place.get(edit.name, (0, 0))[1]
            out_of_order += version <= last.get(edit.feature, 0)
            last[edit.feature] = version
    acknowledged = [edit for writer in writers for edit in writer.acknowledged]
    return {
        "missing": sum(edit not in found for edit in acknowledged),
        "out_of_order": out_of_order,
        "twice": sum(times[edit.name] > 1 for edit in acknowledged),
        "writers_that_gave_up": sum(len(writer.acknowledged) < writer.edits for writer in writers),
    }
