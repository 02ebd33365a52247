"""The verbs that take SAEs in and out of a workspace: import, export and doctor. Parse, call, print."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loaders.errors import BadInput
from loaders.mirror import is_url
from loaders.workspace import Workspace

MOST_ROWS = 16_384  # rows that doctor measures on


def add_verbs(verbs: Any) -> None:
    """Register the verbs with an argparse object of subparsers; each sets `call`."""
    bring = _add(
        verbs, "import", "an SAE of SAELens, Gemma Scope, sparsify or dictionary_learning -> the workspace", _import
    )
    bring.add_argument("path", metavar="PATH", help="the checkpoint's folder")
    bring.add_argument("--sae-id", required=True, help="id that it gets")
    bring.add_argument("--model-id", help="the model's id in the workspace")
    bring.add_argument("--hook", help="hook point, as `loupe capture` names it")
    bring.add_argument("--set", dest="set_id", help="the set of SAEs that it belongs to")
    bring.add_argument("--layer-index", type=int, help="place in the set")
    bring.add_argument("--scale", type=float, help="constant that rows are multiplied by, where the file owes it")
    leave = _add(verbs, "export", "an SAE of the workspace -> another tool's format", _export)
    leave.add_argument("sae", metavar="SAE", help="id of an SAE")
    leave.add_argument("--format", required=True, help="saelens, gemma_scope, sparsify or dictionary_learning")
    leave.add_argument("--to", required=True, help="a new folder")
    doctor = _add(verbs, "doctor", "what a checkpoint is, and what is wrong with it", _doctor)
    doctor.add_argument("path", metavar="PATH", help="the checkpoint's folder")
    doctor.add_argument("--activations", help="rows to measure on: a .npy of [rows, d_in], or a captured directory")
    doctor.add_argument("--dataset", help="measure on this dataset's captured activations")
    doctor.add_argument("--model-id", help="of this model")
    doctor.add_argument("--hook", help="at this hook point")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")


def _add(verbs: Any, name: str, text: str, call: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("--workspace", default="workspace", help="the workspace's directory (default: workspace)")
    parser.set_defaults(call=call)
    return parser


def _import(parsed: argparse.Namespace) -> int:
    from precompute.import_sae import Config, import_sae
    from precompute.lock import hold_workspace

    named = (parsed.sae_id, parsed.model_id, parsed.hook, parsed.set_id, parsed.layer_index, parsed.scale)
    workspace = _workspace(parsed)
    with hold_workspace(workspace.root):
        print(import_sae(Config(parsed.path, *named), workspace))
    return 0


def _export(parsed: argparse.Namespace) -> int:
    from precompute.export_sae import export_sae

    print(export_sae(_workspace(parsed), parsed.sae, parsed.format, Path(parsed.to).expanduser()))
    return 0


def _doctor(parsed: argparse.Namespace) -> int:
    from precompute.doctor import as_text, examine

    path = Path(parsed.path).expanduser()
    if not path.exists():
        raise BadInput(f"'{path}' does not exist. Give the folder of a checkpoint.")
    report = asdict(examine(path, _rows(parsed)))
    print(json.dumps(report, indent=1) if parsed.json else as_text(report))
    return 1 if report["problems"] else 0


def _rows(parsed: argparse.Namespace) -> Any:
    """Rows to measure on, as a tensor, or None where none were named."""
    import numpy as np
    import torch

    from precompute.activations import Activations

    place = (parsed.model_id, parsed.dataset, parsed.hook)
    if parsed.activations is None and not any(place):
        return None
    if parsed.activations is None:
        if not all(place):
            raise BadInput("Measuring on captured activations needs all of --dataset, --model-id and --hook.")
        found = Activations.open(_workspace(parsed).activations_dir(*place))
    elif Path(parsed.activations).expanduser().is_dir():
        found = Activations.open(Path(parsed.activations).expanduser())
    else:
        try:
            rows = np.load(Path(parsed.activations).expanduser(), mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise BadInput(f"'{parsed.activations}' holds no .npy array of numbers.") from error
        if not isinstance(rows, np.ndarray):
            raise BadInput(f"'{parsed.activations}' is an archive of arrays; save the rows alone with numpy.save.")
        if rows.ndim != 2 or not len(rows) or rows.dtype.kind != "f":
            raise BadInput(f"'{parsed.activations}' must hold rows of floating point numbers: found {rows.shape}.")
        return torch.from_numpy(np.array(rows[:MOST_ROWS], np.float32))
    return torch.from_numpy(found.read(0, min(found.rows, MOST_ROWS)))


def _workspace(parsed: argparse.Namespace) -> Workspace:
    if is_url(parsed.workspace):
        raise BadInput(f"`loupe {parsed.verb}` works on a local workspace; '{parsed.workspace}' is an object store.")
    return Workspace(parsed.workspace)
