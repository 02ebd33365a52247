"""Reports about dictionary files, for programs and for a person at a terminal."""

from typing import Any

from catalog.dictionary.problems import FileRefused
from loupe.tables_text import plain


def say_export(report: dict[str, Any]) -> str:
    """What was written."""
    older = report["versions"] - report["labels"]
    more = f" and {older:,} older versions" if older else ""
    return f"{report['labels']:,} labels{more} of SAE {plain(report['sae'])} -> {plain(report['file'])} ({report['format']})"


def say_import(report: dict[str, Any], applied: bool) -> str:
    """What an import did, or would do, change by change."""
    lines = [
        f"{plain(report['file'])}: {report['entries']:,} labels for SAE {plain(report['sae'])}, format {report['format']}."
    ]
    lines += [f"note: {plain(remark)}" for remark in report["remarks"]]
    for kind, sign in (("added", "+"), ("changed", "~"), ("conflicts", "!")):
        for each in report[kind]:
            lines += _say_change(each, sign)
    saved = (
        f"{report['saved']:,} versions were saved."
        if applied
        else f"Nothing was saved: add --apply (changes {report['digest']})."
    )
    lines.append(
        f"{len(report['added']):,} added, {len(report['changed']):,} changed, {report['unchanged']:,} unchanged,"
        f" {len(report['conflicts']):,} conflicts. {saved}"
    )
    return "\n".join(lines)


def _say_change(each: dict[str, Any], sign: str) -> list[str]:
    seen = f" (version {each['replaces']} by {plain(each['old_author'])})" if each["replaces"] else ""
    older = f", with {each['older_versions']} older versions" if each["older_versions"] else ""
    lines = [f"{sign} feature {each['feature']}, by {plain(each['author'])}{seen}{older}"]
    lines += [f"    {plain(each['reason'])}"] if each["reason"] else []
    for field in each["fields"]:
        old = "" if each["old"] is None else f"{each['old'][field]!r} -> "
        lines.append(f"    {field}: {old}{each['new'][field]!r}")
    return lines


def say_carry(report: dict[str, Any], applied: bool) -> str:
    """What another SAE inherits, or would inherit."""
    ways = " and ".join(report["matched_by"])
    lines = [
        f"{report['labels']:,} labels of SAE {plain(report['source'])}, features of {plain(report['target'])} matched by {ways},"
        f" at least {report['least']:g} alike."
    ]
    lines += [f"note: {plain(each)}" for each in report["notes"]]
    lines += [f"+ {_pair(each)}: {each['name']!r}, by {plain(each['author'])}" for each in report["carried"]]
    lines += [
        f"= {_pair(each)} keeps {repr(each['label']) if each['label'] else 'that it has none'}, by {plain(each['label_author'])}"
        for each in report["kept"]
    ]
    lines += [f"- {each['from']} {each['name']!r}: {plain(each['reason'])}" for each in report["unmatched"]]
    saved = f"{report['saved']:,} labels were saved." if applied else "Nothing was saved: add --apply."
    lines.append(
        f"{len(report['carried']):,} inherit, {report['same']:,} say so already, {len(report['kept']):,} keep their own,"
        f" {len(report['unmatched']):,} have no heir. {saved}"
    )
    return "\n".join(lines)


def _pair(each: dict[str, Any]) -> str:
    scores = [f"{way} {each[way]:.2f}" for way in ("decoder", "activations") if each[way] is not None]
    return f"{each['from']} -> {each['to']} ({', '.join(scores)})"


def say_problems(refused: FileRefused) -> str:
    """All problems that were kept, and how many there are."""
    lines = [str(each) for each in refused.problems]
    if refused.count > len(lines):
        lines.append(f"and {refused.count - len(lines):,} more.")
    count = f"{refused.count:,} problem{'s' if refused.count > 1 else ''}"
    return "\n".join([*lines, f"loupe: {count} in '{refused.file}': nothing was imported, correct them and try again."])
