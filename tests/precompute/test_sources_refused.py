"""Files that hold no activations, or not what they say, are refused by name."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from loaders.errors import BadInput
from precompute.sources.part import Options
from precompute.sources.source import Source, describe_files, find_files


def save(path: Path, values: np.ndarray) -> Path:
    np.save(path, values)
    return path.with_name(path.name + ".npy")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5", ".zarr", ".safetensors", ".joblib"])
def test_a_file_of_something_else_is_named(tmp_path, suffix):
    path = tmp_path / f"acts{suffix}"
    path.write_text("these are no activations")
    with pytest.raises(BadInput, match="acts"):
        describe_files([path], Options(trust_pickle=True))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros(5), r"shape \(5,\); wanted two axes"),
        (np.zeros((2, 3, 4)), r"shape \(2, 3, 4\); wanted two axes"),
        (np.zeros((2, 2), complex), "type complex128"),
        (np.array([["a", "b"]]), "type <U1"),
    ],
)
def test_an_array_that_is_no_matrix_of_numbers_is_refused(tmp_path, values, words):
    with pytest.raises(BadInput, match=words):
        describe_files([save(tmp_path / "a", values)], Options())


@pytest.mark.parametrize(
    ("data", "indices", "indptr"),
    [
        ([1.0], [5], [0, 1, 1]),  # a feature that is not there
        ([1.0], [-1], [0, 1, 1]),
        ([1.0, 2.0], [0, 1], [0, 2, 1]),  # pointers that go back
        ([1.0], [0], [0, 1]),  # a row too few
        ([1.0], [0], [0, 1, 9]),  # beyond the end
    ],
)
def test_sparse_indices_and_pointers_that_lead_outside_are_refused(tmp_path, data, indices, indptr):
    parts = {"data": np.array(data), "indices": np.array(indices), "indptr": np.array(indptr)}
    np.savez(tmp_path / "a.npz", format=np.array(b"csr"), shape=np.array([2, 3]), **parts)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("X").attrs.update({"encoding-type": "csr_matrix", "shape": [2, 3]})
        for name, values in parts.items():
            file[f"X/{name}"] = values
    for path in (tmp_path / "a.npz", tmp_path / "a.h5"):
        with pytest.raises(BadInput, match=r"consistent|cannot be read"):
            list(Source(describe_files([path], Options())).blocks(0, 2))


def test_files_of_different_widths_or_kinds_are_refused(tmp_path):
    save(tmp_path / "a", np.zeros((2, 3)))
    save(tmp_path / "b", np.zeros((2, 4)))
    with pytest.raises(BadInput, match=r"b.npy' has 4 features, but 'a.npy' has 3"):
        describe_files(find_files((str(tmp_path),)), Options())
    np.savez(tmp_path / "c.npz", acts=np.zeros((2, 3)))
    with pytest.raises(BadInput, match="of different kinds"):
        find_files((str(tmp_path),))


def test_a_source_that_is_not_there_empty_unknown_or_given_twice_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no file or directory"):
        find_files((str(tmp_path / "nowhere"),))
    with pytest.raises(BadInput, match="holds no activations"):
        find_files((str(tmp_path),))
    path = save(tmp_path / "a", np.zeros((2, 3)))
    with pytest.raises(BadInput, match="given twice"):
        find_files((str(path), str(tmp_path)))
    (tmp_path / "a.txt").write_text("1 2 3")
    with pytest.raises(BadInput, match=r"a.txt' cannot be read: wanted a file ending in .npy"):
        describe_files([tmp_path / "a.txt"], Options())
