"""The verb `layers`: at which hook points of a model an SAE is worth training, measured on a sample of a dataset."""

import argparse
from pathlib import Path
from typing import Any

from loaders.advice import Advice, read_advice
from loaders.errors import BadInput, LoupeError
from loaders.mirror import is_url
from loaders.workspace import Workspace

MARKS = {"for": "+", "against": "-", "note": " "}
HEADER = ("rank", "hook point", "score", "norm", "mean²", "top 1", "directions", "token eta²", "context eta²", "new")


def add_verbs(verbs: Any) -> None:
    """Register the verb with an argparse object of subparsers; it sets `call`."""
    text = "at which hook points an SAE is worth training, measured on a sample of a dataset"
    parser = verbs.add_parser("layers", help=text, description=text)
    parser.add_argument("model", metavar="MODEL", help="minilm, a hub id, a folder, or a name in models/")
    parser.add_argument("--dataset", required=True, help="dataset of the workspace that the model reads")
    parser.add_argument("--hooks", nargs="+", default=[], metavar="HOOK", help="hook points (default: all blocks)")
    parser.add_argument("--tokens", type=int, default=32_768, help="samples to measure on (default: 32768)")
    parser.add_argument("--seed", type=int, default=0, help="draws the contexts (default: 0)")
    parser.add_argument("--memory", default="2GiB", help="most memory for the sums (default: 2GiB)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps or auto (default: cpu)")
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16 (default: float32)")
    parser.add_argument("--trust-remote-code", action="store_true", help="run the Python code that comes with a model")
    parser.add_argument("--workspace", default="workspace", help="the workspace's directory (default: workspace)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(call=_layers)


def _layers(parsed: argparse.Namespace) -> int:
    from loupe.model_facts import as_json
    from loupe.serving import require_workspace
    from precompute import advice
    from precompute.lock import hold_workspace
    from precompute.pipeline import run_alone

    if is_url(parsed.workspace):
        raise BadInput(
            f"'{parsed.workspace}' can only be read. Run the command on a local directory and copy it there."
        )
    require_workspace(parsed.workspace)
    workspace = Workspace(parsed.workspace)
    named = ("dataset", "tokens", "seed", "memory", "device", "dtype", "trust_remote_code")
    settings = {name: getattr(parsed, name) for name in named}
    config = advice.Config(find_model(workspace, parsed.model), hooks=tuple(parsed.hooks), **settings)
    with hold_workspace(workspace.root):
        path = run_alone(advice, config, workspace)
    found = read_advice(Path(str(path)))
    trained = saes_at(workspace, found)
    print(as_json({**found.as_json(), "saes": trained, "file": str(path)}) if parsed.json else say(found, trained))
    return 0


def find_model(workspace: Workspace, name: str) -> str:
    """The folder of a model that the workspace's `models/` holds, or the name as it is."""
    own = workspace.models_dir() / name
    is_own = "/" not in name and not Path(name).is_dir() and (own / "config.json").is_file()
    return str(own) if is_own else name


def saes_at(workspace: Workspace, advice: Advice) -> dict[str, list[str]]:
    """Ids of the workspace's SAEs of that model, by hook point."""
    found: dict[str, list[str]] = {each.hook: [] for each in advice.hooks}
    for sae_id in workspace.sae_ids():
        try:
            about = workspace.sae(sae_id).metadata
        except LoupeError:  # opening it says what is wrong
            continue
        if about.get("model_id") == advice.model_id and about.get("hook_name") in found:
            found[about["hook_name"]].append(sae_id)
    return found


def say(advice: Advice, trained: dict[str, list[str]]) -> str:
    """The ranking as a table, the reasons below it, and the hook point to begin with."""
    from loupe.tables_text import plain, table

    sample = advice.sample
    rows = []
    for found in advice.ranked:
        measured = found.measures
        kept = measured["kept"]
        rows.append(
            (
                found.rank,
                found.hook,
                found.score,
                measured["norm_mean"],
                measured["mean_share"],
                measured["top_share"],
                measured["participation"],
                measured["token_eta2"],
                measured["context_eta2"],
                None if kept is None else 1 - kept,
            )
        )
    best = advice.ranked[0]
    lines = [
        f"{advice.model_id} over {advice.dataset}: {sample['samples']:,} of {sample['of_samples']:,} samples"
        f" ({sample['contexts']:,} contexts, seed {sample['seed']}).",
        "",
        table(HEADER, rows),
        "",
    ]
    for found in advice.ranked:
        saes = f" (has {', '.join(trained[found.hook])})" if trained[found.hook] else ""
        lines += [f"{found.rank}. {found.hook}{saes}"]
        lines += [f"   {MARKS[reason.kind]} {plain(reason.text)}" for reason in found.reasons]
    begin = f"Begin at {best.hook}." if best.score > 0 else "None of these hook points is worth an SAE as it is."
    return "\n".join([*lines, "", begin, f"Score: {advice.score}"])
