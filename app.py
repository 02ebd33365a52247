"""The web entry: `python app.py WORKSPACE [--port N]` or `gunicorn 'app:create_server()'` with LOUPE_WORKSPACE set."""

import argparse
import os
from pathlib import Path

from flask import Flask

from dashboard.access.gate import INSIDE_KEY
from dashboard.bundles import compress_ahead
from dashboard.factory import create_app
from loaders.errors import BadInput
from loaders.mirror import is_url
from loaders.workspace import Workspace

__all__ = ["create_app", "create_server", "main"]


def create_server(workspace: str | None = None) -> Flask:
    """The WSGI application over `workspace` or LOUPE_WORKSPACE, with its first request already answered.

    Raises BadInput when neither names a workspace. (Dash sets its pages up at the first request, which must not be
    several at once; so one is made here.)
    """
    named = workspace or os.environ.get("LOUPE_WORKSPACE")
    if not named:
        raise BadInput("No workspace is named. Set LOUPE_WORKSPACE to a workspace directory or run `loupe serve DIR`.")
    if not is_url(named):
        Path(named).expanduser().mkdir(parents=True, exist_ok=True)
    server = create_app(Workspace(named)).server
    server.test_client().get("/", environ_overrides={INSIDE_KEY: True})
    return server


def main() -> None:
    """Serve a workspace on this machine."""
    parser = argparse.ArgumentParser(description="Serve a Loupe workspace.")
    parser.add_argument("workspace", nargs="?", help="workspace directory; default: LOUPE_WORKSPACE")
    parser.add_argument("--port", type=int, default=8050)
    parser.add_argument("--host", default="127.0.0.1")
    given = parser.parse_args()
    server = create_server(given.workspace)
    compress_ahead(server)
    server.run(host=given.host, port=given.port, threaded=True)


if __name__ == "__main__":
    main()
