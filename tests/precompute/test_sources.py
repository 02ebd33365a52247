"""Every kind of file gives back the matrix that was written into it, and says in one sentence why it cannot be read."""

import json
import pickle
import struct
from pathlib import Path

import h5py
import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import save_file

from loaders.errors import BadInput
from precompute.sources.part import Options
from precompute.sources.source import Source, describe_files, find_files

TRUSTED = Options(trust_pickle=True)
VALUES = [0.0, 0.0, 0.0, 0.5, -1.25, 3.0, 65504.0, 2.0**-24]  # the last two: the extremes of float16
DENSE = st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
    lambda dtype: arrays(dtype, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from(VALUES))
)
SCIPY = {"csr": sp.csr_array, "csc": sp.csc_array, "coo": sp.coo_array, "bsr": sp.bsr_array, "dok": sp.dok_array}


def as_scipy(dense, kind):
    return SCIPY[kind](dense.astype(np.promote_types(dense.dtype, np.float32)))


def write_npy(path, dense):
    np.save(path.with_suffix(".npy"), dense)
    return path.with_suffix(".npy")


def write_fortran(path, dense):
    return write_npy(path, np.asfortranarray(dense))


def write_big_endian(path, dense):
    return write_npy(path, dense.astype(dense.dtype.newbyteorder(">")))


def write_npz(path, dense):
    np.savez_compressed(path.with_suffix(".npz"), labels=np.arange(3), acts=dense)
    return path.with_suffix(".npz")


def write_scipy(kind):
    def write(path, dense):
        sp.save_npz(path.with_suffix(".npz"), as_scipy(dense, kind))
        return path.with_suffix(".npz")

    return write


def write_hdf5(path, dense):
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file.create_dataset("run/acts", data=dense, chunks=(min(5, len(dense)), 1))
        file["labels"] = np.arange(3)
    return path.with_suffix(".h5")


def anndata_group(group, dense, kind):
    matrix = as_scipy(dense, kind)
    group.attrs.update({"encoding-type": f"{kind}_matrix", "encoding-version": "0.1.0", "shape": list(dense.shape)})
    return {"data": matrix.data.astype(dense.dtype), "indices": matrix.indices, "indptr": matrix.indptr}


def write_h5ad(kind):
    def write(path, dense):
        with h5py.File(path.with_suffix(".h5ad"), "w") as file:
            group = file.create_group("X")
            for name, values in anndata_group(group, dense, kind).items():
                group[name] = values
        return path.with_suffix(".h5ad")

    return write


def write_zarr(version):
    def write(path, dense):
        root = zarr.create_group(path.with_suffix(".zarr"), zarr_format=version)
        root.create_array("acts", shape=dense.shape, dtype=dense.dtype, chunks=(4, 3))[:] = dense
        root.create_array("labels", shape=(3,), dtype="i4")
        return path.with_suffix(".zarr")

    return write


def write_bare_zarr(path, dense):
    zarr.create_array(str(path), shape=dense.shape, dtype=dense.dtype, chunks=(2, 2), shards=(4, 4))[:] = dense
    return path


def write_zarr_group(kind):
    def write(path, dense):
        group = zarr.create_group(path.with_suffix(".zarr")).create_group("X")
        for name, values in anndata_group(group, dense, kind).items():
            group.create_array(name, data=values)
        return path.with_suffix(".zarr")

    return write


def write_safetensors(path, dense):
    save_file({"acts": dense, "bias": np.zeros(3, np.float32)}, path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors")


def write_joblib(compress):
    def write(path, dense):
        joblib.dump(dense, path.with_suffix(".joblib"), compress=compress)
        return path.with_suffix(".joblib")

    return write


def write_joblib_sparse(path, dense):
    joblib.dump(as_scipy(dense, "csc"), path.with_suffix(".joblib"))
    return path.with_suffix(".joblib")


def write_pickle(path, dense):
    path.with_suffix(".pkl").write_bytes(pickle.dumps(dense))
    return path.with_suffix(".pkl")


def write_object_npy(path, dense):
    holder = np.empty((), dtype=object)
    holder[()] = as_scipy(dense, "csr")
    np.save(path.with_suffix(".npy"), holder, allow_pickle=True)
    return path.with_suffix(".npy")


WRITERS = {
    "npy": write_npy,
    "npy column by column": write_fortran,
    "npy big-endian": write_big_endian,
    "npz": write_npz,
    **{f"scipy {kind}": write_scipy(kind) for kind in ("csr", "csc", "coo", "bsr")},
    "hdf5": write_hdf5,
    "h5ad csr": write_h5ad("csr"),
    "h5ad csc": write_h5ad("csc"),
    "zarr 2": write_zarr(2),
    "zarr 3": write_zarr(3),
    "zarr array": write_bare_zarr,
    "zarr csr": write_zarr_group("csr"),
    "zarr csc": write_zarr_group("csc"),
    "safetensors": write_safetensors,
    "joblib": write_joblib(0),
    "joblib compressed": write_joblib(3),
    "joblib sparse": write_joblib_sparse,
    "pickle": write_pickle,
    "npy of objects": write_object_npy,
}


def read(source, start=0, stop=None):
    """Samples start..stop as one dense array."""
    parts = [np.empty((0, source.features))]
    with source:
        for _, rows in source.blocks(start, source.samples if stop is None else stop):
            parts.append(rows.toarray() if sp.issparse(rows) else np.asarray(rows))
    return np.vstack(parts)


@pytest.mark.parametrize("kind", WRITERS)
@settings(max_examples=12, deadline=None)
@given(dense=DENSE, cuts=st.tuples(st.integers(0, 12), st.integers(0, 12)))
def test_any_range_of_rows_is_that_of_the_matrix_that_was_written(tmp_path_factory, kind, dense, cuts):
    path = WRITERS[kind](tmp_path_factory.mktemp("source") / "acts", dense)
    source = Source(describe_files([path], TRUSTED))
    assert (source.samples, source.features) == dense.shape
    start, stop = sorted(min(cut, len(dense)) for cut in cuts)
    assert np.array_equal(read(source, start, stop), dense[start:stop])
    assert np.array_equal(read(source), dense)


def test_bfloat16_is_read_exactly(tmp_path):
    values = np.array([[0.0, 1.5, -2.0], [3.0e38, 1e-30, 0.0]], np.float32)
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    header = json.dumps({"acts": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}}).encode()
    path = tmp_path / "acts.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bits.tobytes())
    expected = (bits.astype(np.uint32) << 16).view(np.float32)
    assert np.array_equal(read(Source(describe_files([path], Options()))), expected)


def test_files_are_read_in_the_order_of_their_numbers_with_exact_alignment(tmp_path):
    dense = np.arange(60, dtype=np.float32).reshape(20, 3)
    cuts = np.cumsum([0, 4, 1, 0, 7, 2, 1, 1, 1, 1, 1, 1])  # twelve files of unequal size, one of them empty
    for number, (first, last) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
        np.save(tmp_path / f"part_{number}.npy", dense[first:last])
    (tmp_path / "README.md").write_text("not a part")
    files = find_files((str(tmp_path),))
    assert [file.name for file in files] == [f"part_{number}.npy" for number in range(11)]
    assert np.array_equal(read(Source(describe_files(files, Options()))), dense)
    shuffled = tuple(str(file) for file in reversed(files))
    assert find_files(shuffled) == files


def test_a_dense_file_is_read_in_blocks_of_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setattr("precompute.sources.source.READ_BYTES", 8 * 3 * 5)  # five rows of three features
    dense = np.arange(36, dtype=np.float64).reshape(12, 3)
    for path, sizes in (
        (write_npy(tmp_path / "a", dense), [5, 5, 2]),
        (write_zarr(3)(tmp_path / "b", dense), [4, 4, 4]),
    ):
        with Source(describe_files([path], Options())) as source:
            assert [len(rows) for _, rows in source.blocks(0, 12)] == sizes
    assert np.array_equal(read(source), dense)


@pytest.mark.parametrize("kind", ["joblib", "pickle", "npy of objects"])
def test_a_pickle_is_refused_unless_it_is_trusted_and_the_sentence_says_why(tmp_path, kind):
    path = WRITERS[kind](tmp_path / "acts", np.eye(2, dtype=np.float32))
    with pytest.raises(BadInput, match=r"runs whatever code .* --trust-pickle"):
        describe_files([path], Options())


def test_the_code_in_a_pickle_that_is_not_trusted_does_not_run(tmp_path):
    marker = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return Path.touch, (marker,)

    for path in (tmp_path / "a.joblib", tmp_path / "a.pkl"):
        path.write_bytes(pickle.dumps(Trap()))
        with pytest.raises(BadInput):
            describe_files([path], Options())
    np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput):
        describe_files([tmp_path / "a.npy"], Options())
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["hdf5", "zarr 3", "npz", "safetensors"])
def test_one_of_several_arrays_must_be_named_and_a_wrong_name_prints_those_that_are_there(tmp_path, kind):
    dense = np.eye(3, dtype=np.float32)
    path = WRITERS[kind](tmp_path / "acts", dense)
    if kind == "hdf5":
        with h5py.File(path, "a") as file:
            file["other"] = 2 * dense
    elif kind == "zarr 3":
        zarr.open_group(path, mode="a").create_array("other", data=2 * dense)
    elif kind == "npz":
        np.savez(path, acts=dense, other=2 * dense)
    else:
        save_file({"acts": dense, "other": 2 * dense}, path)
    name = "run/acts" if kind == "hdf5" else "acts"
    there = ", ".join(sorted((name, "other")))
    with pytest.raises(BadInput, match=f"several arrays: {there}.*--array"):
        describe_files([path], Options())
    with pytest.raises(BadInput, match=f"no array 'wrong'; it holds: {there}"):
        describe_files([path], Options(array="wrong"))
    assert np.array_equal(read(Source(describe_files([path], Options(array="other")))), 2 * dense)


def test_a_name_for_an_array_that_has_none_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"without a name, but 'acts' was asked for"):
        describe_files([write_npy(tmp_path / "a", np.eye(2))], Options(array="acts"))


@pytest.mark.parametrize("kind", WRITERS)
def test_a_truncated_or_altered_file_is_named(tmp_path, kind):
    generator = np.random.default_rng(0)
    path = WRITERS[kind](tmp_path / "acts", generator.normal(size=(300, 9)).astype(np.float32))
    if path.is_dir():
        chunk = max((file for file in path.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
        chunk.write_bytes(chunk.read_bytes()[: chunk.stat().st_size // 2])
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadInput, match=r"acts.*cannot be read|acts.*shorter|acts.*consistent"):
        read(Source(describe_files([path], TRUSTED)))
