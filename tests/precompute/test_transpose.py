"""Batches become feature-major arrays that hold exactly the same activations, whatever the batches."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from loaders.errors import BadInput, StoreDamaged, StoreNotFound
from loaders.manifest import file_sha256
from loaders.raw import open_group_attributes, open_raw
from loaders.workspace import Workspace
from precompute import csc_group, feature_sort, transpose
from precompute.csc_group import Plan, write_group
from precompute.disk import in_bytes
from precompute.progress import Progress
from precompute.raw import create_raw, finish_raw, write_raw
from precompute.sample_blocks import SampleBlocks, write_batch

STORE = "sae@words"
SMALLEST_HALF, LARGEST_HALF = 2.0**-24, 65504.0  # of float16
DENSE = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=14),
    elements=st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.25, 3.0, SMALLEST_HALF, LARGEST_HALF]),
)


def write_batches(root, dense, batch_rows):
    return write_rows(root, sp.csr_array(dense), batch_rows)


def run(workspace, **options):
    return transpose.run(transpose.Config(STORE, **options), workspace, Progress())


def write_rows(root, rows, batch_rows):
    workspace = Workspace(root)
    directory = workspace.store_dir(STORE)
    (directory / "activations").mkdir(parents=True)
    for number, first in enumerate(range(0, rows.shape[0], batch_rows)):
        write_batch(directory / "activations" / f"batch_{number:04d}.zarr", rows[first : first + batch_rows], {})
    (directory / "harvest.json").write_text(json.dumps({"samples": rows.shape[0]}))
    return workspace


def hashes(directory):
    return {path.relative_to(directory): file_sha256(path) for path in directory.rglob("*") if path.is_file()}


def read(group):
    return [np.array(open_raw(group / name)) for name in ("indptr", "indices", "data")]


@settings(max_examples=60, deadline=None)
@given(DENSE, st.integers(1, 15), st.sampled_from([1, 2, 5, 30, 10**6]), st.integers(1, 9))
def test_the_transposed_arrays_are_those_of_the_dense_matrix_in_spans_of_any_size(
    tmp_path_factory, dense, batch_rows, span, piece
):
    store_dir = write_batches(tmp_path_factory.mktemp("workspace"), dense, batch_rows).store_dir(STORE)
    group = store_dir / "features.zarr"
    with Progress().step("transpose", 3 * np.count_nonzero(dense), "activations") as bar:
        write_group(store_dir, group, Plan(span, piece), bar)
        assert bar.done == 3 * np.count_nonzero(dense)
    expected = sp.csc_array(dense)
    indptr, indices, data = read(group)
    assert (indptr.dtype, indices.dtype, data.dtype) == (np.int64, np.uint32, np.float32)
    assert np.array_equal(indptr, expected.indptr)
    assert np.array_equal(indices, expected.indices)
    assert np.array_equal(data, expected.data)


@settings(max_examples=25, deadline=None)
@given(DENSE, st.integers(1, 15), st.integers(1, 40), st.integers(0, 99))
def test_batches_are_read_back_in_blocks_and_in_any_order(tmp_path_factory, dense, batch_rows, nnz, seed):
    directory = write_batches(tmp_path_factory.mktemp("workspace"), dense, batch_rows).store_dir(STORE)
    batches = SampleBlocks.open(directory)
    blocks = list(batches.blocks(nnz))
    assert [start for start, _ in blocks] == np.cumsum([0, *(rows.shape[0] for _, rows in blocks)])[:-1].tolist()
    assert np.array_equal(np.vstack([rows.toarray() for _, rows in blocks]), dense)
    assert all(rows.nnz <= nnz or rows.shape[0] == 1 for _, rows in blocks)
    order = np.random.default_rng(seed).integers(0, len(dense), 9)
    assert np.array_equal(batches.take(order).toarray(), dense[order])


def test_the_group_says_that_it_is_an_anndata_csc_matrix_and_zarr_reads_it(tmp_path):
    zarr = pytest.importorskip("zarr")
    dense = np.array([[0, 2.5, 0], [1.0, 0, 0]], dtype=np.float32)
    group = zarr.open_group(run(write_batches(tmp_path, dense, 1)), mode="r")
    assert dict(group.attrs) == {"encoding-type": "csc_matrix", "encoding-version": "0.1.0", "shape": [2, 3]}
    parts = [group[name][:] for name in ("data", "indices", "indptr")]
    assert np.array_equal(sp.csc_array(tuple(parts), shape=(2, 3)).toarray(), dense)


def test_a_store_without_any_activation_is_transposed(tmp_path):
    group = run(write_batches(tmp_path, np.zeros((3, 4), np.float32), 2))
    assert [len(values) for values in read(group)] == [5, 0, 0]


def test_a_finished_transposition_is_kept(tmp_path):
    workspace = write_batches(tmp_path, np.eye(3, dtype=np.float32), 2)
    before = os.stat(run(workspace) / "zarr.json").st_mtime_ns
    assert os.stat(run(workspace) / "zarr.json").st_mtime_ns == before


def test_an_interrupted_transposition_is_done_again(tmp_path):
    workspace = write_batches(tmp_path, np.eye(3, dtype=np.float32), 2)
    leftover = workspace.store_dir(STORE) / "features.zarr.tmp"
    leftover.mkdir()
    (leftover / "rubbish").write_text("half a file")
    group = run(workspace)
    assert not leftover.exists()
    assert sorted(path.name for path in group.iterdir()) == ["data", "indices", "indptr", "zarr.json"]


def test_a_transposition_of_older_batches_is_replaced(tmp_path):
    workspace = write_batches(tmp_path, np.eye(3, dtype=np.float32), 3)
    run(workspace)
    directory = workspace.store_dir(STORE)
    write_batch(directory / "activations" / "batch_0001.zarr", sp.csr_array(np.ones((1, 3), np.float32)), {})
    (directory / "harvest.json").write_text('{"samples": 4}')
    assert open_group_attributes(run(workspace))["shape"] == [4, 3]


def test_an_unfinished_harvest_is_refused(tmp_path):
    workspace = write_batches(tmp_path, np.eye(3, dtype=np.float32), 2)
    (workspace.store_dir(STORE) / "harvest.json").unlink()
    with pytest.raises(BadInput, match="hold 3 samples, but its harvest has not finished"):
        run(workspace)


def test_a_store_without_batches_is_named(tmp_path):
    with pytest.raises(StoreNotFound, match=r"sae@words.*loupe harvest"):
        run(Workspace(tmp_path))


@pytest.mark.parametrize("value", [-1.0, -0.0, 0.0, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("batch_rows", [2, 4])
def test_values_that_are_no_activations_are_refused_with_their_place(tmp_path, value, batch_rows):
    dense = np.full((4, 3), 0.5, dtype=np.float32)
    dense[3, 1] = 7
    workspace = write_batches(tmp_path, dense, batch_rows)
    batch = workspace.store_dir(STORE) / "activations" / f"batch_{4 // batch_rows - 1:04d}.zarr"
    values = np.array(open_raw(batch / "data"))
    values[values == 7] = value
    write_raw(batch, "data", values)
    with pytest.raises(BadInput, match=r"Sample 3 .*feature 1"):
        run(workspace)
    assert not list(workspace.store_dir(STORE).glob("features.zarr*"))


def test_a_torn_batch_is_refused(tmp_path):
    workspace = write_batches(tmp_path, np.eye(3, dtype=np.float32), 3)
    group = workspace.store_dir(STORE) / "activations" / "batch_0000.zarr"
    finish_raw(group, "data", create_raw(group, "data", 2, np.float32))
    with pytest.raises(StoreDamaged, match=r"batch_0000.zarr.*\(4, 3, 2\)"):
        run(workspace)


def test_batches_of_different_saes_are_refused(tmp_path):
    workspace = write_batches(tmp_path, np.eye(3, dtype=np.float32), 3)
    path = workspace.store_dir(STORE) / "activations" / "batch_0001.zarr"
    write_batch(path, sp.csr_array(np.eye(4, dtype=np.float32)), {})
    with pytest.raises(StoreDamaged, match=r"\[3, 4\]"):
        run(workspace)


def test_a_feature_that_does_not_exist_is_refused(tmp_path):
    workspace = write_batches(tmp_path, np.eye(3, dtype=np.float32), 3)
    write_raw(workspace.store_dir(STORE) / "activations" / "batch_0000.zarr", "indices", np.array([0, 3, 2], np.uint32))
    with pytest.raises(StoreDamaged, match="names feature 3 of 3"):
        run(workspace)


def test_row_pointers_that_do_not_ascend_are_refused(tmp_path):
    workspace = write_batches(tmp_path, np.eye(3, dtype=np.float32), 3)
    write_raw(workspace.store_dir(STORE) / "activations" / "batch_0000.zarr", "indptr", np.array([0, 2, 1, 3]))
    with pytest.raises(StoreDamaged, match="row pointers that do not ascend"):
        run(workspace)


def test_a_sample_that_names_a_feature_twice_is_refused(tmp_path):
    workspace = write_batches(tmp_path, np.ones((1, 2), np.float32), 1)
    write_raw(workspace.store_dir(STORE) / "activations" / "batch_0000.zarr", "indices", np.array([1, 1], np.uint32))
    with pytest.raises(StoreDamaged, match="a sample has one of them twice"):
        run(workspace)


@pytest.mark.parametrize("name", ["indptr", "indices", "data"])
def test_a_truncated_file_of_a_batch_is_refused_by_name(tmp_path, name):
    workspace = write_batches(tmp_path, np.eye(3, dtype=np.float32), 2)
    shard = workspace.store_dir(STORE) / "activations" / "batch_0001.zarr" / name / "c" / "0"
    os.truncate(shard, os.path.getsize(shard) - 1)
    with pytest.raises(StoreDamaged, match=f"{name}/c/0"):
        run(workspace)


def test_a_truncated_result_is_made_again(tmp_path):
    workspace = write_batches(tmp_path, np.eye(3, dtype=np.float32), 2)
    group = run(workspace)
    before = read(group)
    os.truncate(group / "data" / "c" / "0", 8)
    assert all(map(np.array_equal, read(run(workspace)), before))


@pytest.mark.parametrize("name", ["indices", "data"])
def test_a_result_that_differs_from_the_batches_is_an_error(tmp_path, monkeypatch, name):
    workspace = write_batches(tmp_path, np.eye(3, dtype=np.float32), 3)

    def sort_and_damage(span, indices, data, places):
        sums = feature_sort.sort_span(span, indices, data, places)
        with open({"indices": indices, "data": data}[name], "r+b") as file:
            file.write(b"\xff" * 4)
        return sums

    monkeypatch.setattr(csc_group, "sort_span", sort_and_damage)
    with pytest.raises(StoreDamaged, match="differ from their batches"):
        run(workspace)
    assert not (workspace.store_dir(STORE) / "features.zarr").exists()


def test_several_jobs_write_the_same_bytes(tmp_path):
    generator = np.random.default_rng(0)
    dense = (generator.random((300, 20)) * (generator.random((300, 20)) < 0.3)).astype(np.float32)
    store_dir = write_batches(tmp_path, dense, 70).store_dir(STORE)
    for name, jobs in (("one", 1), ("two", 2)):
        with Progress().step(name, 1, "activations") as bar:
            write_group(store_dir, store_dir / name, Plan(500, 100), bar, jobs)
    assert hashes(store_dir / "one") == hashes(store_dir / "two")


def test_memory_is_shared_by_the_jobs_and_bounds_what_a_task_holds(tmp_path):
    batches = SampleBlocks.open(write_batches(tmp_path, np.eye(5, 1000, dtype=np.float32), 5).store_dir(STORE))
    alone, shared = (transpose.make_plan(2**30, jobs, batches) for jobs in (1, 4))
    assert shared.span < alone.span < 2**30 // 8
    with pytest.raises(BadInput, match=r"--memory 1 MiB is too little .* Give at least \d+ MiB"):
        transpose.make_plan(2**20, 1, batches)


def test_a_size_without_a_unit_is_refused(tmp_path):
    workspace = write_batches(tmp_path, np.eye(3, dtype=np.float32), 3)
    with pytest.raises(BadInput, match="'512' is not a size"):
        run(workspace, memory="512")


def test_sizes_are_read_with_their_units():
    sizes = {"512MiB": 2**29, "1GiB": 2**30, "1500MB": 1_500_000_000, "1.5 kib": 1536, "7B": 7}
    assert {text: in_bytes(text) for text in sizes} == sizes
    for text in ("", "GiB", "1iB", "-1MB", "1e3MB", "1MBit"):
        with pytest.raises(BadInput, match="is not a size"):
            in_bytes(text)


def test_a_transposition_killed_at_any_moment_ends_with_the_same_bytes(tmp_path):
    rng = np.random.default_rng(0)
    rows = sp.random_array((10_000, 1200), density=0.15, format="csr", dtype=np.float32, rng=rng)
    rows.data += 0.5
    calm, killed = (write_rows(tmp_path / name, rows, 2500) for name in ("calm", "killed"))
    wanted = hashes(run(calm))
    program = (
        "import sys; from loaders.workspace import Workspace; from precompute import transpose;"
        "from precompute.progress import Progress; root, store, memory = sys.argv[1:]; print('ready', flush=True);"
        "config = transpose.Config(store, memory, dense=memory == '1GiB', per_feature=memory == '1GiB');"
        "transpose.run(config, Workspace(root), Progress())"
    )
    store_dir = killed.store_dir(STORE)
    for moment, memory in (
        ("features.zarr.tmp/data/c/0", "16MiB"),
        ("features.zarr.tmp/data/c/0", "1GiB"),
        ("transposed.zarr.tmp/zarr.json", "1GiB"),
        ("neuron_acts.tmp/neuron_0010", "1GiB"),
    ):
        command = [sys.executable, "-c", program, str(killed.root), STORE, memory]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        while not (store_dir / moment).exists() and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, f"it ended before {moment} could be cut off"
        assert list(store_dir.glob("*.tmp"))
    for workspace in (calm, killed):
        run(workspace, dense=True, per_feature=True)
    assert hashes(store_dir / "features.zarr") == wanted
    for name in ("transposed.zarr", "neuron_acts"):
        assert hashes(store_dir / name) == hashes(calm.store_dir(STORE) / name)
    assert not list(store_dir.glob("*.tmp"))
