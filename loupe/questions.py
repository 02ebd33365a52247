"""The verbs that read and ask: list-models, hooks, overview, export-features, find-examples, decoder, track-abstractions."""

import argparse
from pathlib import Path
from typing import Any

from loaders.errors import BadInput
from loaders.mirror import is_url
from loaders.workspace import Workspace
from loupe import tables_text


def add_verbs(verbs: Any) -> None:
    """Register the verbs with an argparse object of subparsers; each sets `call`."""
    _add(verbs, "list-models", "models known to the workspace, with their hook points, SAEs and stores", _list_models)
    hooks = _add(verbs, "hooks", "every module of a model with its class and the shape of its output", _hooks)
    hooks.add_argument(
        "model", metavar="MODEL", help="minilm, a hub id, a folder, or a name in the workspace's models/"
    )
    hooks.add_argument("--inputs", action="store_true", help="shapes of what the modules receive instead")
    hooks.add_argument("--trust-remote-code", action="store_true", help="run the Python code that comes with the model")
    overview = _add(verbs, "overview", "counts, densities, quality and top features of a store", _overview)
    overview.add_argument("store", metavar="STORE", help="id of a store")
    overview.add_argument("--top", type=int, default=10, help="features in each list (default: 10)")
    export = _add(verbs, "export-features", "one row per feature as CSV, Parquet or JSONL", _export)
    export.add_argument("store", metavar="STORE", help="id of a store")
    export.add_argument("--to", required=True, metavar="FILE", help="file that ends in .csv, .parquet or .jsonl")
    export.add_argument(
        "--sort", default="feature_id", metavar="COLUMN", help="column, largest first (feature_id: least)"
    )
    export.add_argument("--limit", type=int, help="most features to write (default: all)")
    export.add_argument("--labels", action="store_true", help="add the labels of the catalog")
    export.add_argument("--force", action="store_true", help="replace a file that is there")
    examples = _add(verbs, "find-examples", "examples of a feature: text, position, value and metadata", _examples)
    examples.add_argument("store", metavar="STORE", help="id of a store")
    examples.add_argument("feature", metavar="FEATURE", type=int, help="id of a feature")
    examples.add_argument("--n", type=int, default=20, help="most examples (default: 20)")
    examples.add_argument(
        "--interval", type=float, nargs=2, metavar=("LO", "HI"), help="quantiles of firing samples, 0 to 1"
    )
    examples.add_argument("--seed", type=int, default=0, help="draws the samples of an interval (default: 0)")
    decoder = _add(verbs, "decoder", "norms, bias and nearest decoder directions of a feature", _decoder)
    decoder.add_argument("sae", metavar="SAE", help="id of an SAE")
    decoder.add_argument("feature", metavar="FEATURE", type=int, help="id of a feature")
    decoder.add_argument("--top", type=int, default=20, help="nearest directions (default: 20)")
    track = _add(verbs, "track-abstractions", "the fate of a set's features from layer to layer", _track)
    track.add_argument("set", metavar="SET", help="id of a set that `loupe match-layers` matched")
    track.add_argument("--feature", metavar="STORE:ID", help="also the best partners of this feature, layer by layer")


def _add(verbs: Any, name: str, text: str, call: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument(
        "--workspace", default="workspace", help="the workspace's directory or URL (default: workspace)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(call=call)
    return parser


def _workspace(parsed: argparse.Namespace) -> Workspace:
    if not is_url(parsed.workspace) and not Path(parsed.workspace).expanduser().is_dir():
        raise BadInput(f"There is no workspace at '{parsed.workspace}'. Build one with `loupe demo` or `loupe build`.")
    return Workspace(parsed.workspace)


def _print(parsed: argparse.Namespace, report: dict[str, Any], say: Any) -> int:
    from loupe.model_facts import as_json

    print(as_json(report) if parsed.json else say(report))
    return 0


def _list_models(parsed: argparse.Namespace) -> int:
    from loupe.model_facts import list_models

    return _print(parsed, list_models(_workspace(parsed)), tables_text.say_models)


def _hooks(parsed: argparse.Namespace) -> int:
    from loupe.model_facts import list_hooks

    workspace = Workspace(parsed.workspace)  # a model can be looked at before there is a workspace
    report = list_hooks(workspace, parsed.model, parsed.inputs, parsed.trust_remote_code)
    return _print(parsed, report, tables_text.say_hooks)


def _overview(parsed: argparse.Namespace) -> int:
    from loupe.store_facts import overview

    report = overview(_workspace(parsed).open_store(parsed.store), parsed.top)
    return _print(parsed, report, tables_text.say_overview)


def _export(parsed: argparse.Namespace) -> int:
    from loupe.feature_export import check_target, feature_frame, labels_in, write_frame

    target = Path(parsed.to).expanduser()
    check_target(target, parsed.force)
    workspace = _workspace(parsed)
    store = workspace.open_store(parsed.store)
    labels = labels_in(workspace, store) if parsed.labels else None
    frame = feature_frame(store, labels, parsed.sort, parsed.limit)
    write_frame(frame, target)
    report = {
        "store": store.id,
        "file": str(target),
        "rows": len(frame),
        "features": store.features,
        "columns": list(frame.columns),
    }
    return _print(parsed, report, lambda said: f"{target}: {said['rows']:,} of {said['features']:,} features")


def _examples(parsed: argparse.Namespace) -> int:
    from loupe.store_facts import find_examples

    store = _workspace(parsed).open_store(parsed.store)
    interval = None if parsed.interval is None else (parsed.interval[0], parsed.interval[1])
    report = find_examples(store, parsed.feature, parsed.n, interval, parsed.seed)
    return _print(parsed, report, tables_text.say_examples)


def _decoder(parsed: argparse.Namespace) -> int:
    from loupe.decoder_facts import decoder_facts

    report = decoder_facts(_workspace(parsed).sae(parsed.sae), parsed.feature, parsed.top)
    return _print(parsed, report, tables_text.say_decoder)


def _track(parsed: argparse.Namespace) -> int:
    from loupe.set_facts import track_abstractions

    report = track_abstractions(_workspace(parsed), parsed.set, parsed.feature)
    return _print(parsed, report, tables_text.say_tracks)
