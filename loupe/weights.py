"""The verb `weights`: an SAE's tensors by name, its norms and cosines, or all of this about one feature."""

import argparse
from typing import Any

import numpy as np

from analysis.weights import count_nonfinite, describe
from loaders.errors import BadInput, FeatureNotFound
from loaders.sae import SaeRecord
from loaders.weight_facts import DUPLICATE, WeightFacts
from loaders.workspace import Workspace

DISTRIBUTIONS = ("decoder_norm", "encoder_norm", "encoder_decoder_cosine", "max_cosine")
BY_COLUMN = ("W_enc",)  # tensors [width, features]; all others have a feature's part in a row


def add_verbs(verbs: Any) -> None:
    """Register the verb with an argparse object of subparsers; it sets `call`."""
    text = "an SAE's tensors by name: norms, encoder-decoder cosine, near duplicates, biases, thresholds"
    parser = verbs.add_parser("weights", help=text, description=text)
    parser.add_argument("sae", metavar="SAE", help="id of an SAE")
    parser.add_argument("--tensor", help="one tensor: W_enc, W_dec, b_enc, b_dec, threshold, ...")
    parser.add_argument("--feature", type=int, help="only this feature")
    parser.add_argument("--workspace", default="workspace", help="the workspace's directory (default: workspace)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(call=_weights)


def _weights(parsed: argparse.Namespace) -> int:
    from loupe.model_facts import as_json
    from loupe.serving import require_workspace

    require_workspace(parsed.workspace)
    workspace = Workspace(parsed.workspace)
    record = workspace.sae(parsed.sae)
    if parsed.tensor is not None:
        report = tensor_facts(record, parsed.tensor, parsed.feature)
        print(as_json(report) if parsed.json else say_tensor(report))
        return 0
    report = weights_report(record, measure(workspace, record), parsed.feature)
    print(as_json(report) if parsed.json else (say_weights if parsed.feature is None else say_feature)(report))
    return 0


def measure(workspace: Workspace, record: SaeRecord) -> WeightFacts:
    """The facts of an SAE's weights; measured once and kept beside them."""
    from precompute.progress import Progress
    from precompute.sinks import TerminalSink
    from precompute.weight_facts import measure_sae

    return measure_sae(record, workspace, Progress(TerminalSink())).facts


def tensor_facts(record: SaeRecord, name: str, feature: int | None = None) -> dict[str, Any]:
    """Shape, dtype and distribution of a tensor, or of one feature's part of it, whose `values` are then given.

    Raises BadInput for a tensor that is not there or has no part for each feature, and FeatureNotFound.
    """
    tensor = record.tensor(name)
    values = None
    part = tensor
    if feature is not None:
        part = _part(record, name, tensor, feature)
        values = np.atleast_1d(part).astype(float).tolist()
    return {
        "sae": record.id,
        "tensor": name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype.name,
        "feature": feature,
        "norm": float(np.linalg.norm(part.astype(np.float64))),
        "nonfinite": count_nonfinite(part),
        **describe(part),
        "values": values,
    }


def _part(record: SaeRecord, name: str, tensor: np.ndarray, feature: int) -> np.ndarray:
    features = record.shapes().get("W_dec", (0,))[0]
    axis = 1 if name in BY_COLUMN else 0
    if name == "b_dec" or tensor.ndim <= axis or tensor.shape[axis] != features:
        raise BadInput(f"'{name}' of SAE '{record.id}' has no part for each feature. Leave --feature out.")
    if not 0 <= feature < features:
        raise FeatureNotFound(feature, features, f"SAE '{record.id}'")
    part: np.ndarray = tensor[:, feature] if axis else tensor[feature]
    return part


def weights_report(record: SaeRecord, facts: WeightFacts, feature: int | None = None) -> dict[str, Any]:
    """The distributions over all features, or with `feature` its own values; raises FeatureNotFound."""
    about = {
        "sae": record.id,
        "architecture": record.cfg.get("architecture"),
        "features": facts.features,
        "width": facts.width,
        "feature": feature,
    }
    if feature is None:
        arrays = {name: getattr(facts, name) for name in DISTRIBUTIONS}
        return {
            **about,
            **{name: None if values is None else describe(values) for name, values in arrays.items()},
            "near_duplicates": facts.near_duplicates,
            "duplicate_pairs": facts.duplicate_pairs,
            "duplicate_from": DUPLICATE,
            "biases": {name: describe(values) for name, values in facts.biases.items()},
            "decoder_bias_norm": facts.decoder_bias_norm,
            "tensors": {name: list(shape) for name, shape in record.shapes().items()},
            "nonfinite": facts.nonfinite,
        }
    if not 0 <= feature < facts.features:
        raise FeatureNotFound(feature, facts.features, f"SAE '{record.id}'")
    arrays = {name: getattr(facts, name) for name in DISTRIBUTIONS}
    return {
        **about,
        **{name: None if values is None else float(values[feature]) for name, values in arrays.items()},
        "nearest": int(facts.nearest[feature]) if facts.nearest[feature] >= 0 else None,
        "biases": {name: float(values[feature]) for name, values in facts.biases.items()},
    }


def say_weights(report: dict[str, Any]) -> str:
    """The distributions as a table, then duplicates and values that are not finite in words."""
    from loupe.tables_text import facts, table

    found = {name.replace("_", " "): report[name] for name in DISTRIBUTIONS if report[name]} | report["biases"]
    head = ("of each feature", "min", "q05", "median", "mean", "q95", "max", "features")
    rows = [(name, *(each[key] for key in (*head[1:-1], "n"))) for name, each in found.items()]
    wrong = {name: number for name, number in report["nonfinite"].items() if number}
    said = [
        (
            "SAE",
            f"{report['sae']} ({report['architecture']}, {report['features']:,} features, width {report['width']:,})",
        ),
        ("tensors", ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in report["tensors"].items())),
        (f"features with a cosine above {report['duplicate_from']:g}", report["near_duplicates"]),
        (f"pairs with a cosine above {report['duplicate_from']:g}", report["duplicate_pairs"]),
        ("decoder bias norm", report["decoder_bias_norm"]),
        ("not finite", ", ".join(f"{number:,} in {name}" for name, number in wrong.items()) or "none"),
    ]
    return f"{facts(said)}\n\n{table(head, rows)}"


def say_feature(report: dict[str, Any]) -> str:
    """One feature's values."""
    from loupe.tables_text import facts

    said = [(name.replace("_", " "), report[name]) for name in DISTRIBUTIONS if report[name] is not None]
    rows = [("SAE", report["sae"]), ("feature", str(report["feature"])), *said]
    return facts(
        [
            *rows,
            ("nearest feature", None if report["nearest"] is None else str(report["nearest"])),
            *report["biases"].items(),
        ]
    )


def say_tensor(report: dict[str, Any]) -> str:
    """Shape and distribution; of one feature also its first values."""
    from loupe.tables_text import facts

    shown = ("norm", "min", "q05", "median", "mean", "q95", "max", "std")
    rows: list[tuple[str, Any]] = [
        ("tensor", f"{report['tensor']} of {report['sae']}"),
        ("shape", " x ".join(map(str, report["shape"]))),
        ("dtype", report["dtype"]),
    ]
    if report["values"] is not None:
        first = ", ".join(f"{value:.3g}" for value in report["values"][:8])
        rows += [("feature", str(report["feature"])), ("first values", first)]
    return facts([*rows, *((name, report[name]) for name in shown), ("not finite", report["nonfinite"])])
