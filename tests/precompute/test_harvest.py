import json
import shutil

import numpy as np
import pytest
import scipy.sparse
import torch
import zarr

from loaders.batch_scan import BatchScanLoader
from loaders.errors import BadInput, StoreDamaged
from loaders.manifest import file_sha256
from precompute import harvest
from precompute.progress import Progress
from precompute.sae_files import load_sae
from precompute.train import Config, run

TRAINING = Config(
    sae_id="planted-l0",
    model_id="planted",
    dataset_id="words",
    hook="hidden",
    k=3,
    expansion=4,
    steps=20,
    batch=64,
    threads=1,
)
CONFIG = harvest.Config(sae_id="planted-l0", dataset_id="words")


@pytest.fixture
def trained(planted, monkeypatch):
    monkeypatch.setattr(harvest, "BATCH_SAMPLES", 5_000)
    run(TRAINING, planted.workspace, Progress())
    return planted


def dense_activations(planted):
    weights, _ = load_sae(planted.workspace.sae_dir("planted-l0"))
    x = torch.from_numpy(planted.rows.astype(np.float32))
    values, indices = ((x - weights.b_dec) @ weights.w_enc.t() + weights.biases["b_enc"]).topk(weights.k)
    return torch.zeros(len(x), weights.d_sae).scatter(1, indices, values.relu()).numpy()


def stored(store):
    parts = []
    for batch in sorted((store / "activations").iterdir()):
        group = zarr.open_group(batch, mode="r")
        arrays = (group["data"][:], group["indices"][:], group["indptr"][:])
        assert [array.dtype.name for array in arrays] == ["float32", "uint32", "int64"]
        assert group.attrs["encoding-type"] == "csr_matrix" and group.attrs["encoding-version"] == "0.1.0"
        assert group.attrs["start"] == sum(part.shape[0] for part in parts)
        parts.append(scipy.sparse.csr_matrix(arrays, shape=group.attrs["shape"]))
    return scipy.sparse.vstack(parts, format="csr")


def hashes(store):
    return {path.relative_to(store): file_sha256(path) for path in store.rglob("*") if path.is_file()}


def test_the_batches_hold_what_the_exported_sae_computes(trained):
    store = harvest.run(CONFIG, trained.workspace, Progress())
    matrix, wanted = stored(store), dense_activations(trained)
    assert matrix.shape == wanted.shape and (matrix.data > 0).all()
    np.testing.assert_allclose(matrix.toarray(), wanted, rtol=1e-4, atol=1e-5)
    ascending = np.diff(matrix.indices.astype(np.int64)) > 0
    assert ascending[np.setdiff1d(np.arange(matrix.nnz - 1), matrix.indptr[1:-1] - 1)].all()
    found = BatchScanLoader(store).load(5)
    np.testing.assert_array_equal(found.indices, np.flatnonzero(matrix[:, [5]].toarray()))


def test_the_quality_is_exact_over_all_samples(trained):
    store = harvest.run(CONFIG, trained.workspace, Progress())
    document = json.loads((store / "harvest.json").read_text())
    weights, cfg = load_sae(trained.workspace.sae_dir("planted-l0"))
    codes, x = dense_activations(trained), trained.rows.astype(np.float64)
    residual = (codes @ weights.w_dec.numpy() + weights.b_dec.numpy() - x) ** 2
    quality = document["quality"]
    assert quality["fvu_all"] == pytest.approx(residual.sum() / ((x - x.mean(0)) ** 2).sum(), rel=1e-4)
    assert quality["fvu_held_out"] == pytest.approx(cfg["metadata"]["quality"]["fvu"], rel=1e-4)
    assert quality["l0_all"] == pytest.approx((codes > 0).sum() / len(codes), rel=1e-4)
    assert quality["dead_share"] == pytest.approx((codes.sum(0) == 0).mean())
    assert document["fingerprints"] == cfg["metadata"]["fingerprints"]


def test_an_interrupted_harvest_goes_on_and_ends_in_the_same_bytes(trained):
    store = harvest.run(CONFIG, trained.workspace, Progress())
    whole = hashes(store)
    (store / "harvest.json").unlink()
    shutil.rmtree(store / "activations" / "batch_0001.zarr")
    (store / "activations" / "batch_0001.zarr.tmp").mkdir()
    kept = store / "activations" / "batch_0000.zarr" / "zarr.json"
    before = kept.stat().st_mtime_ns
    harvest.run(CONFIG, trained.workspace, Progress())
    assert hashes(store) == whole
    assert kept.stat().st_mtime_ns == before


def test_a_finished_harvest_is_left_alone(trained):
    store = harvest.run(CONFIG, trained.workspace, Progress())
    before = (store / "harvest.json").stat().st_mtime_ns
    harvest.run(CONFIG, trained.workspace, Progress())
    assert (store / "harvest.json").stat().st_mtime_ns == before


def test_batches_of_another_sae_are_refused(trained):
    harvest.run(CONFIG, trained.workspace, Progress())
    shutil.rmtree(trained.workspace.sae_dir("planted-l0"))
    run(Config(**{**TRAINING.__dict__, "seed": 1}), trained.workspace, Progress())
    with pytest.raises(BadInput, match="harvested from another SAE"):
        harvest.run(CONFIG, trained.workspace, Progress())


@pytest.mark.parametrize(("name", "sentence"), [("m", "trained on another model"), ("d", "not of dataset 'words'")])
def test_activations_of_another_model_or_dataset_are_refused(trained, name, sentence):
    path = trained.workspace.activations_dir("planted", "words", "hidden") / "manifest.json"
    path.write_text(path.read_text().replace(name * 64, "e" * 64))
    with pytest.raises(BadInput, match=sentence):
        harvest.run(CONFIG, trained.workspace, Progress())


def test_an_sae_that_reconstructs_otherwise_than_reported_is_refused(trained):
    path = trained.workspace.sae_dir("planted-l0") / "cfg.json"
    cfg = json.loads(path.read_text())
    cfg["metadata"]["quality"]["fvu"] *= 1.1
    path.write_text(json.dumps(cfg))
    with pytest.raises(StoreDamaged, match="weights or activations were changed"):
        harvest.run(CONFIG, trained.workspace, Progress())


def test_of_a_dataset_that_training_did_not_see_all_samples_count(trained):
    path = trained.workspace.sae_dir("planted-l0") / "cfg.json"
    path.write_text(path.read_text().replace("d" * 64, "e" * 64))  # trained on another dataset
    quality = json.loads((harvest.run(CONFIG, trained.workspace, Progress()) / "harvest.json").read_text())["quality"]
    assert (quality["fvu"], quality["l0"]) == (quality["fvu_all"], quality["l0_all"])
    assert quality["held_out_samples"] == len(trained.rows) and quality["explained_variance"] == 1 - quality["fvu_all"]
