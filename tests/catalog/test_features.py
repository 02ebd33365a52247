"""Statistics come in whole and go whole; progress counts what fires; SAE files and logged metrics are kept and bounded."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from catalog.catalog import Catalog
from catalog.features import features_of, forget_store, label_progress, put_store, synced_stores
from catalog.labels import put_label
from catalog.metrics import MOST_ROWS, metrics_of, put_metrics
from catalog.models import SaeModel, forget_model, put_model, sae_models
from catalog.runs import finish_run, runs, start_run, update_run
from loaders.errors import BadInput

PRINT = "f00d"


def load(catalog: Catalog, store_id: str = "sae@texts", features: int = 4, **more: list[Any]) -> None:
    columns: dict[str, list[Any]] = {
        "feature_id": list(range(features)),
        "n": [10 * i for i in range(features)],  # feature 0 is dead
        "density": [i / 100 for i in range(features)],
        "activation_sum": [float(i) for i in range(features)],
        "mean_activation": [0.1] * features,
        "max_activation": [float(2 * i) for i in range(features)],
        "decoder_norm": [1.0, *[None] * (features - 1)],
    }
    put_store(
        catalog,
        store_id=store_id,
        store_fingerprint="aa",
        sae_fingerprint=PRINT,
        sae_id="sae",
        dataset_id="texts",
        samples=1000,
        columns=columns | more,
    )


def test_statistics_are_kept_by_store_and_replaced_whole(catalog: Catalog) -> None:
    load(catalog)
    load(catalog, "sae@others", 2)
    found = features_of(catalog, "sae@texts")
    assert [each.feature_id for each in found] == [0, 1, 2, 3]
    assert found[3]._asdict() == {
        "store_id": "sae@texts",
        "feature_id": 3,
        "sae_fingerprint": PRINT,
        "n": 30,
        "density": 0.03,
        "activation_sum": 3.0,
        "mean_activation": 0.1,
        "max_activation": 6.0,
        "decoder_norm": None,
    }
    assert found[0].decoder_norm == 1.0
    assert [each.feature_id for each in features_of(catalog, "sae@texts", [3, 1, 99])] == [1, 3]
    load(catalog, features=3)
    assert len(features_of(catalog, "sae@texts")) == 3
    assert [(each.store_id, each.features) for each in synced_stores(catalog)] == [("sae@others", 2), ("sae@texts", 3)]
    forget_store(catalog, "sae@texts")
    assert features_of(catalog, "sae@texts") == []
    assert len(features_of(catalog, "sae@others")) == 2


def test_columns_of_different_lengths_are_refused_and_change_nothing(catalog: Catalog) -> None:
    load(catalog)
    with pytest.raises(BadInput, match="of one length"):
        load(catalog, n=[1, 2])
    assert len(features_of(catalog, "sae@texts")) == 4


def test_a_load_that_breaks_off_is_an_error_of_the_catalog_and_changes_nothing(catalog: Catalog) -> None:
    load(catalog)
    with pytest.raises(IntegrityError):
        load(catalog, feature_id=[0, 1, 2, 2])
    assert [each.feature_id for each in features_of(catalog, "sae@texts")] == [0, 1, 2, 3]


def test_texts_and_numbers_come_back_as_they_went_in(catalog: Catalog) -> None:
    odd = "a\t\\N\n'\"é@texts"
    load(catalog, odd, activation_sum=[0.1 + 0.2, 1e-300, 1.7e308, 5e-324])
    found = features_of(catalog, odd)
    assert [each.store_id for each in found] == [odd] * 4
    assert [each.activation_sum for each in found] == [0.1 + 0.2, 1e-300, 1.7e308, 5e-324]


def test_a_store_without_features_is_kept_too(catalog: Catalog) -> None:
    load(catalog, features=0, decoder_norm=[])
    assert features_of(catalog, "sae@texts") == []
    assert synced_stores(catalog)[0].features == 0


def test_progress_is_a_share_of_living_features_and_of_activation_mass(catalog: Catalog) -> None:
    load(catalog)
    for feature, name in [(0, "dead"), (3, "trees"), (1, "cleared")]:
        put_label(catalog, "sae", PRINT, feature, name, "", "ada", None)
    put_label(catalog, "sae", PRINT, 1, "", "", "ada", 1)
    put_label(catalog, "other", "beef", 2, "of another SAE", "", "ada", None)
    found = label_progress(catalog, "sae@texts")
    assert found is not None
    assert (found.alive, found.labelled, found.mass, found.labelled_mass) == (3, 1, 6.0, 3.0)
    assert (found.share_of_features, found.share_of_mass) == (pytest.approx(1 / 3), 0.5)
    assert label_progress(catalog, "unknown@texts") is None
    load(catalog, features=1)
    nothing = label_progress(catalog, "sae@texts")
    assert nothing is not None and (nothing.share_of_features, nothing.share_of_mass) == (0.0, 0.0)


def test_files_of_saes_are_kept_replaced_and_forgotten(catalog: Catalog) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    file = SaeModel(
        PRINT, "saes/sae/sae_weights.safetensors", "sae", None, "saelens", "topk", "minilm", "encoder.layer.1", 384, 3072,
        9_000_000_000, "ab" * 32, True, moment,
    )  # fmt: skip
    put_model(catalog, file)
    put_model(catalog, file._replace(checksum="cd" * 32))
    assert sae_models(catalog) == [file._replace(checksum="cd" * 32)]
    forget_model(catalog, PRINT, file.file_path)
    assert sae_models(catalog) == []


def test_what_a_run_logs_is_kept_by_step(catalog: Catalog) -> None:
    start_run(catalog, "r1", "sae", {"model_id": "minilm", "lr": 0.0, "batch": 512})
    update_run(catalog, "r1", 10, {"loss": 3.0}, row={"step": 10, "loss": 3.0, "fvu_train": 0.5, "lr": 0.01})
    update_run(catalog, "r1", 20, {"loss": 2.0}, row={"step": 20, "loss": 2.0, "l0": float("nan")})
    update_run(catalog, "r1", 20, {"fvu": 0.1})  # the final figures are no row
    ten, twenty = metrics_of(catalog, "r1")
    assert (ten.step, ten.loss, ten.fvu, ten.l0, ten.learning_rate) == (10, 3.0, 0.5, None, 0.01)
    assert (twenty.step, twenty.metrics) == (20, {"step": 20, "loss": 2.0, "l0": None})
    assert ten.logged_at is not None


def test_a_resumed_run_says_its_steps_anew(catalog: Catalog) -> None:
    start_run(catalog, "r1", "sae", {})
    for step in (10, 20, 30):
        update_run(catalog, "r1", step, {}, row={"loss": float(step)})
    update_run(catalog, "r1", 20, {}, row={"loss": 7.0})
    assert [(each.step, each.loss) for each in metrics_of(catalog, "r1")] == [(10, 10.0), (20, 7.0)]


def test_a_long_runs_rows_are_thinned_evenly_and_keep_the_last(catalog: Catalog) -> None:
    start_run(catalog, "r1", "sae", {})
    assert put_metrics(catalog, "r1", ({"step": i, "loss": float(i)} for i in range(1, 10_001))) <= MOST_ROWS
    kept = [each.step for each in metrics_of(catalog, "r1")]
    assert MOST_ROWS // 2 <= len(kept) <= MOST_ROWS
    assert (kept[0], kept[-1]) == (1, 10_000)
    assert max(after - before for before, after in zip(kept, kept[1:], strict=False)) == 8
    start_run(catalog, "r2", "sae", {})
    put_metrics(catalog, "r2", ({"step": i} for i in range(MOST_ROWS)))
    update_run(catalog, "r2", MOST_ROWS, {}, row={"loss": 0.5})
    kept = [each.step for each in metrics_of(catalog, "r2")]
    assert (len(kept), kept[0], kept[-1]) == (MOST_ROWS // 2 + 1, 0, MOST_ROWS)


def test_metrics_belong_to_a_run_that_was_started(catalog: Catalog) -> None:
    with pytest.raises(BadInput, match="Training run 'ghost' is not in the catalog"):
        put_metrics(catalog, "ghost", [{"step": 1}])


def test_a_runs_settings_and_final_figures_have_columns_of_their_own(catalog: Catalog) -> None:
    config = {"model_id": "minilm", "hook": "encoder.layer.1", "dataset_id": "docs", "architecture": "topk", "lr": 0.01}
    start_run(catalog, "r1", "sae", config | {"batch": 512, "features": 0, "sparsity": 0.0, "device": "cpu"})
    finish_run(catalog, "r1", "done", {"loss": 1.5, "fvu_train": 0.3, "fvu": 0.25, "l0": 32, "seconds": 9.5})
    (run,) = runs(catalog)
    assert (run.model_id, run.hook, run.dataset_id, run.architecture) == ("minilm", "encoder.layer.1", "docs", "topk")
    assert (run.learning_rate, run.batch, run.features, run.sparsity, run.device) == (0.01, 512, None, None, "cpu")
    assert (run.final_loss, run.final_fvu, run.final_l0, run.duration_seconds) == (1.5, 0.25, 32.0, 9.5)
    start_run(catalog, "r1", "sae", config)
    assert runs(catalog)[0].final_fvu is None
