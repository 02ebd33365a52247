"""Reports about Neuronpedia's bundles as a person reads them on a terminal."""

from typing import Any

from loupe.tables_text import facts, plain, table

MOST_PROBLEMS = 50
TOKENS = 5


def say_export(report: dict[str, Any]) -> str:
    """What `precompute.neuronpedia.export.export` wrote."""
    lines = [
        f"{plain(report['bundle'])}: {report['features']:,} features in {report['batches']:,} batches"
        f" ({report['kept_batches']:,} kept from before), {report['explanations']:,} explanations",
        *(f"not known, left empty: {plain(what)}" for what in report["unknown"]),
    ]
    return "\n".join(lines)


def say_import(report: dict[str, Any]) -> str:
    """What an import did, or would do."""
    done = "were written" if report["written"] else "would be written (add --yes)"
    lines = [
        f"{report['explanations']:,} explanations for SAE {plain(report['sae'])}; {plain(report['alignment'])}.",
        f"{report['new']:,} features without a label: {report['versions']:,} versions {done}.",
        f"{report['same']:,} features have this label already.",
        f"{len(report['kept']):,} features keep their own:",
    ]
    rows = [(each["feature"], each["label"] or "(cleared)", each["author"], each["offered"]) for each in report["kept"]]
    if rows:
        lines.append(table(("feature", "label that stays", "by", "offered"), rows[:MOST_PROBLEMS]))
    else:
        lines[-1] = "No feature has a label of its own that differs."
    if len(rows) > MOST_PROBLEMS:
        lines.append(f"and {len(rows) - MOST_PROBLEMS:,} more; --json lists all.")
    if report["shortened"]:
        lines.append(f"{len(report['shortened']):,} texts are longer than a label: they go on in the notes.")
    if report["overtaken"]:
        lines.append(
            f"{len(report['overtaken']):,} features were labelled by somebody in the meantime and were left alone."
        )
    return "\n".join(lines)


def say_verification(report: dict[str, Any]) -> str:
    """What `precompute.neuronpedia.verify.verify` found."""
    rows = ", ".join(f"{count:,} {kind}" for kind, count in report["rows"].items())
    lines = [
        f"{plain(each['file'])}{':' + str(each['line']) if each['line'] else ''}: {plain(each['problem'])}"
        for each in report["problems"][:MOST_PROBLEMS]
    ]
    if len(report["problems"]) > MOST_PROBLEMS:
        lines.append(f"and {len(report['problems']) - MOST_PROBLEMS:,} more; --json lists all.")
    lines += [f"not checked: {plain(what)}" for what in report["not_checked"]]
    count = len(report["problems"])
    verdict = f"{count:,} problem{'s' if count > 1 else ''}" if count else "every checked value is right"
    return "\n".join([*lines, f"{plain(report['bundle'])}: {rows}; {verdict}."])


def say_overview(report: dict[str, Any]) -> str:
    """What `precompute.neuronpedia.reading.overview` read."""
    names = ("bundle", "model", "source", "set", "dataset", "release", "creator", "made_by_loupe", "explained")
    rows = [
        (each["feature"], _share(each["density"]), each["max"], _tokens(each["promoted"]), each["explanation"])
        for each in report["features"]
    ]
    batches = ", ".join(f"{count:,} of {kind}" for kind, count in report["batches"].items())
    head = facts([*((name.replace("_", " "), report[name]) for name in names), ("batches", batches)])
    return "\n\n".join([head, table(("feature", "density", "max", "promotes", "explanation"), rows)])


def say_feature(report: dict[str, Any]) -> str:
    """What `precompute.neuronpedia.reading.one_feature` read."""
    lines = [
        ("feature", report["feature"]),
        ("density", _share(report["density"])),
        ("maximum", report["max"]),
        ("activations", sum(_numbers(report["histogram_heights"]))),
        ("promotes", _tokens(report["promoted"])),
        ("suppresses", _tokens(report["suppressed"])),
        ("nearest", ", ".join(map(str, _list(report["nearest"])[:TOKENS]))),
        *(("explanation", each["text"]) for each in report["explanations"]),
    ]
    rows = [
        ("top" if each["is_top"] else _bin(each), each["max"], _marked(each["tokens"], each["max_at"]))
        for each in report["examples"]
    ]
    return "\n\n".join([facts(lines), table(("group", "max", "text around the maximum"), rows)])


def _share(value: Any) -> str:
    return f"{value:.3%}" if isinstance(value, (int, float)) else "-"


def _list(values: Any) -> list[Any]:
    """What a row holds is not checked when it is shown."""
    return values if isinstance(values, list) else []


def _numbers(values: Any) -> list[float]:
    return [value for value in _list(values) if isinstance(value, (int, float))]


def _tokens(tokens: Any) -> str:
    return " ".join(repr(plain(str(token))) for token in _list(tokens)[:TOKENS])


def _bin(each: dict[str, Any]) -> str:
    low, high = each["bin_min"], each["bin_max"]
    return f"{low:.3g} to {high:.3g}" if isinstance(low, (int, float)) and isinstance(high, (int, float)) else "-"


def _marked(tokens: Any, at: Any) -> str:
    """The tokens around the strongest one, which stands in >> <<."""
    if not isinstance(tokens, list) or not isinstance(at, int) or not 0 <= at < len(tokens):
        return "-"
    before, after = "".join(map(str, tokens[max(at - 8, 0) : at])), "".join(map(str, tokens[at + 1 : at + 9]))
    return f"{before}>>{tokens[at]}<<{after}"
