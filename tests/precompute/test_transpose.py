"""Batches become feature-major arrays that hold exactly the same activations, whatever the batches."""

import json
import os

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from loaders.errors import BadInput, StoreDamaged, StoreNotFound
from loaders.raw import open_group_attributes, open_raw
from loaders.workspace import Workspace
from precompute import transpose
from precompute.progress import Progress
from precompute.raw import create_raw, finish_raw
from precompute.sample_blocks import SampleBlocks, write_batch

STORE = "sae@words"
DENSE = arrays(
    np.float32, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.sampled_from([0.0, 0.0, 0.5, 1.25, 3.0])
)


def write_batches(root, dense, batch_rows):
    workspace = Workspace(root)
    directory = workspace.store_dir(STORE)
    (directory / "activations").mkdir(parents=True)
    for number, first in enumerate(range(0, len(dense), batch_rows)):
        rows = sp.csr_array(dense[first : first + batch_rows])
        write_batch(directory / "activations" / f"batch_{number:04d}.zarr", rows, {})
    (directory / "harvest.json").write_text(json.dumps({"samples": len(dense)}))
    return workspace


def run(workspace, **options):
    return transpose.run(transpose.Config(STORE, **options), workspace, Progress())


def read(group):
    return [np.array(open_raw(group / name)) for name in ("indptr", "indices", "data")]


@settings(max_examples=40, deadline=None)
@given(DENSE, st.integers(1, 15), st.booleans())
def test_the_transposed_arrays_are_those_of_the_dense_matrix(tmp_path_factory, dense, batch_rows, is_starved):
    workspace = write_batches(tmp_path_factory.mktemp("workspace"), dense, batch_rows)
    group = run(workspace, memory_mib=0 if is_starved else 256)  # no memory: one sample at a time
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


@pytest.mark.parametrize("value", [-1.0, np.inf, np.nan])
def test_values_that_are_no_activations_are_refused_with_their_place(tmp_path, value):
    dense = np.zeros((4, 3), dtype=np.float32)
    dense[2, 1] = value
    with pytest.raises(BadInput, match=r"Sample 2 .*feature 1"):
        run(write_batches(tmp_path, dense, 3))


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


def test_a_result_that_differs_from_the_batches_is_an_error(tmp_path, monkeypatch):
    workspace = write_batches(tmp_path, np.eye(3, dtype=np.float32), 3)

    def finish_damaged(group, name, values):
        if name == "data":
            values[1] = 7
        finish_raw(group, name, values)

    monkeypatch.setattr(transpose, "finish_raw", finish_damaged)
    with pytest.raises(StoreDamaged, match="differ from their batches"):
        run(workspace)
    assert not (workspace.store_dir(STORE) / "features.zarr").exists()
