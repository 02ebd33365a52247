"""The verb that brings an SAE of another tool and a text, and makes its pages. Parse, call, print."""

import argparse
import json
import sys
from typing import Any

from loaders.errors import BadInput
from loaders.mirror import is_url
from loaders.workspace import Workspace

OPTIONS = (
    ("--model", str, "the model: a folder or a hub id (default: the one that the SAE names)"),
    ("--hook", str, "hook point, in Loupe's words or another library's (default: the one that the SAE names)"),
    ("--sae-id", str, "id that the SAE gets, or the set where there are several (default: from its name)"),
    ("--dataset-id", str, "id that the dataset gets (default: the text's name)"),
    ("--tokens", int, "tokens to read at most (default: 250000)"),
    ("--context-length", int, "tokens in a context at most (default: as the SAE was trained)"),
    ("--scale", float, "constant that rows are multiplied by, where the SAE's files owe it (default: estimated)"),
    ("--kept-as", str, "numbers that activations are kept in: float32 or float16 (default: float32)"),
    ("--device", str, "where the model runs: cpu, cuda, cuda:<number>, mps or auto (default: cpu)"),
    ("--dtype", str, "numbers that the model computes in: float32, bfloat16 or float16 (default: float32)"),
    ("--seed", int, "draws the documents (default: 0)"),
)


def add_verbs(verbs: Any) -> None:
    """Register the verb with an argparse object of subparsers; it sets `call`."""
    text = "an SAE of another tool and a text -> checked, harvested, with its pages"
    verb: argparse.ArgumentParser = verbs.add_parser("add", help=text, description=text)
    verb.add_argument(
        "sae", metavar="SAE", help="a folder (of one SAE or several), org/repo[/subfolder], or release/id"
    )
    verb.add_argument("--text", required=True, help="a .txt, .jsonl, .csv or .parquet file, or a folder of them")
    for name, kind, words in OPTIONS:
        verb.add_argument(name, type=kind, default=argparse.SUPPRESS, help=words)
    verb.add_argument(
        "--bos",
        action=argparse.BooleanOptionalAction,
        default=argparse.SUPPRESS,
        help="begin contexts with the tokenizer's first token (default: as the SAE was trained)",
    )
    verb.add_argument("--force", action="store_true", help="go on although FVU or L0 are not plausible")
    verb.add_argument("--trust-remote-code", action="store_true", help="run the code that comes with a model")
    verb.add_argument("--workspace", default="workspace", help="the workspace's directory (default: workspace)")
    verb.add_argument("--json", action="store_true", help="print one JSON object")
    verb.set_defaults(call=_add)


def _add(parsed: argparse.Namespace) -> int:
    if is_url(parsed.workspace):
        raise BadInput(f"'{parsed.workspace}' can only be read. Add the SAE to a local directory and copy it there.")
    from catalog.catalog import Catalog
    from precompute.add import Added, Config, run
    from precompute.lock import hold_workspace

    fields = Config.__dataclass_fields__
    config = Config(**{name: value for name, value in vars(parsed).items() if name in fields})
    workspace = Workspace(parsed.workspace)
    with hold_workspace(workspace.root):
        added: list[Added] = run(config, workspace, Catalog(workspace.catalog_url))
    stores = [_say(one, workspace) for one in added]
    if parsed.json:
        print(json.dumps({"workspace": str(workspace.root), "stores": stores}, indent=1))
        return 0
    for store in stores:
        stages = f", rows: {', '.join(stage['stage'] for stage in store['stages'])}" if store["stages"] else ""
        print(f"{store['store']}  {store['hook']}  FVU {store['fvu']:.4f}  L0 {store['l0']:.1f}{stages}")
    print(f"Look at it: loupe serve {parsed.workspace}", file=sys.stderr)
    return 0


def _say(added: Any, workspace: Workspace) -> dict[str, Any]:
    """What one SAE has become: FVU and L0 are those of all samples."""
    manifest = workspace.open_store(added.store).manifest
    checked = None if added.check is None else {key: added.check._asdict()[key] for key in ("fvu", "l0", "rows")}
    return {
        "sae": added.sae,
        "store": added.store,
        "hook": added.hook,
        "stages": added.stages,
        "set": manifest["set"],
        "features": manifest["features"],
        "samples": manifest["samples"],
        "fvu": manifest["quality"]["fvu_all"],
        "l0": manifest["quality"]["l0_all"],
        "checked": checked,
    }
