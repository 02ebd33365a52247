"""What is promised of the trainer beside what was measured, and both as tables on the terminal."""

from typing import Any

from benchmarks.training_quality import PEERS
from benchmarks.training_speed import LOUPE, PRODUCT, SAELENS, times_faster

PRODUCTS = {"small": 2.2, "large": 1.6}
FASTEST_PEER = {"small": 2.8, "large": 2.1}
TIMES_SAELENS = {"small": 5.0, "large": 8.0}
GIGABYTES = {"small": 0.6, "large": 1.25}
COSINE = 0.90


def claims(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Each promise with its figure and bound, and whether it holds."""
    at_most: list[tuple[str, float, float]] = []
    at_least: list[tuple[str, float, float]] = []
    for size, speed in figures.get("speed", {}).items():
        fastest = min(PEERS, key=lambda peer, ms=speed["milliseconds"]: ms[peer])
        at_most.append((f"{size}: one step, encode products", speed["encode_products"][LOUPE], PRODUCTS[size]))
        at_least.append((f"{size}: times the rows/s of {fastest}", times_faster(speed, fastest), FASTEST_PEER[size]))
        at_least.append((f"{size}: times the rows/s of SAELens", times_faster(speed, SAELENS), TIMES_SAELENS[size]))
        memory = speed["peak_memory"][LOUPE]
        at_most.append((f"{size}: peak anonymous memory, GB", memory["anonymous_gb"], GIGABYTES[size]))
        at_most.append((f"{size}: peak memory with libraries' pages, GB", memory["resident_gb"], GIGABYTES[size]))
    for size, quality in figures.get("quality", {}).items():
        rows = {name: one["fvu"] for name, one in quality["equal_rows"].items()}
        at_most.append((f"{size}: FVU after equal rows, beside {first(rows)}", rows[LOUPE], rows[first(rows)]))
        if "equal_time" in quality:
            time = quality["equal_time"]["fvu"]
            at_most.append((f"{size}: FVU after equal time, beside {first(time)}", time[LOUPE], time[first(time)]))
    if "planted" in figures:
        cosines = {name: one["mean_best_cosine"] for name, one in figures["planted"]["best"].items()}
        closest = max(PEERS, key=lambda peer: cosines[peer])
        at_least.append(("planted: mean best cosine", cosines[LOUPE], COSINE))
        at_least.append((f"planted: mean best cosine, beside {closest}", cosines[LOUPE], cosines[closest]))
    return [
        *({"what": what, "found": found, "at_most": bound, "holds": found <= bound} for what, found, bound in at_most),
        *(
            {"what": what, "found": found, "at_least": bound, "holds": found >= bound}
            for what, found, bound in at_least
        ),
    ]


def first(values: dict[str, float]) -> str:
    """The peer with the lowest value."""
    return min(PEERS, key=lambda peer: values[peer])


def show(figures: dict[str, Any]) -> None:
    """Print what was measured as tables."""
    for size, speed in figures.get("speed", {}).items():
        rows = [
            (
                name,
                ms,
                speed["encode_products"][name],
                speed["rows_per_second"][name],
                *speed["peak_memory"][name].values(),
            )
            for name, ms in speed["milliseconds"].items()
        ]
        heads = (size, "ms/step", "products", "rows/s", "GB anonymous", "GB resident")
        table(heads, [row for row in rows if row[0] != PRODUCT] + [row for row in rows if row[0] == PRODUCT])
    for size, quality in figures.get("quality", {}).items():
        time = quality.get("equal_time", {"fvu": {}, "steps": {}})
        table(
            (size, "lr", "schedule", f"FVU, {quality['steps']} steps", "FVU, equal time", "steps"),
            [
                (
                    name,
                    one["lr"] or "preset",
                    one["schedule"],
                    one["fvu"],
                    time["fvu"].get(name),
                    time["steps"].get(name),
                )
                for name, one in quality["equal_rows"].items()
            ],
        )
    if "planted" in figures:
        best = figures["planted"]["best"].items()
        rows = [(name, one["lr"] or "preset", one["mean_best_cosine"], round(one["fvu"], 4)) for name, one in best]
        table(("planted", "lr", "mean best cosine", "FVU"), rows)
    found = [
        (
            one["what"],
            one["found"],
            "<=" if "at_most" in one else ">=",
            one.get("at_most", one.get("at_least")),
            one["holds"],
        )
        for one in figures.get("claims", [])
    ]
    if found:
        table(("promised", "found", "", "bound", "holds"), found)


def table(heads: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Print left-aligned names and right-aligned figures."""
    lines = [heads, *(tuple("-" if cell is None else str(cell) for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print()
    for line in lines:
        print(line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)))
