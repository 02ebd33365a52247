"""The verbs of `loupe neuronpedia`: export, import, verify and show. Parse, call, print."""

import argparse
from pathlib import Path
from typing import Any

from loaders.errors import BadInput
from loaders.mirror import is_url
from loaders.workspace import Workspace
from loupe import neuronpedia_text
from loupe.arguments import add_options, make_config
from loupe.catalogs import open_catalog
from precompute.neuronpedia.config import Config


def add_verbs(verbs: Any) -> None:
    """Register the verb and its own verbs with an argparse object of subparsers; each sets `call`."""
    text = "Neuronpedia's import bundle: write it, read it, verify it"
    own = verbs.add_parser("neuronpedia", help=text, description=text).add_subparsers(
        dest="neuronpedia_verb", required=True, metavar="COMMAND"
    )
    leave = _add(own, "export", "a store -> a bundle for Neuronpedia", _export)
    leave.add_argument("store", metavar="STORE", help="id of a store")
    leave.add_argument("--to", required=True, metavar="DIR", help="folder that gets <model>/<source>/")
    add_options(leave, Config)
    bring = _add(own, "import", "a bundle's explanations -> labels; shows what it would do, --yes does it", _import)
    bring.add_argument("bundle", metavar="BUNDLE", help="a source's folder, or a folder that holds one")
    bring.add_argument("--sae", help="id of the SAE that the features are of")
    bring.add_argument("--store", help="id of a store of that SAE, instead of --sae")
    bring.add_argument("--yes", action="store_true", help="write the labels")
    check = _add(own, "verify", "check every value of a bundle; exit code 1 where one is wrong", _verify)
    check.add_argument("bundle", metavar="BUNDLE", help="a source's folder, or a folder that holds one")
    check.add_argument("--store", help="id of the store that it was made from: recompute what it says")
    check.add_argument("--model", help="folder or hub id of the model, to recompute logits (default: the store's)")
    show = _add(own, "show", "what a bundle holds, or one of its features", _show)
    show.add_argument("bundle", metavar="BUNDLE", help="a source's folder, or a folder that holds one")
    show.add_argument("feature", metavar="FEATURE", type=int, nargs="?", help="show this feature in full")
    show.add_argument("--limit", type=int, default=20, help="features, or contexts of one (default: 20)")


def _add(verbs: Any, name: str, text: str, call: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("--workspace", default="workspace", help="the workspace's directory (default: workspace)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(call=call)
    return parser


def _workspace(parsed: argparse.Namespace) -> Workspace:
    if is_url(parsed.workspace):
        raise BadInput(f"`loupe neuronpedia` works on a local workspace; '{parsed.workspace}' is an object store.")
    if not Path(parsed.workspace).expanduser().is_dir():
        raise BadInput(f"There is no workspace at '{parsed.workspace}'. Build one with `loupe demo` or `loupe build`.")
    return Workspace(parsed.workspace)


def _print(parsed: argparse.Namespace, report: dict[str, Any], say: Any) -> None:
    from loupe.model_facts import as_json

    print(as_json(report) if parsed.json else say(report))


def _progress() -> Any:
    from precompute.progress import Progress
    from precompute.sinks import TerminalSink

    return Progress(TerminalSink())


def _export(parsed: argparse.Namespace) -> int:
    from loupe.feature_export import labels_in
    from precompute.neuronpedia.export import export

    workspace, config = _workspace(parsed), make_config(Config, parsed)
    store = workspace.open_store(parsed.store)
    labels = labels_in(workspace, store) if config.labels else {}
    report = export(workspace, store, labels, Path(parsed.to).expanduser(), config, _progress())
    _print(parsed, report, neuronpedia_text.say_export)
    return 0


def _import(parsed: argparse.Namespace) -> int:
    from precompute.neuronpedia import labels
    from precompute.neuronpedia.directions import fingerprint_of
    from precompute.neuronpedia.files import Bundle

    if (parsed.sae is None) == (parsed.store is None):
        raise BadInput("Name the SAE that the features are of: --sae ID, or --store ID.")
    workspace, bundle = _workspace(parsed), Bundle.open(Path(parsed.bundle).expanduser())
    record = workspace.sae(parsed.sae or workspace.open_store(parsed.store).sae_id)
    features = record.cfg.get("d_sae")
    if not isinstance(features, int):
        raise BadInput(f"SAE '{record.id}' does not say how many features it has. Import it again.")
    offers = labels.read_offers(bundle, features)
    alignment = labels.check_alignment(bundle, record, set(offers))
    with open_catalog(workspace, writes=parsed.yes) as catalog:
        plan = labels.plan_labels(catalog, fingerprint_of(record), offers)
        overtaken = labels.write_labels(catalog, record, plan, _progress()) if catalog and parsed.yes else {}
    report = {
        "bundle": str(bundle.directory),
        "sae": record.id,
        "alignment": alignment,
        "explanations": sum(map(len, offers.values())),
        **labels.report_of(plan),
        "overtaken": sorted(overtaken),
        "written": parsed.yes,
    }
    _print(parsed, report, neuronpedia_text.say_import)
    return 0


def _verify(parsed: argparse.Namespace) -> int:
    from precompute.neuronpedia.files import Bundle
    from precompute.neuronpedia.verify import verify

    bundle = Bundle.open(Path(parsed.bundle).expanduser())
    workspace = _workspace(parsed) if parsed.store else None
    store = workspace.open_store(parsed.store) if workspace else None
    report = verify(bundle, workspace, store, parsed.model, _progress())
    _print(parsed, report, neuronpedia_text.say_verification)
    return 1 if report["problems"] else 0


def _show(parsed: argparse.Namespace) -> int:
    from precompute.neuronpedia.files import Bundle
    from precompute.neuronpedia.reading import one_feature, overview

    if parsed.limit < 0:
        raise BadInput(f"A limit of {parsed.limit} was given. Give 0 or more.")
    bundle = Bundle.open(Path(parsed.bundle).expanduser())
    if parsed.feature is None:
        _print(parsed, overview(bundle, parsed.limit), neuronpedia_text.say_overview)
    else:
        _print(parsed, one_feature(bundle, parsed.feature, parsed.limit), neuronpedia_text.say_feature)
    return 0
