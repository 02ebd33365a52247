"""`loupe api`: serve the stores' numbers to programs, without the dashboard."""

import argparse
from typing import Any

from loupe import door

HELP = "serve the HTTP interface without the dashboard"


def add_verbs(verbs: Any) -> None:
    """Add `loupe api` to the commands (an argparse subparsers object)."""
    parser = verbs.add_parser("api", help=HELP, description=HELP)
    parser.add_argument("workspace", help="the workspace's directory")
    parser.add_argument("--store", help="the store that the short addresses mean (default: the only one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8765, help="port to listen on; 0 takes a free one (default: 8765)")
    parser.add_argument("--workers", type=int, default=1, help="server processes (default: 1)")
    parser.add_argument("--threads", type=int, default=8, help="threads in each (default: 8)")
    door.add_options(parser)
    parser.set_defaults(call=run_api)


def run_api(parsed: argparse.Namespace) -> int:
    """Check workspace, store and catalog, then serve until interrupted."""
    from dashboard.api_server import create_api_server
    from loaders.workspace import Workspace
    from loupe.serving import require_workspace, serve_threaded

    require_workspace(parsed.workspace)
    workspace = Workspace(parsed.workspace)
    if parsed.store is not None:
        workspace.open_store(parsed.store)
    door.settle(parsed)

    def create() -> Any:
        return create_api_server(Workspace(parsed.workspace), parsed.store)

    serve_threaded(create, parsed.host, parsed.port, parsed.workers, parsed.threads, _announce)
    return 0


def _announce(arbiter: Any) -> None:
    host, port = arbiter.LISTENERS[0].sock.getsockname()[:2]
    print(f"Loupe's HTTP interface is at http://{host}:{port}/api/v1/ (Ctrl-C stops it)", flush=True)
