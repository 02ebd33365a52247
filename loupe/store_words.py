"""Reports about stores and workspaces as a person reads them on a terminal."""

from collections.abc import Sequence
from typing import Any

from loaders.usage import KINDS

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size_in_words(size: float) -> str:
    """Bytes with three significant digits and a unit: `size_in_words(68_713_590)` is "65.5 MiB"."""
    unit = 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    digits = 0 if unit == 0 or size >= 100 else 1 if size >= 10 else 2
    return f"{size:.{digits}f} {UNITS[unit]}"


def say_store(report: dict[str, Any]) -> str:
    """What `loaders.inspection.inspect_store` found; '?' where a fault hides it."""
    known = {key: "?" if value is None else value for key, value in report.items()}
    counts = [f"{known[key]:,}" if known[key] != "?" else "?" for key in ("samples", "features", "nnz")]
    density = "?" if report["density"] is None else f"{report['density']:.3%}"
    place = f", layer {known['layer_index']} of set {known['set']}" if report["set"] else ""
    facts = [
        ("store", f"{report['id']}, generation {known['generation']}, schema version {known['schema_version']}"),
        ("made", f"{known['created_at']} by `{known['command']}`"),
        ("from", f"SAE {known['sae']} at {known['hook']} of {known['model']}, dataset {known['dataset']}{place}"),
        ("shape", f"{counts[0]} samples ({known['granularity']}) x {counts[1]} features"),
        ("activations", f"{counts[2]}, density {density}"),
        ("loaders", ", ".join(report["loaders"]) or "none"),
        *((f"{name} sha256", value) for name, value in items(report["fingerprints"])),
        ("quality", ", ".join(f"{name} {number_in_words(value)}" for name, value in items(report["quality"])) or "?"),
        ("versions", ", ".join(f"{name} {value}" for name, value in items(report["versions"])) or "?"),
    ]
    return "\n".join([*columns(facts), "", *columns(_parts(report)), "", *_verdict(report)])


def _parts(report: dict[str, Any]) -> list[tuple[str, ...]]:
    sizes = report["bytes"]
    rows = [("part", "size", "rows", "settings")]
    rows += [(part, size_in_words(sizes[part]), "", "") for part in ("batches", "csc", "dense", "per_feature")]
    for name, table in report["tables"].items():
        count = "?" if table["rows"] is None else f"{table['rows']:,}"
        settings = ", ".join(f"{key} {value}" for key, value in items(table["settings"]))
        rows.append((f"table {name}", size_in_words(table["bytes"]), count, settings))
    return [*rows, ("other", size_in_words(sizes["other"]), "", ""), ("total", size_in_words(sizes["total"]), "", "")]


def _verdict(report: dict[str, Any]) -> list[str]:
    unlisted = report["unlisted"]
    said = [f"Not in the manifest (yet): {', '.join(unlisted)}."] if unlisted else []
    if report["faults"]:
        return [
            *said,
            f"{len(report['faults'])} at fault:",
            *(f"  {each['file']} {each['what']}" for each in report["faults"]),
        ]
    if report["verified"]:
        return [*said, "Whole: every file has its published sha256."]
    return [*said, "Every file is there with its size; --verify hashes them."]


def say_usage(report: dict[str, Any]) -> str:
    """What `loaders.usage.workspace_bytes` found."""
    rows: list[tuple[str, ...]] = []
    for kind in KINDS:
        for name, size in report[kind].items():
            rows.append((f"{kind}/{name}", size_in_words(size["total"] if kind == "stores" else size), ""))
            if kind == "stores":
                rows[-1] = (*rows[-1][:2], _store_parts(size))
    rows += [(name, size_in_words(size), "left behind, or being written") for name, size in report["leftovers"].items()]
    rows += [
        ("other", size_in_words(report["other"]), "the catalog and the like"),
        ("total", size_in_words(report["total"]), ""),
    ]
    return "\n".join(columns(rows))


def _store_parts(sizes: dict[str, Any]) -> str:
    parts = {
        **{part: sizes[part] for part in ("batches", "csc", "dense", "per_feature")},
        "tables": sum(sizes["tables"].values()),
    }
    return ", ".join(f"{part} {size_in_words(size)}" for part, size in parts.items() if size)


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines with aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def number_in_words(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if isinstance(value, float) else str(value)
