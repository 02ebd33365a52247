"""The verbs that judge a finished SAE: loss-recovered and check-run. Parse, call, print."""

import argparse
from dataclasses import fields
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
    from precompute import loss_step
    from precompute.progress import Progress
    from precompute.sinks import TerminalSink

    given = {name: value for name, value in vars(parsed).items() if value is not None}
    config = loss_step.Config(
        **{field.name: given[field.name] for field in fields(loss_step.Config) if field.name in given}
    )
    found = loss_step.run(config, _workspace(parsed), Progress(TerminalSink()))
    if found is None:
        raise BadInput(
            "The SAE's model has no output head, so it predicts nothing: loss recovered is not defined for it."
        )
    return _print(parsed, found, say_loss)


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
