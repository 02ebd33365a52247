"""Tables as files: typed, sorted, complete or absent."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loaders.errors import BadInput, StoreDamaged
from loaders.schema import INFLUENCES, MAP
from loaders.tables import GroupedTable, read_parquet_table
from precompute.progress import Progress
from precompute.tables import breakdowns, histograms, idf, neighbours, stats, tokens
from precompute.tables import map as feature_map
from precompute.tables.writer import kept_table, write_grouped, write_parquet


@dataclass(frozen=True)
class Made:
    store: str = "any"
    jobs: int = 1
    top: int = 20


def test_a_parquet_table_is_cast_and_put_in_order(tmp_path):
    write_parquet(tmp_path, "map", pa.table({"feature_id": [1, 0], "x": [1.5, 2.5], "y": [0.0, 1.0]}), Made())
    table = read_parquet_table(tmp_path, "map")
    assert table.schema.equals(MAP)
    assert table["x"].to_pylist() == [2.5, 1.5]


def test_a_grouped_table_is_one_record_batch_with_offsets_and_metadata(tmp_path):
    table = pa.table({"feature_id": [0, 2, 2], "token_id": [5, 6, 7], "value": [1.0, 0.5, 0.25]})
    path = write_grouped(tmp_path, "influences", table.replace_schema_metadata({"kind": "logits"}), 4, Made())
    with pa.ipc.open_file(path) as reader:
        assert reader.num_record_batches == 1
        assert reader.schema.equals(INFLUENCES)
    grouped = GroupedTable(tmp_path, "influences")
    assert grouped.metadata == {"kind": "logits", "settings": '{"top": 20}'}
    assert [grouped.rows(feature)["token_id"].to_pylist() for feature in range(4)] == [[5], [], [6, 7], []]


def test_a_grouped_table_maps_without_a_copy(tmp_path):
    table = pa.table({"feature_id": np.arange(1000), "token_id": np.arange(1000), "value": np.ones(1000)})
    write_grouped(tmp_path, "influences", table, 1000, Made())
    before = pa.total_allocated_bytes()
    grouped = GroupedTable(tmp_path, "influences")
    assert grouped.rows(999)["token_id"].to_pylist() == [999]
    assert pa.total_allocated_bytes() - before < 4000


def test_an_empty_grouped_table_is_still_a_table(tmp_path):
    write_grouped(tmp_path, "influences", INFLUENCES.empty_table(), 3, Made())
    assert GroupedTable(tmp_path, "influences").rows(2).num_rows == 0


def test_rows_out_of_order_are_a_mistake(tmp_path):
    table = pa.table({"feature_id": [1, 0], "token_id": [0, 0], "value": [0.0, 0.0]})
    with pytest.raises(ValueError, match="sorted by feature_id"):
        write_grouped(tmp_path, "influences", table, 2, Made())


@pytest.mark.parametrize("module", [stats, histograms, idf, tokens, breakdowns, neighbours, feature_map])
def test_a_table_that_is_there_is_kept(tiny, module):
    tiny.compute(module)
    path = module.run(module.Config("sae@words"), tiny.workspace, Progress())
    before = path.stat().st_mtime_ns
    module.run(module.Config("sae@words"), tiny.workspace, Progress())
    assert path.stat().st_mtime_ns == before
    assert not list(tiny.directory.rglob("*.tmp"))


@pytest.mark.parametrize("name", ["map", "influences"])
def test_finished_table_is_kept_for_the_same_settings_and_others_are_refused(tmp_path: Path, name: str) -> None:
    assert kept_table(tmp_path, name, Made()) is None
    if name == "map":
        written = write_parquet(tmp_path, name, pa.table({"feature_id": [0], "x": [1.5], "y": [0.0]}), Made())
    else:
        written = write_grouped(tmp_path, name, INFLUENCES.empty_table(), 3, Made())
    assert kept_table(tmp_path, name, Made(jobs=2, store="any")) == written  # these change nothing in the table
    with pytest.raises(BadInput, match="made with top 20 instead of 30"):
        kept_table(tmp_path, name, Made(top=30))


def test_unreadable_table_is_named_with_its_remedy(tmp_path: Path) -> None:
    path = write_parquet(tmp_path, "map", pa.table({"feature_id": [0], "x": [1.5], "y": [0.0]}), Made())
    path.write_bytes(b"not a table")
    with pytest.raises(StoreDamaged, match="run `loupe map`"):
        kept_table(tmp_path, "map", Made())
