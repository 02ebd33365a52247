"""A backup holds every row and says when it does not; a restore gives them all back, on either database, or changes nothing."""

import os
import signal
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from catalog import backup as backups
from catalog.backup import back_up, read_backup, restore
from catalog.bookmarks import bookmarks_of, put_bookmark
from catalog.catalog import Catalog
from catalog.comments import comments_on, put_comment
from catalog.errors import BackupDamaged, CatalogTooNew
from catalog.labels import Evidence, Origin, get_label, history, put_label
from catalog.lists import add_to_list, list_items, lists, make_list
from catalog.people import add_person, people
from catalog.runs import finish_run, runs, start_run, update_run
from catalog.settings import get_setting, put_setting
from catalog.tokens import make_token, use_token
from catalog.upkeep import status_of
from catalog.votes import put_vote, votes_on
from loaders.errors import BadInput
from tests.catalog.first_schema import make_first_catalog
from tests.postgres import Postgres


def fill(url: str) -> str:
    """Something in most tables; returns the secret of a token."""
    catalog = Catalog(url)
    put_label(
        catalog, "sae", "f00d", 1, "trees ü \U0001f333", "notes\n\twith lines", "ada", None, category="plants",
        confidence=0.1, evidence=Evidence("sae@texts", 7, 3), origin=Origin("inherited", "beef", 4, 0.93), edit_key="k-1",
    )  # fmt: skip
    put_label(catalog, "sae", "f00d", 1, "roots", "", "bob", 1)
    put_vote(catalog, "f00d", 1, 2, "ada", -1)
    put_comment(catalog, "f00d", 1, 2, "Are they?", "ada")
    add_to_list(catalog, make_list(catalog, "Plants", "ada").list_id, "sae", "f00d", [1, 9], "ada")
    put_bookmark(catalog, "ada", "sae", "f00d", 9)
    add_person(catalog, "ada", role="admin", password_hash="$argon2id$x")
    put_setting(catalog, "signing-key", "s3cret")
    start_run(catalog, "r1", "sae", {"model_id": "minilm", "lr": 0.01})
    update_run(catalog, "r1", 5, {"loss": 0.125, "l0": float("nan")}, row={"loss": 0.125, "l0": float("nan")})
    finish_run(catalog, "r1", "done", {"fvu": 1 / 3})
    secret = make_token(catalog, "ada", "script", "viewer").secret
    catalog.close()
    return secret


def everything(url: str) -> dict[str, object]:
    catalog = Catalog(url)
    with catalog.read_tables() as connection:
        found = {table.name: backups._digest(connection, table) for table in backups.tables_in(connection)}
    catalog.close()
    return dict(found)


@pytest.fixture
def other(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> str:
    """Address of an empty database of the other kind."""
    if url.startswith("sqlite"):
        postgres: Postgres = request.getfixturevalue("postgres")
        return postgres.make_database()
    return f"sqlite:///{tmp_path / 'other.sqlite'}"


def test_a_backup_of_one_database_restores_every_row_into_the_other(url: str, other: str, tmp_path: Path) -> None:
    secret = fill(url)
    made = back_up(url, tmp_path / "backup")
    assert restore(other, tmp_path / "backup") == made
    assert everything(other) == everything(url)
    assert made.rows["labels"] == 2 and made.rows["feature_list_items"] == 2 and made.rows["claims"] == 0
    catalog = Catalog(other)
    assert [label.name for label in history(catalog, "f00d", 1)] == ["roots", "trees ü \U0001f333"]
    first = history(catalog, "f00d", 1)[1]
    assert (first.notes, first.confidence, first.evidence) == ("notes\n\twith lines", 0.1, Evidence("sae@texts", 7, 3))
    assert first.origin == Origin("inherited", "beef", 4, 0.93)
    assert votes_on(catalog, "f00d", 1)[0].value == -1
    assert comments_on(catalog, "f00d", 1)[0].text == "Are they?"
    assert [item.feature_id for item in list_items(catalog, lists(catalog)[0].list_id)] == [1, 9]
    assert bookmarks_of(catalog, "ada")[0].feature_id == 9
    assert people(catalog)[0].password_hash == "$argon2id$x"
    assert get_setting(catalog, "signing-key") == "s3cret"
    assert (runs(catalog)[0].final_fvu, runs(catalog)[0].learning_rate) == (1 / 3, 0.01)
    used = use_token(catalog, secret)
    assert used is not None and used[1].name == "ada"
    catalog.close()


def test_what_is_added_after_a_restore_gets_numbers_of_its_own(url: str, other: str, tmp_path: Path) -> None:
    fill(url)
    back_up(url, tmp_path / "backup")
    restore(other, tmp_path / "backup")
    catalog = Catalog(other)
    assert put_comment(catalog, "f00d", 1, 2, "Yes.", "bob").comment_id > 1
    assert make_list(catalog, "Others", "bob").list_id > lists(catalog)[1].list_id
    catalog.close()


def test_a_catalog_that_holds_rows_is_only_replaced_on_request(url: str, tmp_path: Path) -> None:
    fill(url)
    back_up(url, tmp_path / "backup")
    before = everything(url)
    catalog = Catalog(url)
    put_label(catalog, "sae", "f00d", 5, "newer", "", "ada", None)
    with pytest.raises(BadInput, match=r"holds \d+ rows: nothing was restored"):
        restore(url, tmp_path / "backup")
    assert get_label(catalog, "f00d", 5) is not None
    restore(url, tmp_path / "backup", replaces=True)
    assert get_label(catalog, "f00d", 5) is None  # through connections that were open all the time
    catalog.close()
    assert everything(url) == before


def test_an_altered_backup_is_refused_and_changes_nothing(url: str, tmp_path: Path) -> None:
    fill(url)
    path = tmp_path / "backup"
    back_up(url, path)
    with sqlite3.connect(path) as connection:
        connection.execute("update labels set name = 'rooks' where name = 'roots'")
    connection.close()
    before = everything(url)
    with pytest.raises(BackupDamaged, match="table 'labels' should be 2 rows"):
        restore(url, path, replaces=True)
    with pytest.raises(BackupDamaged, match="table 'labels'"):
        read_backup(path)
    assert everything(url) == before


def test_a_backup_that_lacks_a_part_is_refused(url: str, tmp_path: Path) -> None:
    fill(url)
    path = tmp_path / "backup"
    back_up(url, path)
    whole = path.read_bytes()
    for kept in (0, 100, 4096, len(whole) // 2, len(whole) - 4096):
        path.write_bytes(whole[:kept])
        with pytest.raises((BackupDamaged, BadInput), match=r"damaged|is no backup"):
            restore(url, path, replaces=True)
    assert status_of(url).rows["labels"] == 2


def test_a_restore_that_dies_half_way_changes_nothing(url: str, tmp_path: Path) -> None:
    fill(url)
    back_up(url, tmp_path / "backup")
    catalog = Catalog(url)
    put_label(catalog, "sae", "f00d", 5, "newer", "", "ada", None)
    catalog.close()
    before = everything(url)
    child = os.fork()
    if child == 0:
        backups._verify = lambda connection, wanted, sentence: (
            os.kill(os.getpid(), signal.SIGKILL) if sentence.startswith("What was restored") else None
        )
        restore(url, tmp_path / "backup", replaces=True)
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert everything(url) == before


def test_a_backup_is_of_one_moment_while_others_write(url: str, tmp_path: Path) -> None:
    catalog = Catalog(url)
    stop = threading.Event()

    def write_pairs() -> None:
        """Two features always have the same number of versions."""
        version: int | None = None
        while not stop.is_set():
            put_label(catalog, "sae", "f00d", 1, "one", "", "ada", version)
            version = put_label(catalog, "sae", "f00d", 2, "two", "", "ada", version).version

    writer = threading.Thread(target=write_pairs)
    writer.start()
    try:
        for i in range(3):
            back_up(url, tmp_path / f"backup{i}")
    finally:
        stop.set()
        writer.join()
    for i in range(3):
        place = f"sqlite:///{tmp_path / f'restored{i}.sqlite'}"
        restore(place, tmp_path / f"backup{i}")
        restored = Catalog(place)
        counts = [len(history(restored, "f00d", feature)) for feature in (1, 2)]
        assert counts[0] - counts[1] in (0, 1)
        restored.close()
    catalog.close()


def test_a_backup_of_the_first_version_is_restored_and_brought_up_to_date(url: str, other: str, tmp_path: Path) -> None:
    make_first_catalog(url)
    made = back_up(url, tmp_path / "backup")
    assert (made.version, made.rows) == (1, {"labels": 3, "training_runs": 1, "jobs": 1})
    assert status_of(url).version == 1
    restore(other, tmp_path / "backup")
    catalog = Catalog(other)
    assert [label.name for label in history(catalog, "f00d", 7)] == ["nodes ü", "trees"]
    assert runs(catalog)[0].model_id == "minilm"
    catalog.close()


def test_a_backup_of_a_later_loupe_is_refused(url: str, tmp_path: Path) -> None:
    fill(url)
    back_up(url, tmp_path / "backup")
    with sqlite3.connect(tmp_path / "backup") as connection:
        connection.execute("update backup_contents set value = '9' where name = 'version'")
    connection.close()
    with pytest.raises(CatalogTooNew, match="schema version 9"):
        restore(url, tmp_path / "backup", replaces=True)


def test_a_backup_replaces_an_earlier_one_and_no_other_file(url: str, tmp_path: Path) -> None:
    fill(url)
    first = back_up(url, tmp_path / "backup")
    assert back_up(url, tmp_path / "backup").made_at > first.made_at
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o600
    (tmp_path / "thesis.txt").write_text("everything")
    with pytest.raises(BadInput, match=r"thesis\.txt' is no backup of a catalog: choose another name"):
        back_up(url, tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "everything"
    assert [path.name for path in tmp_path.iterdir() if ".tmp" in path.name] == []


def test_what_is_no_backup_is_not_restored(url: str, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("everything")
    with pytest.raises(BadInput, match="There is no backup at"):
        restore(url, tmp_path / "nothing")
    with pytest.raises(BadInput, match="is no backup of a catalog"):
        restore(url, tmp_path / "thesis.txt")


def test_there_is_nothing_to_back_up_before_there_are_tables(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has no tables yet"):
        back_up(url, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
