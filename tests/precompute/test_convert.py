"""Activations made elsewhere become a store that says exactly what their files say, whatever happens on the way."""

import json
import multiprocessing
import os
import shutil
import signal

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from loaders.errors import BadInput
from loaders.raw import open_group_attributes
from loaders.workspace import Workspace
from precompute import convert, publish, sample_blocks, transpose
from precompute.progress import Progress
from precompute.sample_blocks import SampleBlocks
from precompute.tables import stats

STORE = "foreign@words"
VALUES = [0.0, 0.0, 0.0, 0.5, -1.25, 3.0, 65504.0, 2.0**-24]
DENSE = arrays(np.float16, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.sampled_from(VALUES))


def write_frame(root, rows, **columns):
    path = root / "frame.parquet"
    pd.DataFrame({"kind": [f"kind {row % 2}" for row in range(rows)], **columns}).to_parquet(path)
    return str(path)


def run(root, *source, **options):
    """Convert into the workspace `root/workspace`; the store's directory."""
    config = convert.Config(tuple(str(root / name) for name in source), "foreign", "words", **options)
    return convert.run(config, Workspace(root / "workspace"), Progress())


def converted(store):
    """All batches of a store as one dense array."""
    return np.vstack([rows.toarray() for _, rows in SampleBlocks.open(store).blocks()])


def positive(dense, threshold=0.0):
    return np.where(dense.astype(np.float64) > threshold, dense, 0).astype(np.float32)


def publish_core(root):
    workspace = Workspace(root / "workspace")
    for step in (transpose, stats, publish):
        step.run(step.Config(STORE), workspace, Progress())
    return workspace.open_store(STORE)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(convert, "BATCH_SAMPLES", 4)


@settings(max_examples=25, deadline=None)
@given(DENSE, st.lists(st.integers(0, 14), max_size=3), st.integers(1, 15))
def test_a_store_from_any_files_in_any_batches_answers_as_the_dense_matrix(
    tmp_path_factory, dense, cuts, batch_samples
):
    root = tmp_path_factory.mktemp("convert")
    (root / "parts").mkdir()
    edges = sorted({0, len(dense), *(min(cut, len(dense)) for cut in cuts)})
    for number, (first, last) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        np.save(root / "parts" / f"part_{number}.npy", dense[first:last])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert, "BATCH_SAMPLES", batch_samples)
        run(root, "parts", metadata=write_frame(root, len(dense)))
    store, expected = publish_core(root), positive(dense)
    assert (store.samples, store.features) == dense.shape
    counts = []
    for feature in range(store.features):
        found = store.activations(feature)
        rows = np.flatnonzero(expected[:, feature])
        assert np.array_equal(found.indices, rows)
        assert np.array_equal(found.activations, expected[rows, feature])
        counts.append(len(rows))
    assert store.stats()["n"].tolist() == counts
    assert store.stats()["max"].tolist() == expected.max(axis=0, initial=0).tolist()


def test_the_threshold_and_what_it_left_out_are_recorded_down_to_the_manifest(tmp_path, small_batches):
    dense = np.array([[0.0, 0.5, -1.0], [2.0, 0.25, 0.0], [-3.0, 0.5, 4.0], [0, 0, 0], [-1.0, 0.75, 0]])
    np.save(tmp_path / "acts.npy", dense)
    store = run(tmp_path, "acts.npy", metadata=write_frame(tmp_path, 5), threshold=0.5)
    assert np.array_equal(converted(store), positive(dense, 0.5))
    batches = [open_group_attributes(path) for path in sorted((store / "activations").iterdir())]
    assert [batch["threshold"] for batch in batches] == [0.5, 0.5]
    assert [batch["left_out"] for batch in batches] == [{"negative": 2, "small": 3}, {"negative": 1, "small": 0}]
    left_out = {"negative": 3, "small": 3}
    assert json.loads((store / "harvest.json").read_text())["conversion"]["left_out"] == left_out
    manifest = publish_core(tmp_path).manifest
    assert (manifest["conversion"]["threshold"], manifest["conversion"]["left_out"]) == (0.5, left_out)
    assert manifest["quality"]["dead_share"] == 0 and manifest["quality"]["l0"] == 3 / 5


@pytest.mark.parametrize("threshold", [-1.0, np.nan, np.inf])
def test_a_threshold_that_is_none_is_refused(tmp_path, threshold):
    with pytest.raises(BadInput, match="Give a finite one that is not negative"):
        run(tmp_path, "acts.npy", threshold=threshold)


def test_files_that_look_swapped_are_said_to_be(tmp_path):
    np.save(tmp_path / "acts.npy", np.ones((3, 8)))
    with pytest.raises(BadInput, match=r"\[3, 8\].*has 8 rows: samples and features look swapped"):
        run(tmp_path, "acts.npy", metadata=write_frame(tmp_path, 8))


def test_metadata_of_another_length_are_refused_before_anything_is_written(tmp_path):
    np.save(tmp_path / "acts.npy", np.ones((3, 8)))
    with pytest.raises(BadInput, match=r"have 3 rows in 1 files, but .* has 5 samples"):
        run(tmp_path, "acts.npy", metadata=write_frame(tmp_path, 5))
    with pytest.raises(BadInput, match=r"There is no dataset 'words' .* Give --metadata"):
        run(tmp_path, "acts.npy")
    assert not (tmp_path / "workspace").exists()


def test_an_existing_dataset_and_sae_are_used_when_they_fit(tmp_path):
    dense = np.eye(4)
    np.save(tmp_path / "acts.npy", dense)
    run(tmp_path, "acts.npy", metadata=write_frame(tmp_path, 4))
    shutil.rmtree(tmp_path / "workspace" / "stores")
    np.save(tmp_path / "acts.npy", 2 * dense)
    assert np.array_equal(converted(run(tmp_path, "acts.npy")), 2 * dense)
    np.save(tmp_path / "other.npy", np.eye(5))
    with pytest.raises(BadInput, match="dataset 'words' has 4 samples"):
        run(tmp_path, "other.npy")
    np.save(tmp_path / "other.npy", np.ones((4, 5)))
    with pytest.raises(BadInput, match="SAE 'foreign' has 4 features, the activations have 5"):
        run(tmp_path, "other.npy")


@pytest.mark.parametrize(
    ("value", "words"),
    [(np.nan, "must be finite"), (np.inf, "must be finite"), (1e39, "more than float32"), (1e-50, "less than float32")],
)
def test_a_value_that_cannot_be_stored_is_named_by_file_row_and_feature(tmp_path, small_batches, value, words):
    dense = np.zeros((9, 3))
    dense[7, 1] = value
    np.save(tmp_path / "part_1.npy", dense[:6])
    np.save(tmp_path / "part_2.npy", dense[6:])
    with pytest.raises(BadInput, match=rf"Row 1 of '.*part_2.npy' has the value .* for feature 1: .*{words}"):
        run(tmp_path, "part_1.npy", "part_2.npy", metadata=write_frame(tmp_path, 9))
    assert not (tmp_path / "workspace" / "stores" / STORE / "harvest.json").exists()


def test_the_same_activations_give_the_same_sae_from_every_kind_of_file(tmp_path):
    dense = positive(np.random.default_rng(0).normal(size=(40, 7)))
    np.save(tmp_path / "a.npy", dense)
    sp.save_npz(tmp_path / "a.npz", sp.coo_array(dense))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["acts"] = dense
    found = set()
    for name, size in (("a.npy", 32_768), ("a.npz", 7), ("a.h5", 16)):
        shutil.rmtree(tmp_path / "workspace", ignore_errors=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(convert, "BATCH_SAMPLES", size)
            store = run(tmp_path, name, metadata=write_frame(tmp_path, 40))
        found.add(json.loads((store / "harvest.json").read_text())["fingerprints"]["sae"])
    assert len(found) == 1


def test_finished_batches_are_kept_and_damaged_ones_made_again(tmp_path, small_batches):
    dense = np.random.default_rng(0).normal(size=(11, 3))
    np.save(tmp_path / "acts.npy", dense)
    options = {"metadata": write_frame(tmp_path, 11)}
    store = run(tmp_path, "acts.npy", **options)
    paths = sorted((store / "activations").iterdir())
    before = [(path / "zarr.json").stat().st_mtime_ns for path in paths]
    (store / "harvest.json").unlink()
    (paths[1] / "data" / "c" / "0").write_bytes(b"half")
    assert np.array_equal(converted(run(tmp_path, "acts.npy", **options)), positive(dense))
    after = [(path / "zarr.json").stat().st_mtime_ns for path in paths]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threshold": 0.5}, "was made with threshold 0.0"),
        ({"source": np.full((11, 3), 2.0)}, "was made with another source"),
        ({"strange": True}, "holds the batch 'batch_0007.zarr', which is not of these files"),
    ],
)
def test_batches_of_another_source_or_threshold_are_refused(tmp_path, small_batches, change, words):
    np.save(tmp_path / "acts.npy", np.ones((11, 3)))
    options = {"metadata": write_frame(tmp_path, 11)}
    store = run(tmp_path, "acts.npy", **options)
    if "source" in change:
        np.save(tmp_path / "acts.npy", change["source"])
    if "strange" in change:
        shutil.copytree(store / "activations" / "batch_0000.zarr", store / "activations" / "batch_0007.zarr")
    with pytest.raises(BadInput, match=words):
        run(tmp_path, "acts.npy", **options, **({"threshold": 0.5} if "threshold" in change else {}))


def convert_and_die(root, options, writes):
    """Convert, and be killed at the start of array number `writes`."""
    real, left = sample_blocks.write_raw, [writes]

    def write_raw(*args):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*args)

    sample_blocks.write_raw = write_raw
    run(root, "acts.npy", **options)


@pytest.mark.parametrize("writes", [1, 2, 6, 7, 9])
def test_a_killed_conversion_goes_on_and_ends_in_the_same_bytes(tmp_path, small_batches, writes):
    dense = np.random.default_rng(0).normal(size=(11, 3))
    np.save(tmp_path / "acts.npy", dense)
    options = {"metadata": write_frame(tmp_path, 11)}
    child = multiprocessing.get_context("fork").Process(target=convert_and_die, args=(tmp_path, options, writes))
    child.start()
    child.join()
    store = tmp_path / "workspace" / "stores" / STORE
    assert child.exitcode == -signal.SIGKILL and not (store / "harvest.json").exists()
    finished = [path for path in (store / "activations").iterdir() if path.suffix == ".zarr"]
    assert len(finished) == (writes - 1) // 3
    run(tmp_path, "acts.npy", **options)
    resumed = publish_core(tmp_path).manifest["fingerprints"]
    shutil.rmtree(tmp_path / "workspace")
    run(tmp_path, "acts.npy", **options)
    assert publish_core(tmp_path).manifest["fingerprints"] == resumed


def test_any_number_of_workers_writes_the_same_bytes(tmp_path, small_batches):
    dense = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    with h5py.File(tmp_path / "acts.h5", "w") as file:
        file["acts"] = dense
    options = {"metadata": write_frame(tmp_path, 30)}
    found = []
    for jobs in (1, 2):
        store = run(tmp_path, "acts.h5", jobs=jobs, **options)
        found.append({path.name: path.read_bytes() for path in store.rglob("*") if path.is_file()})
        shutil.rmtree(tmp_path / "workspace")
    assert found[0] == found[1]


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(tmp_path, monkeypatch):
    np.save(tmp_path / "acts.npy", np.ones((1000, 50), np.float32))
    asked = []

    def refuse(path, needed, what):
        asked.append(needed)
        raise BadInput("no room")

    monkeypatch.setattr(convert, "require_space", refuse)
    with pytest.raises(BadInput, match="no room"):
        run(tmp_path, "acts.npy", metadata=write_frame(tmp_path, 1000))
    assert asked[0] >= 8 * 1000 * 50 and not (tmp_path / "workspace").exists()


def test_a_dense_file_is_never_in_memory_as_a_whole(tmp_path, monkeypatch):
    import tracemalloc

    values = np.lib.format.open_memmap(tmp_path / "acts.npy", mode="w+", dtype=np.float32, shape=(20_000, 512))
    values[::7, 3] = 1.5
    values.flush()
    monkeypatch.setattr("precompute.sources.source.READ_BYTES", 2**20)
    metadata = write_frame(tmp_path, 20_000)
    config = convert.Config((str(tmp_path / "acts.npy"),), "foreign", "words", metadata=metadata)
    with convert.open_input(config, Workspace(tmp_path)).source as source:
        batches = convert._plan(tmp_path / "store", source, config)
        tracemalloc.start()
        convert._write(batches, source, 0.0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < values.nbytes / 4
