"""Everything that is promised of stores and loaders, measured in one run: one table of what was reached."""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import arrow, dashboards, layouts, tables, transpose
from benchmarks.result import write_result

ROWS = 500_000  # of the Arrow stream


def rows(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """The table: what, the figure, its bound, and whether it holds."""
    one, transposed, peer = figures["layouts"]["one_feature"], figures["transpose"], figures["dashboards"]
    table, stream, opening = figures["tables"], figures["arrow"], figures["layouts"]["opening"]
    at_most = [
        ("csc, times copying both slices out of the maps", one["csc_over_raw_copies"], 1.5),
        ("one feature of 500,000 non-zeros, ms", figures["layouts"]["longest_feature"]["median_ms"], 5),
        ("transpose of 200 M non-zeros, peak anonymous MiB", transposed["peak_anonymous_mib"], 1536),
        ("transpose, times SciPy's tocsc in memory", transposed["times_scipy"], 5),
        ("all tables of 16,384 features x 1 M samples, s", table["tables_s"], 600),
        ("all tables, peak anonymous GiB", table["peak_anonymous_gib"], 4),
        ("tables, bytes per feature", table["table_bytes_per_feature"], 12_000),
        ("Arrow, errors of 32 clients", len(stream["errors"]), 0),
        ("opening 131,072 features, s", opening["median_s"], 0.3),
        ("opening 131,072 features, anonymous MiB over imports", opening["median_anonymous_mib_over_imports"], 50),
    ]
    at_least = [
        ("dense Zarr and finding non-zeros, times csc", one["dense_zarr_over_csc"], 100),
        ("npy pairs, times csc", one["npy_pairs_over_csc"], 5),
        ("SAEDashboard, times Loupe, 1,024 features in all", peer["ratio_total"], 5),
        ("SAEDashboard, times Loupe, a further feature", peer["ratio_further_feature"], 20),
        ("Arrow stream of 500,000 rows, MB/s", stream["one_client_mb_s"], 200),
    ]
    return [
        *({"what": what, "found": found, "at_most": bound, "holds": found <= bound} for what, found, bound in at_most),
        *(
            {"what": what, "found": found, "at_least": bound, "holds": found >= bound}
            for what, found, bound in at_least
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", default=".venv-peers/bin/python")
    parsed = parser.parse_args()
    figures: dict[str, Any] = {"layouts": layouts.measure()}
    with tempfile.TemporaryDirectory() as temporary:
        arrow.write_store(Path(temporary), ROWS)
        figures["arrow"] = arrow.measure(temporary, arrow.STORE, 0)
    figures["transpose"] = transpose.measure()
    with tempfile.TemporaryDirectory() as temporary:
        figures["tables"] = tables.measure(Path(temporary), 16_384, 1_000_000, 32)
    figures["dashboards"] = dashboards.measure(parsed.peer_python)
    write_result("stores", {"rows": rows(figures), **figures})


if __name__ == "__main__":
    main()
