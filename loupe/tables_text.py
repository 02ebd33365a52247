"""Answers about models, stores, features, SAEs and sets as a person reads them on a terminal."""

from collections.abc import Iterable, Sequence
from typing import Any

from loupe.store_words import columns, items, number_in_words


def plain(text: str) -> str:
    """One line of printable characters: texts come from anywhere and must not steer the terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A head and aligned rows; numbers in three significant digits, counts with thousands separators."""
    return "\n".join(columns([tuple(head), *(tuple(_cell(value) for value in row) for row in rows)]))


def facts(rows: Iterable[tuple[str, Any]]) -> str:
    """Names and values in two columns."""
    return "\n".join(columns([(name, _cell(value)) for name, value in rows]))


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(str(number_in_words(value)))


def say_models(report: dict[str, Any]) -> str:
    """What `loupe.model_facts.list_models` found."""
    if not report["models"]:
        return "No model is known to this workspace yet."
    rows = []
    for model in report["models"]:
        hooks = model["hooks"] or [{"hook": None, "width": None, "datasets": [], "saes": [], "stores": []}]
        rows += [
            (
                model["model_id"],
                hook["hook"],
                hook["width"],
                ", ".join(hook["datasets"]),
                ", ".join(
                    f"{sae['sae']} ({sae['architecture']}, {sae['features']:,} features)" for sae in hook["saes"]
                ),
                ", ".join(hook["stores"]),
            )
            for hook in hooks
        ]
    return table(("model", "hook point", "width", "captured over datasets", "SAEs", "stores"), rows)


def say_hooks(report: dict[str, Any]) -> str:
    """What `loupe.model_facts.list_hooks` found."""
    rows = [(each["hook"], each["class"], _shape(each["shape"]), each["can_capture"]) for each in report["modules"]]
    what, verb = ("input", "receive") if report["inputs"] else ("output", "hand on")
    count = sum(each["can_capture"] for each in report["modules"])
    return "\n".join(
        [
            table(("module", "class", f"shape of its {what}", "can be captured"), rows),
            "",
            f"{count:,} of {len(rows):,} modules of {plain(report['model'])} {verb} hidden states (batch, position, width);"
            f" shapes of 1 context of {report['tokens']} tokens.",
        ]
    )


def _shape(shape: list[int]) -> str:
    return " x ".join(str(size) for size in shape) or "a single number"


def say_overview(report: dict[str, Any]) -> str:
    """What `loupe.store_facts.overview` found."""
    layer = f", layer {report['layer_index']} of set {report['set']}" if report["set"] else ""
    quantiles = ", ".join(f"{name} {value:.3%}" for name, value in report["density_quantiles"].items())
    samples, features = report["samples"], report["features"]
    lines = [
        ("store", report["store"]),
        (
            "from",
            f"SAE {report['sae']} at {report['hook']} of {report['model_id']}, dataset {report['dataset']}{layer}",
        ),
        ("samples", f"{samples:,} ({report['granularity']}) in {report['contexts']:,} contexts"),
        ("features", f"{features:,}"),
        ("activations", f"{report['nnz']:,} non-zero, {report['l0']:.3g} per sample"),
        (
            "dead features",
            f"{report['dead']:,} of {features:,} ({report['dead_share']:.2%}): fire on none of these samples",
        ),
        (
            "dense features",
            f"{report['dense']:,} of {features:,} ({report['dense_share']:.2%}):"
            f" fire on at least {report['dense_from']:.0%} of samples",
        ),
        ("density", f"{quantiles or '-'} (share of samples, over the {features - report['dead']:,} living features)"),
        ("quality", ", ".join(f"{name} {number_in_words(value)}" for name, value in items(report["quality"])) or "-"),
        ("tables", ", ".join(f"{name} {count:,} rows" for name, count in report["tables"].items()) or "-"),
    ]
    parts = [facts(lines)]
    for title, rows in (("Most often firing", report["top_density"]), ("Largest activation", report["top_max"])):
        found = [(r["feature"], r["n"], f"{r['density']:.3%}", r["mean"], r["max"], _tokens(r["tokens"])) for r in rows]
        head = ("feature", "firing samples", "density", "mean when firing", "max", "top tokens by tf-idf")
        parts.append(f"{title} features:\n{table(head, found)}")
    return "\n\n".join(parts)


def _tokens(tokens: list[str]) -> str:
    return " ".join(tokens)


def say_examples(report: dict[str, Any]) -> str:
    """What `loupe.store_facts.find_examples` found; the sample's own token stands between « and »."""
    shown, population = len(report["examples"]), report["population"]
    if not population:
        return f"Feature {report['feature']} fires on no sample of {report['store']}."
    said = f"{shown:,} of {population:,} {report['population_of']}, activations {report['low']:.3g} to {report['high']:.3g}"
    if report["interval"]:
        low, high = report["interval"]
        drawn = f", drawn with seed {report['seed']}" if report["sampled"] else ""
        said += f" (quantiles {low:g} to {high:g} of firing samples{drawn})"
    lines = [f"Feature {report['feature']} of {report['store']}: {said}.", ""]
    for each in report["examples"]:
        about = ", ".join(f"{key} {value}" for key, value in each["metadata"].items())
        place = f"sample {each['sample']:,}, context {each['context']:,}, position {each['position']:,}"
        lines.append(plain(f"{each['value']:.3g}  {place}{'  ' + about if about else ''}"))
        lines.append("    " + plain(f"{each['before']}«{each['token']}»{each['after']}"))
    return "\n".join(lines)


def say_decoder(report: dict[str, Any]) -> str:
    """What `loupe.decoder_facts.decoder_facts` found."""
    lines = [
        (
            "feature",
            f"{report['feature']} of SAE {report['sae']} ({report['features']:,} features of width {report['width']:,})",
        ),
        ("decoder norm", report["decoder_norm"]),
        ("encoder norm", report["encoder_norm"]),
        ("cosine of encoder and decoder", report["encoder_decoder_cosine"]),
        ("encoder bias", report["encoder_bias"]),
        ("threshold", report["threshold"]),
    ]
    rows = [(each["feature"], each["cosine"], each["decoder_norm"]) for each in report["nearest"]]
    nearest = table(("feature", "cosine of decoder directions", "decoder norm"), rows)
    return f"{facts(lines)}\n\nNearest decoder directions:\n{nearest}"


def say_tracks(report: dict[str, Any]) -> str:
    """What `loupe.set_facts.track_abstractions` found."""
    rows = []
    for pair in report["pairs"]:
        for side in ("source", "target"):
            fates = ", ".join(f"{fate} {count:,}" for fate, count in pair["fates"][side].items())
            rows.append(
                (
                    pair[side],
                    f"to {pair['target']}" if side == "source" else f"from {pair['source']}",
                    fates,
                    pair["dead"][side],
                )
            )
    links = [
        (
            p["source"],
            p["target"],
            p["linked"],
            p["threshold"],
            "-" if p["null_share"] is None else f"{p['null_share']:.3%}",
            p["null_draws"],
        )
        for p in report["pairs"]
    ]
    parts = [
        table(("earlier store", "later store", "linked pairs", "Pearson above", "null above it", "null draws"), links),
        "Living features by fate:\n" + table(("store", "seen", "features by fate", "dead features"), rows),
    ]
    if report["chain"] is not None:
        chain = [(c["store"], c["hook"], c["feature"], c["pearson"], c["is_linked"]) for c in report["chain"]]
        head = ("store", "hook point", "feature", "Pearson with its neighbour", "linked")
        parts.append(f"Best partners of {report['feature']}, layer by layer:\n{table(head, chain)}")
    return "\n\n".join(parts)
