"""The `loupe` command: parse, call, print. Each pipeline verb is a module of precompute with `Config` and `run`."""

import argparse
import errno
import importlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from dashboard.logs import LOG_FORMATS
from loaders.errors import BadInput, LoupeError
from loaders.mirror import is_url
from loaders.workspace import Workspace
from loupe import (
    add,
    advice,
    api_server,
    arguments,
    catalog_verbs,
    door,
    formats,
    hub,
    labels,
    neuronpedia,
    playlist,
    questions,
    run_checks,
    stores,
    users,
    weights,
)

STEPS = {  # verb: (module, one line of help)
    "dataset": ("precompute.dataset", "text, JSONL, CSV or Parquet -> tokens and metadata"),
    "grammar-model": ("precompute.grammar_model", "train the small model of the planted grammar"),
    "capture": ("precompute.capture", "model activations at hook points, once for training and harvest"),
    "train": ("precompute.train", "train an SAE on captured activations"),
    "sweep": ("precompute.sweep", "one SAE for every combination of settings, from one stream of rows"),
    "harvest": ("precompute.harvest", "SAE over the dataset -> batches of activations"),
    "convert": ("precompute.convert", "activations made elsewhere -> batches"),
    "transpose": ("precompute.transpose", "batches -> one slice per feature (CSC)"),
    "stats": ("precompute.tables.stats", "count, density, mean, quartiles and maximum of every feature"),
    "histograms": ("precompute.tables.histograms", "one small histogram per feature"),
    "idf": ("precompute.tables.idf", "inverse document frequency of every token"),
    "tokens": ("precompute.tables.tokens", "strongest tokens of every feature"),
    "breakdowns": ("precompute.tables.breakdowns", "firing by metadata category"),
    "influences": ("precompute.tables.influences", "output tokens that a feature promotes or suppresses"),
    "neighbours": ("precompute.tables.neighbours", "decoder cosine and exact co-activation"),
    "map": ("precompute.tables.map", "2-D map of all features"),
    "match-layers": ("precompute.layers", "match the features of a set across its layers"),
    "publish": ("precompute.publish", "list the store's files in its manifest"),
    "verify": ("precompute.verify", "hash every published file and compare with the manifests"),
    "build": ("precompute.build", "all of these in order, for one model and one dataset"),
}
FIRST_STEPS = ("dataset", "grammar-model", "convert", "build")
"""The steps that may begin a workspace; the others need one that is there."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; a LoupeError or an OSError becomes one sentence on stderr and exit code 2."""
    words = sys.argv[1:] if argv is None else argv
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        parsed = _parser(words).parse_args(words)
        return int(parsed.call(parsed) or 0)
    except LoupeError as error:
        print(f"loupe: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        place = f"'{error.filename}': " if error.filename is not None else ""
        full = error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
        remedy = ". What was published is intact: free some space and run the same command again" if full else ""
        print(f"loupe: {place}{' '.join((error.strerror or str(error)).split())}{remedy}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("loupe: stopped; the same command continues where it stopped", file=sys.stderr)
        return 130


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser(words: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="loupe", description="Explore what a neural network has learned.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    demo = verbs.add_parser("demo", help="build the demo workspace and serve it while it fills")
    demo.add_argument("--workspace", default="workspace", help="directory to build in (default: workspace)")
    demo.add_argument("--model", default="minilm", help="minilm, a hub id or a local folder (default: minilm)")
    demo.add_argument("--no-serve", action="store_true", help="only run the pipeline")
    _server_options(demo)
    demo.set_defaults(call=_demo)
    server = verbs.add_parser("serve", help="serve a workspace")
    server.add_argument("workspace", help="the workspace's directory")
    _server_options(server)
    _conduct_options(server)
    server.set_defaults(call=_serve)
    api_server.add_verbs(verbs)
    stores.add_verbs(verbs)
    catalog_verbs.add_verbs(verbs)
    formats.add_verbs(verbs)
    add.add_verbs(verbs)
    hub.add_verbs(verbs)
    neuronpedia.add_verbs(verbs)
    labels.add_verbs(verbs)
    playlist.add_verbs(verbs)
    questions.add_verbs(verbs)
    run_checks.add_verbs(verbs)
    advice.add_verbs(verbs)
    weights.add_verbs(verbs)
    users.add_verbs(verbs)
    for verb, (module, text) in STEPS.items():
        step = verbs.add_parser(verb, help=text, description=text)
        step.set_defaults(call=_run_step(module))
        if verb in words[:1]:  # importing a step may import torch: only the one that was asked for
            step.add_argument("--workspace", default="workspace", help="the workspace's directory (default: workspace)")
            imported = importlib.import_module(module)
            arguments.add_options(step, imported.Config, getattr(imported, "PRESETS", None))
    return parser


def _server_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8050, help="port to listen on (default: 8050)")
    parser.add_argument("--workers", type=int, default=1, help="server processes (default: 1)")
    parser.add_argument("--threads", type=int, default=8, help="threads in each (default: 8)")
    door.add_options(parser)


def _conduct_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--log-format",
        choices=LOG_FORMATS,
        default="quiet",
        help="quiet: warnings and errors; text, json: these and a line for each request (default: quiet)",
    )
    parser.add_argument(
        "--grace", type=int, default=30, help="seconds for requests that run when it is told to stop (default: 30)"
    )
    parser.add_argument(
        "--recycle", type=int, default=0, help="requests after which a worker is renewed; 0: never (default: 0)"
    )


def _run_step(module: str) -> Callable[[argparse.Namespace], int]:
    def call(parsed: argparse.Namespace) -> int:
        from precompute.lock import hold_workspace, is_helper
        from precompute.pipeline import run_alone

        if is_url(parsed.workspace):
            raise BadInput(
                f"'{parsed.workspace}' can only be read. Run the step on a local directory and copy it there."
            )
        if parsed.verb not in FIRST_STEPS:
            _require_workspace(parsed.workspace)
        step = importlib.import_module(module)
        workspace = Workspace(parsed.workspace)
        with hold_workspace(workspace.root):
            config = arguments.make_config(step.Config, parsed, getattr(step, "PRESETS", None))
            made = run_alone(step, config, workspace)
        if not is_helper():
            print(made)
        return 0

    return call


def _demo(parsed: argparse.Namespace) -> int:
    from loupe.demo import run_demo, serve_demo

    if parsed.no_serve:
        return run_demo(parsed.workspace, parsed.model)
    return serve_demo(parsed)


def _serve(parsed: argparse.Namespace) -> int:
    from loupe.serving import Conduct, serve

    _require_workspace(parsed.workspace)
    door.settle(parsed)
    conduct = Conduct(parsed.log_format, parsed.grace, parsed.recycle)
    serve(parsed.workspace, parsed.host, parsed.port, parsed.workers, parsed.threads, _announce(parsed), conduct)
    return 0


def _require_workspace(directory: str) -> None:
    if is_url(directory):
        _ = Workspace(directory).catalog_url  # says now, and not from a worker, what is missing
        return
    if not Path(directory).expanduser().is_dir():
        raise BadInput(f"There is no workspace at '{directory}'. Build one with `loupe demo` or `loupe build`.")


def _announce(parsed: argparse.Namespace) -> Callable[[Any], None]:
    def say(arbiter: Any) -> None:
        port = arbiter.LISTENERS[0].sock.getsockname()[1]
        print(f"Loupe is at http://{parsed.host}:{port} (Ctrl-C stops it)", flush=True)

    return say
