"""Reports about a hub as a person reads them on a terminal."""

from typing import Any

from loupe.store_words import size_in_words
from loupe.tables_text import plain, table

STATES = {"here": "yes", "partly": "in part", "another": "another of that id", "absent": "no", None: "-"}


def say_artifacts(report: dict[str, Any]) -> str:
    """What `loupe hub list` and `search` found."""
    rows = [
        (
            each["name"],
            each["version"],
            each["kind"],
            each["model"]["name"] if each["model"] else None,
            _fvu(each["saes"]),
            each["license"],
            size_in_words(each["size"]),
            STATES[each["state"]],
            ", ".join(each["tags"]),
            _shortened(each["description"]),
        )
        for each in report["artifacts"]
    ]
    head = ("name", "version", "kind", "model", "FVU", "license", "size", "here", "tags", "description")
    found = f"{len(rows):,} artifact{'' if len(rows) == 1 else 's'}"
    rest = f", {report['passed_over']:,} others do not match" if report["passed_over"] else ""
    lines = [table(head, rows), ""] if rows else []
    return "\n".join([*lines, f"{found} in {plain(report['hub'])}{rest}.", *map(plain, report["faults"])])


def _fvu(saes: list[dict[str, Any]]) -> str | None:
    """The fraction of variance unexplained, or the least and the most of several SAEs."""
    found = sorted(sae["quality"]["fvu"] for sae in saes if "fvu" in sae["quality"])
    if not found:
        return None
    return f"{found[0]:.3g}" if len(found) == 1 else f"{found[0]:.3g} to {found[-1]:.3g}"


def _shortened(text: str) -> str:
    line = plain(text)
    return line if len(line) <= 60 else line[:59].rstrip() + "…"


def say_pushed(report: dict[str, Any]) -> str:
    """What `loupe hub push` did."""
    there = f", {size_in_words(report['skipped'])} were there already" if report["skipped"] else ""
    return (
        f"{report['name']}@{report['version']} is published in {plain(report['hub'])}: {report['files']:,} files,"
        f" {size_in_words(report['sent'])} sent{there}."
    )


def say_pulled(report: dict[str, Any]) -> str:
    """What `loupe hub pull` did."""
    names = ", ".join(report["artifacts"])
    if not report["added"]:
        return f"{names}: all of it is here already."
    there = f"; {', '.join(report['present'])} was here already" if report["present"] else ""
    return (
        f"{names}: {', '.join(report['added'])} added, {size_in_words(report['fetched'])} fetched and verified{there}."
        f" License: {plain(report['license'])}."
    )


def say_verified(report: dict[str, Any]) -> str:
    """What `loupe hub verify` found."""
    count, size = f"{report['files']:,} files", size_in_words(report["size"])
    if report["faults"]:
        return "\n".join([f"{len(report['faults'])} of {count} of {report['artifact']} at fault:", *report["faults"]])
    return f"{report['artifact']} is whole: {count}, {size}, each with its author's sha256."


def say_fit(report: dict[str, Any]) -> str:
    """What `loupe hub verify --model` found."""
    if report["differences"]:
        return "\n".join([f"{report['artifact']} does not fit {report['model']}:", *map(plain, report["differences"])])
    return f"{report['artifact']} fits {report['model']}: the same weights, and every hook point has its width."
