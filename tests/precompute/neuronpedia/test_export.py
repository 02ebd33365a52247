"""Bundles hold what the store knows, exactly, under the format's names, and nothing that it does not know."""

import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from loaders.errors import BadInput
from loaders.store import Store
from loaders.workspace import Workspace
from precompute.neuronpedia import export as exporting
from tests.precompute.neuronpedia.conftest import LABELS, Shop, read_rows, write_bundle

FEATURE = """modelId layer index creatorId createdAt maxActApprox hasVector vector vectorLabel vectorDefaultSteerStrength
hookName topkCosSimIndices topkCosSimValues neuron_alignment_indices neuron_alignment_values neuron_alignment_l1
correlated_neurons_indices correlated_neurons_pearson correlated_neurons_l1 correlated_features_indices
correlated_features_pearson correlated_features_l1 neg_str neg_values pos_str pos_values frac_nonzero
freq_hist_data_bar_heights freq_hist_data_bar_values logits_hist_data_bar_heights logits_hist_data_bar_values
decoder_weights_dist sourceSetName"""
ACTIVATION = """id tokens index layer modelId maxValue maxValueTokenIndex minValue values creatorId dataSource dataIndex
dfaValues dfaTargetIndex dfaMaxValue createdAt lossValues logitContributions binMin binMax binContains qualifyingTokenIndex"""
EXPLANATION = """id modelId layer index description authorId embedding triggeredById typeName explanationModelName notes
createdAt"""


def features_of(bundle: Path) -> list[dict[str, Any]]:
    return read_rows(bundle / "features" / "batch-0.jsonl.gz")


def activations_of(bundle: Path) -> dict[int, list[dict[str, Any]]]:
    found = defaultdict(list)
    for row in read_rows(bundle / "activations" / "batch-0.jsonl.gz"):
        found[int(row["index"])].append(row)
    return found


def test_files_and_fields_are_those_of_the_format(written: Path) -> None:
    assert written.parts[-2:] == ("tiny-causal", "1-small")
    names = {path.relative_to(written).as_posix() for path in written.rglob("*") if path.is_file()}
    batches = {f"{kind}/batch-0.jsonl.gz" for kind in ("features", "activations", "explanations")}
    assert names == {*batches, "release.jsonl", "model.jsonl", "sourceset.jsonl", "source.jsonl", "loupe.json"}
    for kind, fields in (("features", FEATURE), ("activations", ACTIVATION), ("explanations", EXPLANATION)):
        assert all(list(row) == fields.split() for row in read_rows(written / kind / "batch-0.jsonl.gz"))


def test_the_four_cards_name_each_other(written: Path) -> None:
    release, model, source_set, source = (
        read_rows(written / f"{name}.jsonl")[0] for name in ("release", "model", "sourceset", "source")
    )
    assert source["modelId"] == source_set["modelId"] == model["id"] == "tiny-causal"
    assert source["setName"] == source_set["name"] == model["defaultSourceSetName"] == "small"
    assert source_set["releaseName"] == release["name"] and source["id"] == "1-small"
    assert (model["layers"], model["dimension"]) == (2, 16)


def test_every_feature_is_there_once_and_its_counts_are_the_stores(shop: Shop, written: Path) -> None:
    rows, stats = features_of(written), shop.store.stats()
    assert [row["index"] for row in rows] == [str(i) for i in range(shop.store.features)]
    for row, n, top in zip(rows, stats["n"], stats["max"], strict=True):
        assert sum(row["freq_hist_data_bar_heights"]) == n == round(row["frac_nonzero"] * shop.store.samples)
        assert np.float32(row["maxActApprox"]) == np.float32(top)
        assert len(row["freq_hist_data_bar_values"]) == len(row["freq_hist_data_bar_heights"]) == (50 if n else 0)


def test_bars_are_counts_around_their_centres(shop: Shop, written: Path) -> None:
    row = features_of(written)[3]
    edges, counts, _ = shop.store.histogram(3, bins=50)
    assert row["freq_hist_data_bar_heights"] == counts.tolist()
    np.testing.assert_allclose(row["freq_hist_data_bar_values"], (edges[1:] + edges[:-1]) / 2)


def test_the_first_contexts_are_the_strongest_of_the_whole_store(shop: Shop, written: Path) -> None:
    for feature, rows in activations_of(written).items():
        best = shop.store.examples(feature, 20).items
        top = [row for row in rows if row["binContains"] == -1]
        assert [np.float32(row["maxValue"]) for row in top] == [np.float32(each.value) for each in best]
        assert [(int(row["dataIndex"]), row["qualifyingTokenIndex"]) for row in top] == [
            (each.context, each.position) for each in best
        ]


def test_every_value_of_a_context_is_the_stores_and_its_tokens_are_the_text(shop: Shop, written: Path) -> None:
    for feature in (3, 7, 20):
        for row in activations_of(written)[feature]:
            example = shop.store.example(feature, int(np.int64(_sample(shop.store, row))))
            values = np.zeros(len(row["tokens"]), np.float32)
            values[example.active] = example.values
            np.testing.assert_array_equal(np.float32(row["values"]), values)
            assert row["maxValue"] == max(row["values"]) == row["values"][row["maxValueTokenIndex"]]
            context = shop.store.context(example.context)
            pieces = [token for token, piece in zip(row["tokens"], context.pieces, strict=True) if piece]
            assert "".join(pieces) == context.text


def _sample(store: Store, row: dict[str, Any]) -> int:
    token = store.dataset.offsets[int(row["dataIndex"])] + row["qualifyingTokenIndex"]
    return int(np.searchsorted(store.dataset.samples, token))


def test_drawn_contexts_lie_in_their_band_and_bands_share_out_all_activations(shop: Shop, written: Path) -> None:
    for feature, rows in activations_of(written).items():
        values = shop.store.activations(feature).activations
        for row in rows:
            if row["binContains"] == -1:
                continue
            value = np.float32(row["values"][row["qualifyingTokenIndex"]])
            assert row["binMin"] <= value <= row["binMax"]
            is_last = row["binMax"] >= values.max()
            dense = np.zeros(shop.store.samples, np.float32)
            dense[: len(values)] = values
            inside = (dense >= row["binMin"]) & ((dense <= row["binMax"]) if is_last else (dense < row["binMax"]))
            assert row["binContains"] == pytest.approx(inside.mean())
        shares = {row["binMin"]: row["binContains"] for row in rows if row["binContains"] != -1}
        shares.setdefault(0.0, 1 - len(values) / shop.store.samples)  # nothing to draw from but zeros
        assert sum(shares.values()) == pytest.approx(1)


def test_logits_are_those_of_the_model_itself(shop: Shop, written: Path, causal: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(causal)
    decoder = torch.from_numpy(shop.workspace.sae(shop.store.sae_id).decoder().copy())
    for row in features_of(written)[:10]:
        direction = decoder[int(row["index"])]
        scaled = model.transformer.ln_f.weight * (direction - direction.mean())
        logits = (model.lm_head.weight @ scaled).detach().numpy()
        np.testing.assert_allclose(row["pos_values"], np.sort(logits)[::-1][:10], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(row["neg_values"], np.sort(logits)[:10], rtol=1e-4, atol=1e-6)
        assert row["pos_str"][0] == shop.store.dataset.vocab[int(logits.argmax())]
        assert sum(row["logits_hist_data_bar_heights"]) == len(logits)


def test_neighbours_are_the_nearest_of_all_features(shop: Shop, written: Path) -> None:
    decoder = shop.workspace.sae(shop.store.sae_id).decoder().astype(np.float64)
    unit = decoder / np.linalg.norm(decoder, axis=1, keepdims=True)
    dense = np.zeros((shop.store.samples, shop.store.features))
    for feature in range(shop.store.features):
        found = shop.store.activations(feature)
        dense[found.indices, feature] = found.activations
    for row in features_of(written)[:12]:
        own = int(row["index"])
        cosines = unit @ unit[own]
        others = np.delete(np.arange(len(unit)), own)
        best = others[np.argsort(-cosines[others], kind="stable")][:10]
        assert row["topkCosSimIndices"] == best.tolist()
        np.testing.assert_allclose(row["topkCosSimValues"], cosines[best], atol=1e-6)
        np.testing.assert_allclose(row["vector"], decoder[own], rtol=1e-7)
        for place, other in enumerate(row["correlated_features_indices"]):
            pearson = np.corrcoef(dense[:, own], dense[:, other])[0, 1]
            cosine = dense[:, own] @ dense[:, other] / np.linalg.norm(dense[:, own]) / np.linalg.norm(dense[:, other])
            assert row["correlated_features_pearson"][place] == pytest.approx(pearson, abs=1e-6)
            assert row["correlated_features_l1"][place] == pytest.approx(cosine, abs=1e-6)


def test_labels_become_explanations_and_their_authors_are_kept_beside_them(written: Path) -> None:
    rows = read_rows(written / "explanations" / "batch-0.jsonl.gz")
    assert {int(row["index"]): (row["description"], row["notes"] or "") for row in rows} == {
        feature: (name, notes) for feature, (name, notes, _) in LABELS.items()
    }
    assert json.loads((written / "loupe.json").read_text())["authors"] == {"Ada": [3, 11], "Grace": [7]}


def test_what_a_store_without_an_output_head_does_not_know_is_left_empty(
    workspace: Workspace, store: Store, tmp_path: Path
) -> None:
    bundle = write_bundle(Shop(workspace, store), tmp_path, first=0, last=5, vectors=False)
    for row in features_of(bundle):
        assert row["pos_str"] == row["neg_values"] == row["logits_hist_data_bar_heights"] == row["vector"] == []
        assert row["hookName"] is None and row["correlated_neurons_indices"] == [] and not row["hasVector"]
    assert read_rows(bundle / "source.jsonl")[0]["num_tokens_in_prompt"] is None
    assert not (bundle / "explanations").exists()


def test_without_the_saes_weights_the_stores_tables_are_all_that_is_said(
    shop: Shop, fresh: Workspace, written: Path, tmp_path: Path
) -> None:
    shutil.rmtree(fresh.sae_dir("small-l1"))
    bundle = write_bundle(Shop(fresh, fresh.open_store("small-l1@texts")), tmp_path)
    for row, whole in zip(features_of(bundle), features_of(written), strict=True):
        assert row["vector"] == row["topkCosSimIndices"] == row["neuron_alignment_indices"] == []
        assert row["logits_hist_data_bar_heights"] == [] and row["hookName"] is None and not row["hasVector"]
        assert row["pos_str"] == whole["pos_str"] and row["neg_str"] == whole["neg_str"]
        np.testing.assert_allclose(row["neg_values"], whole["neg_values"], rtol=1e-5)
        assert row["correlated_features_indices"] == whole["correlated_features_indices"]


def test_an_export_that_was_stopped_goes_on_and_ends_the_same(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "ROWS_PER_BATCH", 24)
    bundle = write_bundle(shop, tmp_path)
    files = {path: path.read_bytes() for path in bundle.rglob("*.gz")}
    assert len(list((bundle / "features").iterdir())) == 3
    (bundle / "loupe.json").rename(bundle / "loupe.unfinished.json")
    (bundle / "features" / "batch-1.jsonl.gz").unlink()
    (bundle / "activations" / "batch-2.jsonl.gz.tmp").write_bytes(b"torn")
    untouched = (bundle / "features" / "batch-0.jsonl.gz").stat().st_mtime_ns
    assert write_bundle(shop, tmp_path) == bundle
    assert {path: path.read_bytes() for path in bundle.rglob("*.gz")} == files
    assert (bundle / "features" / "batch-0.jsonl.gz").stat().st_mtime_ns == untouched
    assert not (bundle / "loupe.unfinished.json").exists() and not list(bundle.rglob("*.tmp"))


def test_a_range_of_features_is_exported_alone(shop: Shop, tmp_path: Path) -> None:
    rows = features_of(write_bundle(shop, tmp_path, first=10, last=12))
    assert [row["index"] for row in rows] == ["10", "11", "12"]


def test_another_export_or_anything_else_is_never_written_over(shop: Shop, tmp_path: Path, written: Path) -> None:
    with pytest.raises(BadInput, match="holds another export"):
        write_bundle(shop, Path(shutil.copytree(written.parents[1], tmp_path / "there")), top=3)
    (tmp_path / "tiny-causal" / "1-small").mkdir(parents=True)
    (tmp_path / "tiny-causal" / "1-small" / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="no export of Loupe"):
        write_bundle(shop, tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model_id": "../up"}, "cannot name a folder"),
        ({"set_name": "a/b"}, "cannot name a folder"),
        ({"suffix": ".."}, "cannot name a folder"),
        ({"first": 60, "last": 64}, "Features 60 to 64 were asked for"),
        ({"bins": 0}, "--bins 0 cannot be"),
        ({"per_band": 5000}, "--per-band 5000 cannot be"),
    ],
)
def test_names_and_numbers_that_cannot_be_are_refused(
    shop: Shop, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        write_bundle(shop, tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_a_model_with_other_weights_is_refused(shop: Shop, tmp_path: Path, encoder: Path) -> None:
    with pytest.raises(BadInput, match="is not the model that store"):
        write_bundle(shop, tmp_path, model=str(encoder))
