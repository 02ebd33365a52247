"""Many writers at once, killed writers and a killed database: what was acknowledged is there, in order, and none twice."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from sqlalchemy import text

from catalog.catalog import Catalog
from catalog.errors import CatalogUnavailable
from catalog.labels import history, labels_of, put_label
from tests.postgres import Postgres

ROOT = Path(__file__).parents[2]

WRITER = """
import sys, json
from catalog.catalog import Catalog
from catalog.errors import StaleEdit
from catalog.labels import put_label, get_label
url, who, edits = sys.argv[1], sys.argv[2], int(sys.argv[3])
catalog = Catalog(url)
for i in range(edits):
    seen = get_label(catalog, "f00d", 7)
    while True:
        try:
            saved = put_label(catalog, "sae", "f00d", 7, f"{who}-{i}", "", who, seen.version if seen else None,
                              edit_key=f"{who}-{i}")
            break
        except StaleEdit as error:
            seen = error.current
    print(json.dumps([saved.version, saved.name]), flush=True)
"""


def start_writer(url: str, who: str, edits: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, url, who, str(edits)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_eight_processes_that_label_one_feature_at_once_lose_nothing(url: str) -> None:
    Catalog(url).close()
    writers = [start_writer(url, f"w{i}", 12) for i in range(8)]
    acknowledged = [json.loads(line) for writer in writers for line in writer.communicate(timeout=240)[0].splitlines()]
    assert [writer.returncode for writer in writers] == [0] * 8
    catalog = Catalog(url)
    kept = [[label.version, label.name] for label in history(catalog, "f00d", 7)]
    assert len(kept) == 96
    assert sorted(acknowledged) == sorted(kept)
    for i in range(8):  # each writer's edits in the order in which it made them
        own = [name for _, name in sorted(kept) if name.startswith(f"w{i}-")]
        assert own == [f"w{i}-{n}" for n in range(12)]
    catalog.close()


def test_writers_that_are_killed_lose_nothing_they_were_told_was_saved(url: str) -> None:
    Catalog(url).close()
    acknowledged: list[list[object]] = []
    for _ in range(3):  # the same writer again, from its first edit: what was saved is acknowledged once more
        writer = start_writer(url, "w", 400)
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(15)]
        os.kill(writer.pid, signal.SIGKILL)
        lines += writer.stdout.read().splitlines()
        writer.wait()
        acknowledged += [json.loads(line) for line in lines if line.strip().endswith("]")]
    catalog = Catalog(url)
    kept = [[label.version, label.name] for label in history(catalog, "f00d", 7)]
    assert all(each in kept for each in acknowledged)
    names = [name for _, name in sorted(kept)]
    assert names == [f"w-{i}" for i in range(len(names))]  # in order, none twice
    catalog.close()


def test_a_postgresql_that_dies_keeps_what_was_acknowledged(postgres: Postgres) -> None:
    url = postgres.make_database()
    catalog = Catalog(url)

    def save(feature: int) -> int:
        return put_label(catalog, "sae", "f00d", feature, "trees", "", "ada", None, edit_key=f"k{feature}").version

    for feature in range(5):
        save(feature)
    with suppress(CatalogUnavailable), catalog.write() as session:
        session.execute(text("update labels set name = 'never committed'"))
        postgres.kill()
    postgres.start()
    assert save(3) == 1  # sent again, over a new connection
    assert save(5) == 1
    assert [label.name for label in labels_of(catalog, "f00d").values()] == ["trees"] * 6
    assert [len(history(catalog, "f00d", feature)) for feature in range(6)] == [1] * 6
    catalog.close()
    postgres.drop_database(url)
