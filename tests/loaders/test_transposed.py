"""A dense array is read row by row, and what is missing, torn or of another kind is refused, never read as zeros."""

import numpy as np
import pytest
import zarr

from loaders.errors import StoreDamaged
from loaders.transposed import TransposedLoader

VALUES = np.array([[0, 1.5, 0, 2.5], [0, 0, 0, 0], [3.5, 0, 0, 0]], dtype=np.float32)


def write(store_dir, values=VALUES, attributes=None, **options):
    config = {"write_empty_chunks": attributes is not None}
    shape = {"shape": values.shape, "dtype": values.dtype, "chunks": (1, *values.shape[1:]), **options}
    array = zarr.create_array(store_dir / "transposed.zarr", attributes=attributes, config=config, **shape)
    array[...] = values
    return store_dir


def test_the_non_zeros_of_a_row_are_found(tmp_path):
    loader = TransposedLoader(write(tmp_path))
    assert (loader.features, loader.samples) == (3, 4)
    found = loader.load(0)
    assert (found.indices.tolist(), found.activations.tolist()) == ([1, 3], [1.5, 2.5])
    assert found.activations.dtype == np.float32


@pytest.mark.parametrize("options", [{"zarr_format": 2}, {"chunks": (2, 3)}, {"shards": (2, 4)}])
def test_arrays_that_other_tools_wrote_are_read_with_their_own_chunks(tmp_path, options):
    loader = TransposedLoader(write(tmp_path, **options))
    assert [len(loader.load(feature).indices) for feature in range(3)] == [2, 0, 1]


def test_a_missing_file_of_our_own_array_is_not_read_as_zeros(tmp_path):
    store_dir = write(tmp_path, attributes={"source": "s"}, shards=(2, 4))
    (store_dir / "transposed.zarr" / "c" / "1" / "0").unlink()
    loader = TransposedLoader(store_dir)
    assert len(loader.load(1).indices) == 0
    with pytest.raises(StoreDamaged, match=r"c/1/0' of feature 2 is missing"):
        loader.load(2)


@pytest.mark.parametrize("keep", [0, 5, -1])
def test_a_truncated_shard_is_refused(tmp_path, keep):
    store_dir = write(tmp_path, attributes={"source": "s"}, shards=(3, 4))
    shard = store_dir / "transposed.zarr" / "c" / "0" / "0"
    shard.write_bytes(shard.read_bytes()[:keep])
    with pytest.raises(StoreDamaged, match=r"Feature 0 of .*cannot be read"):
        TransposedLoader(store_dir).load(0)


@pytest.mark.parametrize("values", [VALUES.astype(np.float64), VALUES[0]], ids=["dtype", "shape"])
def test_an_array_of_another_kind_is_refused(tmp_path, values):
    with pytest.raises(StoreDamaged, match=r"wanted float32 \[features, samples\]"):
        TransposedLoader(write(tmp_path, values))


def test_metadata_that_cannot_be_read_are_refused(tmp_path):
    (write(tmp_path) / "transposed.zarr" / "zarr.json").write_text("{}")
    with pytest.raises(StoreDamaged, match="not a Zarr array"):
        TransposedLoader(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path, value):
    values = VALUES.copy()
    values[1, 2] = value
    with pytest.raises(StoreDamaged, match=r"Feature 1 .* holds NaN or infinity"):
        TransposedLoader(write(tmp_path, values)).load(1)
