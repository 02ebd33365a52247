"""`loupe catalog`: what each verb does, says and refuses, over a workspace that the pipeline made."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from catalog.catalog import Catalog
from catalog.features import features_of, synced_stores
from catalog.labels import get_label, put_label
from catalog.metrics import metrics_of
from catalog.models import sae_models
from catalog.runs import runs
from loaders.workspace import Workspace
from loupe.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text()


@pytest.fixture
def copy(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace of one's own: stores, SAEs, datasets and runs."""
    monkeypatch.delenv("LOUPE_DATABASE_URL", raising=False)
    for kind in ("stores", "saes", "datasets"):
        shutil.copytree(workspace.root / kind, tmp_path / kind)
    assert main(["catalog", "backup", str(tmp_path / "all"), "--workspace", str(workspace.root)]) == 0
    assert main(["catalog", "restore", str(tmp_path / "all"), "--workspace", str(tmp_path)]) == 0
    return Workspace(tmp_path)


def test_a_sync_loads_every_store_sae_and_run_once(copy: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["catalog", "sync", "--json", "--workspace", str(copy.root)]
    capsys.readouterr()
    assert main(words) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["loaded"], done["features"], done["models"]) == (copy.store_ids(), 256, 2)
    catalog = Catalog(copy.catalog_url)
    for store_id in copy.store_ids():
        stats = copy.open_store(store_id).stats()
        found = features_of(catalog, store_id)
        assert [each.n for each in found] == stats["n"].tolist()
        assert [each.activation_sum for each in found] == stats["sum"].tolist()
        assert [each.max_activation for each in found] == stats["max"].tolist()
        norms = np.linalg.norm(copy.sae(copy.open_store(store_id).sae_id).decoder(), axis=1)
        assert [each.decoder_norm for each in found] == pytest.approx(norms.tolist())
    file = sae_models(catalog)[0]
    assert file.file_bytes == (copy.root / file.file_path).stat().st_size
    assert (file.width, file.features, file.hook) == (32, 128, "encoder.layer.0")
    assert file.run_id in {run.run_id for run in runs(catalog)}
    assert main(words) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["loaded"], again["unchanged"], again["models"], again["runs"]) == ([], copy.store_ids(), 0, 0)
    catalog.close()


def test_the_pipelines_runs_have_their_logged_metrics_without_a_sync(workspace: Workspace) -> None:
    catalog = Catalog(workspace.catalog_url)
    for run in runs(catalog):
        rows = [json.loads(line) for line in (workspace.sae_dir(run.sae_id) / "metrics.jsonl").read_text().splitlines()]
        assert [(each.step, each.metrics) for each in metrics_of(catalog, run.run_id)] == [
            (row["step"], row) for row in rows
        ]
        assert run.final_fvu is not None and run.hook in ("encoder.layer.0", "encoder.layer.1")
    catalog.close()


def test_a_sync_forgets_what_is_gone_and_names_what_cannot_be_read(
    copy: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["catalog", "sync", "--workspace", str(copy.root)]
    main(words)
    gone, damaged = copy.store_ids()
    shutil.rmtree(copy.store_dir(gone))
    capsys.readouterr()
    assert main(words) == 0
    assert "0 stores loaded (0 features), 1 as they were, 1 gone" in capsys.readouterr().out
    catalog = Catalog(copy.catalog_url)
    assert [store.store_id for store in synced_stores(catalog)] == [damaged]
    with catalog.write() as session:
        session.execute(text("delete from synced_stores"))
    (copy.store_dir(damaged) / "tables" / "stats.parquet").write_bytes(b"not parquet")
    assert main(words) == 1
    assert f"{damaged}" in capsys.readouterr().out
    catalog.close()


def test_a_backup_is_restored_and_a_full_catalog_needs_replace(
    copy: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    file, place = str(copy.root / "labels.backup"), ["--workspace", str(copy.root)]
    catalog = Catalog(copy.catalog_url)
    put_label(catalog, "sae", "f00d", 1, "trees", "", "ada", None)
    assert main(["catalog", "backup", file, *place]) == 0
    put_label(catalog, "sae", "f00d", 1, "roots", "", "ada", 1)
    assert main(["catalog", "restore", file, *place]) == 2
    assert "nothing was restored. Back it up, then use --replace" in capsys.readouterr().err
    assert main(["catalog", "restore", file, "--replace", *place]) == 0
    label = get_label(catalog, "f00d", 1)
    assert label is not None and label.name == "trees"
    catalog.close()


def test_the_tables_go_down_only_when_that_is_meant_and_up_again(
    copy: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--workspace", str(copy.root)]
    assert main(["catalog", "downgrade", "1", *place]) == 2
    assert "has no place for all that version 2 holds. Run `loupe catalog backup FILE` first" in capsys.readouterr().err
    assert main(["catalog", "downgrade", "1", "--yes", *place]) == 0
    capsys.readouterr()
    assert main(["catalog", "status", "--json", *place]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["version"], status["newest"], status["rows"]["training_runs"]) == (1, 2, 2)
    assert main(["catalog", "upgrade", *place]) == 0
    assert "version 2 now (version 1 before)" in capsys.readouterr().out
    assert main(["catalog", "upgrade", *place]) == 0
    assert "version 2 already" in capsys.readouterr().out
    assert main(["catalog", "downgrade", "2", *place]) == 0


def test_what_is_not_there_is_said_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "status", "--workspace", str(tmp_path / "none")]) == 2
    assert "There is no workspace at" in capsys.readouterr().err
    assert main(["catalog", "backup", str(tmp_path / "no" / "where"), "--workspace", str(tmp_path)]) == 2
    assert "There is no directory" in capsys.readouterr().err
    assert main(["catalog", "status", "--workspace", str(tmp_path)]) == 0
    assert "has no tables yet" in capsys.readouterr().out
    assert main(["catalog", "downgrade", "1", "--workspace", str(tmp_path)]) == 2
    assert "no tables: use upgrade" in capsys.readouterr().err


def test_the_page_describes_every_verb_and_every_table(copy: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("status", "sync", "backup", "restore", "upgrade", "downgrade"):
        assert f"`loupe catalog {verb}" in PAGE
    capsys.readouterr()
    main(["catalog", "status", "--json", "--workspace", str(copy.root)])
    for table in json.loads(capsys.readouterr().out)["rows"]:
        assert f"`{table}`" in PAGE
