"""The command refuses what cannot work in one sentence with exit code 2, and leaves nothing behind."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.catalog import Catalog
from catalog.jobs import jobs
from loaders.workspace import Workspace
from loupe import demo
from loupe.cli import main


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """The command takes SIGTERM over; the tests' own process keeps its handler."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--port", "99999"], "A port is a number from 0 to 65535: found 99999."),
        (["--port", "-3"], "A port is a number from 0 to 65535: found -3."),
        (["--workers", "0"], "--workers must be at least 1: found 0."),
        (["--threads", "0"], "--threads must be at least 1: found 0."),
    ],
)
def test_a_server_that_cannot_start_says_which_option_is_wrong(options, sentence, tmp_path, capsys) -> None:
    assert main(["serve", str(tmp_path), *options]) == 2
    assert capsys.readouterr().err.startswith(f"loupe: {sentence}")


def test_a_file_in_the_workspaces_place_is_named_in_one_line(tmp_path: Path, capsys) -> None:
    place = tmp_path / "file"
    place.write_text("")
    assert main(["demo", "--no-serve", "--workspace", str(place)]) == 2
    assert capsys.readouterr().err == f"loupe: '{place}': File exists\n"


def test_a_step_does_not_create_the_workspace_that_it_needs(tmp_path: Path, capsys) -> None:
    assert main(["stats", "--workspace", str(tmp_path / "gone"), "--store", "a@b"]) == 2
    assert capsys.readouterr().err.startswith(f"loupe: There is no workspace at '{tmp_path / 'gone'}'.")
    assert not (tmp_path / "gone").exists()


def test_a_demo_that_cannot_be_planned_says_so_on_home_until_it_can(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.delenv("LOUPE_DATABASE_URL", raising=False)
    model = tmp_path / "not-a-model"
    model.mkdir()
    assert main(["demo", "--no-serve", "--workspace", str(tmp_path), "--model", str(model)]) == 2
    said = capsys.readouterr().err.removeprefix("loupe: ").strip()
    catalog = Catalog(Workspace(tmp_path).catalog_url)
    assert [(job.job_id, job.status, job.note) for job in jobs(catalog)] == [("plan", "failed", said)]
    monkeypatch.setattr("precompute.demo.demo_tasks", lambda workspace, model, catalog: [])
    assert demo.run_demo(str(tmp_path), str(model)) == 0
    assert [(job.job_id, job.status, job.note) for job in jobs(catalog) if job.job_id == "plan"] == [
        ("plan", "done", "")
    ]
    catalog.close()
