"""Raw arrays are valid Zarr v3 and plain bytes at once."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.errors import StoreDamaged
from loaders.raw import INNER_CHUNK, open_raw
from precompute.raw import create_group, write_raw


@settings(max_examples=15, deadline=None)
@given(
    length=st.sampled_from([0, 1, 100, INNER_CHUNK - 1, INNER_CHUNK, INNER_CHUNK + 1, 3 * INNER_CHUNK + 7]),
    dtype=st.sampled_from(["uint8", "uint32", "int64", "float32"]),
    seed=st.integers(0, 99),
)
def test_an_array_reads_back_the_same_through_the_map_and_through_zarr(tmp_path_factory, length, dtype, seed):
    group = create_group(tmp_path_factory.mktemp("raw") / "g.zarr", {"encoding-type": "test"})
    values = np.random.default_rng(seed).integers(0, 200, length).astype(dtype)
    write_raw(group, "data", values)
    mapped = open_raw(group / "data")
    assert mapped.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(mapped, values)
    opened = zarr.open_group(group, mode="r")
    assert opened.attrs["encoding-type"] == "test"
    np.testing.assert_array_equal(opened["data"][:], values)


def test_the_map_copies_nothing(tmp_path):
    group = create_group(tmp_path / "g.zarr", {})
    write_raw(group, "data", np.arange(10, dtype=np.int64))
    assert isinstance(open_raw(group / "data"), np.memmap)


@pytest.mark.parametrize("damage", ["truncate", "delete", "metadata"])
def test_a_damaged_array_is_refused_by_name(tmp_path, damage):
    group = create_group(tmp_path / "g.zarr", {})
    write_raw(group, "data", np.arange(1000, dtype=np.int64))
    shard = group / "data" / "c" / "0"
    if damage == "truncate":
        shard.write_bytes(shard.read_bytes()[:-1])
    elif damage == "delete":
        shard.unlink()
    else:
        (group / "data" / "zarr.json").write_text("{}")
    with pytest.raises(StoreDamaged, match="data"):
        open_raw(group / "data")
