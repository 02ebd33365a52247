"""The verbs that judge a finished SAE: loss-recovered and check-run. Parse, call, print."""

import argparse
from pathlib import Path
from typing import Any

from loaders.errors import BadInput
from loaders.mirror import is_url
from loaders.workspace import Workspace
from loupe import arguments
from precompute.run_bounds import Bounds


def add_verbs(verbs: Any) -> None:
    """Register the verbs with an argparse object of subparsers; each sets `call`."""
    loss = _add(verbs, "loss-recovered", "what of the model's loss an SAE's reconstruction recovers", _loss_recovered)
    loss.add_argument("--dataset", help="id of the dataset (default: the one that the SAE was trained on)")
    loss.add_argument("--model", help="a hub id, a folder, or a name in the workspace's models/ (default: the SAE's)")
    loss.add_argument("--hook", help="hook point (default: the SAE's)")
    loss.add_argument("--contexts", type=int, default=256, help="most held-out contexts (default: 256)")
    loss.add_argument("--batch-tokens", type=int, default=1024, help="most tokens at once (default: 1024)")
    loss.add_argument("--device", default="cpu", help="where the model runs, as in `loupe capture` (default: cpu)")
    loss.add_argument("--dtype", default="float32", help="numbers that it computes in (default: float32)")
    loss.add_argument("--trust-remote-code", action="store_true", help="run the Python code that comes with the model")
    check = _add(verbs, "check-run", "a finished SAE held to bounds: passed or failed with the figure", _check_run)
    arguments.add_options(check, Bounds)


def _add(verbs: Any, name: str, text: str, call: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("sae", metavar="SAE", help="id of a finished SAE")
    parser.add_argument("--workspace", default="workspace", help="the workspace's directory (default: workspace)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(call=call)
    return parser


def _loss_recovered(parsed: argparse.Namespace) -> int:
    from precompute.capture import check_dataset
    from precompute.loss_recovered import held_out_contexts, keep, measure_loss_recovered
    from precompute.models import load_model
    from precompute.progress import Progress
    from precompute.sae_files import load_sae
    from precompute.sinks import TerminalSink

    workspace = _workspace(parsed)
    sae, cfg = load_sae(workspace.sae_dir(parsed.sae))
    about = cfg.get("metadata") or {}
    own = workspace.models_dir() / str(about.get("model_id") or "")
    recorded = str(own) if about.get("model_id") and (own / "config.json").is_file() else about.get("model_name")
    name = _named(parsed.model, recorded, "--model", parsed.sae)
    if "/" not in name and not Path(name).is_dir() and (workspace.models_dir() / name / "config.json").is_file():
        name = str(workspace.models_dir() / name)
    dataset_id = _named(parsed.dataset, about.get("dataset"), "--dataset", parsed.sae)
    hook = _named(parsed.hook, about.get("hook_name"), "--hook", parsed.sae)
    if parsed.batch_tokens < 1:
        raise BadInput(f"--batch-tokens must be at least 1: found {parsed.batch_tokens}.")
    dataset = workspace.dataset(dataset_id)
    contexts = held_out_contexts(dataset, parsed.contexts)
    loaded = load_model(name, parsed.device, parsed.dtype, parsed.trust_remote_code)
    known = about.get("fingerprints") or {}
    if known.get("model", loaded.fingerprint) != loaded.fingerprint:
        raise BadInput(
            f"SAE '{parsed.sae}' belongs to another model than '{loaded.model_id}' (other weights). Name its own: --model."
        )
    check_dataset(dataset, loaded)
    progress = Progress(TerminalSink())
    found = measure_loss_recovered(loaded, hook, sae, dataset, contexts, parsed.batch_tokens, progress)
    if found is None:
        raise BadInput(
            f"Model '{loaded.model_id}' has no output head, so it predicts nothing: loss recovered is not defined for it."
        )
    fingerprints = {"sae": known.get("sae"), "model": loaded.fingerprint, "dataset": dataset.fingerprint}
    measured = {
        "sae": parsed.sae,
        "model": loaded.model_id,
        "dataset": dataset.id,
        "hook": hook,
        "fingerprints": fingerprints,
    }
    keep(workspace.sae_dir(parsed.sae), found, measured)
    return _print(parsed, {**measured, **found._asdict()}, say_loss)


def _check_run(parsed: argparse.Namespace) -> int:
    from precompute.run_quality import check_run

    report = check_run(_workspace(parsed), parsed.sae, arguments.make_config(Bounds, parsed))
    said = {
        "sae": report.sae,
        "passed": not report.failed,
        "checks": [check._asdict() for check in report.checks],
        "repaired": report.repaired,
    }
    _print(parsed, said, say_checks)
    return 1 if report.failed else 0


def say_loss(report: dict[str, Any]) -> str:
    """Two lines for the terminal."""
    share = "not defined: taking the samples away does not raise the loss"
    if report["loss_recovered"] == report["loss_recovered"]:
        share = (
            f"{report['loss_recovered']:.2%} about zero ablation, {report['loss_recovered_mean']:.2%} about the mean"
        )
    return (
        f"loss recovered at {report['hook']} of {report['model']}: {share}\n"
        f"cross-entropy in nats: {report['ce_clean']:.4f} untouched, {report['ce_spliced']:.4f} with the SAE,"
        f" {report['ce_zero']:.4f} with zeros, {report['ce_mean']:.4f} with the mean"
        f" ({report['tokens']:,} tokens of {report['contexts']:,} held-out contexts of {report['dataset']})"
    )


def say_checks(report: dict[str, Any]) -> str:
    """One line per check, then the runs that were closed."""
    lines = []
    for check in report["checks"]:
        word = {True: "pass", False: "FAIL", None: "  --"}[check["passed"]]
        figure = "" if check["figure"] is None else f"{check['figure']:.4g}"
        bound = f"{'at most' if check['is_upper'] else 'at least'} {check['bound']:g}"
        lines.append(f"{word}  {check['name']:<15} {figure:>9}  ({bound})  {check['detail']}")
    lines += [f"run {run} said that it runs and did not: closed as stopped" for run in report["repaired"]]
    return "\n".join(lines)


def _named(given: str | None, known: Any, option: str, sae: str) -> str:
    if given or (known and known != "unknown"):
        return given or str(known)
    raise BadInput(f"SAE '{sae}' does not say its {option.removeprefix('--')}. Give {option}.")


def _print(parsed: argparse.Namespace, report: dict[str, Any], say: Any) -> int:
    from loupe.model_facts import as_json

    print(as_json(report) if parsed.json else say(report))
    return 0


def _workspace(parsed: argparse.Namespace) -> Workspace:
    if is_url(parsed.workspace):
        raise BadInput(f"`loupe {parsed.verb}` works on a local workspace; '{parsed.workspace}' is an object store.")
    if not Path(parsed.workspace).expanduser().is_dir():
        raise BadInput(f"There is no workspace at '{parsed.workspace}'. Build one with `loupe demo` or `loupe build`.")
    return Workspace(parsed.workspace)
