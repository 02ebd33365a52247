"""Layers of planted features: what persists, splits, merges, dies and is born is found, and equals dense NumPy."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from safetensors.numpy import save_file

from loaders.errors import BadInput
from loaders.layers import LayerSet
from loaders.workspace import Workspace
from precompute import layers
from precompute.contexts import context_from_pieces
from precompute.dataset_writer import write_dataset
from precompute.progress import Progress
from precompute.publish import publish
from precompute.sample_blocks import write_batch

SAMPLES = 2000
DECODER = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)


def plant() -> list[np.ndarray]:
    """Two layers [samples, 6]: feature 0 persists, 1 splits into 1 and 2, 2 and 3 merge into 3, 4 dies and 4 is born,
    5 is dead in both."""
    generator = np.random.default_rng(0)
    source = generator.uniform(1, 2, (SAMPLES, 6)) * (generator.random((SAMPLES, 6)) < 0.08)
    source[:, 5] = 0
    target = np.zeros_like(source)
    half = generator.random(SAMPLES) < 0.5
    target[:, 0] = 3 * source[:, 0]
    target[:, 1], target[:, 2] = source[:, 1] * half, source[:, 1] * ~half
    target[:, 3] = source[:, 2] + source[:, 3]
    target[:, 4] = generator.uniform(1, 2, SAMPLES) * (generator.random(SAMPLES) < 0.08)
    return [source.astype(np.float32), target.astype(np.float32)]


def write_set(root: Path, members: list[np.ndarray], batch_rows: tuple[int, ...] = (500, 700, 500)) -> Workspace:
    """Publish each dense matrix as the next layer of set `planted`."""
    workspace = Workspace(root)
    contexts = [context_from_pieces([2] * 10, ["a"] * 10, {}, str(number)) for number in range(SAMPLES // 10)]
    tokenizer = {"name": "letters", "fingerprint": "t" * 64}
    write_dataset(workspace, "words", contexts, [], ["[", "]", "a"], tokenizer, "", False)
    for index, dense in enumerate(members):
        directory, sae = workspace.store_dir(f"l{index}@words"), workspace.sae_dir(f"l{index}")
        sae.mkdir(parents=True)
        (sae / "cfg.json").write_text("{}")
        save_file({"W_dec": np.roll(DECODER, index, axis=0)}, sae / "sae_weights.safetensors")
        (directory / "activations").mkdir(parents=True)
        for number, first in enumerate(range(0, SAMPLES, batch_rows[index])):
            path = directory / "activations" / f"batch_{number:04d}.zarr"
            write_batch(path, sp.csr_array(dense[first : first + batch_rows[index]]), {})
        prints = {"model": "m", "sae": f"s{index}", "dataset": workspace.dataset("words").fingerprint}
        manifest = {"samples": SAMPLES, "features": 6, "sae": sae.name, "dataset": "words", "hook": f"layer.{index}"}
        manifest |= {"set": "planted", "layer_index": index, "fingerprints": prints}
        publish(directory, manifest, [])
    return workspace


def run(workspace: Workspace, **options) -> LayerSet:
    layers.run(layers.Config("planted", **{"permutations": 20, **options}), workspace, Progress())
    return workspace.layer_set("planted")


@pytest.fixture(scope="module")
def members() -> list[np.ndarray]:
    return plant()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, members) -> LayerSet:
    return run(write_set(tmp_path_factory.mktemp("layers"), members))


def test_planted_fates_are_found(found):
    flows = found.flows(0, 1)
    fates = {
        side: rows.set_index("feature_id")["fate"].to_dict() for side, rows in flows.groupby("side", observed=True)
    }
    assert fates["source"] == {0: "persist", 1: "split", 2: "merge", 3: "merge", 4: "death"}
    assert fates["target"] == {0: "persist", 1: "split", 2: "split", 3: "merge", 4: "birth"}


def test_dead_features_are_left_out_and_counted(found):
    assert 5 not in found.flows(0, 1)["feature_id"].tolist()
    assert found.pair(0, 1)["dead"] == {"source": 1, "target": 1}


def test_the_summary_counts_the_fates_of_both_sides_and_says_how_the_null_was_made(found):
    pair = found.pair(0, 1)
    assert pair["fates"]["source"] == {"persist": 1, "split": 1, "merge": 2, "death": 1}
    assert pair["fates"]["target"] == {"persist": 1, "split": 2, "merge": 1, "birth": 1}
    assert (pair["permutations"], pair["seed"], pair["linked"]) == (20, 0, 5)


def test_matches_hold_the_measures_of_the_dense_matrices(found, members):
    source, target = (member.astype(float) for member in members)
    matches = found.matches(0, 1)
    assert {(0, 0), (1, 1), (1, 2), (2, 3), (3, 3)} <= set(zip(matches["source"], matches["target"], strict=True))
    for row in matches.itertuples():
        a, b = source[:, row.source], target[:, row.target]
        both = ((a > 0) & (b > 0)).sum()
        assert row.pearson == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)
        assert row.both == both
        assert row.jaccard == pytest.approx(both / ((a > 0) | (b > 0)).sum())
        assert row.sufficiency == pytest.approx(both / (a > 0).sum())
        assert row.necessity == pytest.approx(both / (b > 0).sum())
        assert row.is_linked == (row.pearson > found.threshold(0, 1))
    assert matches["cosine"].isna().all()


def test_the_null_is_the_best_correlation_with_permuted_samples(found, members):
    source, target = members
    null = found.null(0, 1).reshape(20, 5)
    for number in (0, 19):
        order = np.random.default_rng([0, 0, 1, number]).permutation(SAMPLES)
        best = np.corrcoef(source[:, :5].T, target[order][:, :5].T)[:5, 5:].max(axis=1)
        assert np.allclose(null[number], best, atol=1e-6)
    assert found.threshold(0, 1) == pytest.approx(np.quantile(found.null(0, 1).astype(float), 0.999))


def test_a_floor_unlinks_what_is_above_chance_but_weak(tmp_path, members):
    pair = run(write_set(tmp_path, members), floor=0.9).pair(0, 1)
    assert (pair["threshold"], pair["linked"]) == (0.9, 1)
    assert pair["null_threshold"] < 0.2
    assert pair["fates"]["source"] == {"persist": 1, "death": 4}


def test_partners_lead_from_either_layer_to_the_other(found):
    assert found.best_partner("l0@words", 0, "l1@words").feature_id == 0
    assert found.best_partner("l1@words", 2, "l0@words").feature_id == 1
    assert not found.best_partner("l0@words", 4, "l1@words").is_linked
    assert found.best_partner("l0@words", 5, "l1@words") is None


def test_a_shared_basis_adds_decoder_cosines(tmp_path, members):
    shared = run(write_set(tmp_path, members), shared_basis=True)
    unit = DECODER / np.linalg.norm(DECODER, axis=1, keepdims=True)
    other = np.roll(unit, 1, axis=0)
    for row in shared.matches(0, 1).itertuples():
        assert row.cosine == pytest.approx(unit[row.source] @ other[row.target], abs=1e-6)
    assert shared.has_shared_basis


def test_other_batches_blocks_and_threads_give_the_same_matches(tmp_path, members, found, monkeypatch):
    monkeypatch.setattr("precompute.layer_pairs.BLOCK_CELLS", 12)
    again = run(write_set(tmp_path, members, (2000, 333)), jobs=1)
    assert again.pair(0, 1)["fates"] == found.pair(0, 1)["fates"]
    assert np.allclose(again.null(0, 1), found.null(0, 1), atol=1e-6)
    columns = ["source", "target", "both", "is_linked"]
    assert again.matches(0, 1)[columns].equals(found.matches(0, 1)[columns])


def test_a_finished_set_is_kept_and_other_settings_replace_it(tmp_path, members):
    workspace = write_set(tmp_path, members)
    first = run(workspace, permutations=2).directory / "manifest.json"
    before = first.stat().st_mtime_ns
    run(workspace, permutations=2, jobs=1)
    assert first.stat().st_mtime_ns == before
    assert run(workspace, permutations=3).pair(0, 1)["permutations"] == 3


def test_pairs_of_an_interrupted_run_are_kept(tmp_path, members):
    workspace = write_set(tmp_path, [*members, members[0]])
    whole = run(workspace, permutations=2)
    unfinished = whole.directory.with_name("planted.tmp")
    whole.directory.rename(unfinished)
    manifest = json.loads((unfinished / "manifest.json").read_text())
    (unfinished / "manifest.json").unlink()
    (unfinished / "plan.json").write_text(json.dumps(manifest["plan"]))
    (unfinished / "pair_0_1.json").write_text(json.dumps(manifest["pairs"][0] | {"linked": 99}))
    resumed = run(workspace, permutations=2)
    assert [pair["linked"] for pair in resumed.manifest["pairs"]] == [99, *(p["linked"] for p in manifest["pairs"][1:])]
    assert not unfinished.exists()
    assert len(list(resumed.directory.iterdir())) == 3 * 3 + 1


def test_every_pair_of_three_layers_is_matched(tmp_path, members):
    found = run(write_set(tmp_path, [*members, members[0]]), permutations=2)
    assert [(pair["source"], pair["target"]) for pair in found.manifest["pairs"]] == [(0, 1), (0, 2), (1, 2)]
    assert found.members == ["l0@words", "l1@words", "l2@words"]
    assert found.flows(0, 2).query("side == 'source'")["pearson"].tolist() == pytest.approx([1] * 5)


def test_a_single_layer_is_refused(tmp_path, members):
    with pytest.raises(BadInput, match="has 1 layers; matching needs two"):
        run(write_set(tmp_path, members[:1]))


def test_layers_of_different_models_are_refused(tmp_path, members):
    workspace = write_set(tmp_path, members)
    directory = workspace.store_dir("l1@words")
    dataset = workspace.dataset("words").fingerprint
    publish(directory, {"fingerprints": {"model": "other", "sae": "s", "dataset": dataset}}, [])
    with pytest.raises(BadInput, match="made from different models"):
        run(workspace)
