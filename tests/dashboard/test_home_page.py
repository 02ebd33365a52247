"""Home tells how to fill an empty workspace with a command that works from any directory."""

import json
from pathlib import Path

from flask import Flask
from plotly.utils import PlotlyJSONEncoder

from loaders.workspace import Workspace


def test_the_command_for_an_empty_workspace_names_the_whole_directory_quoted(server: Flask, tmp_path: Path) -> None:
    from pages.home import layout  # a page registers with the dashboard that is there

    empty = Flask("empty")
    empty.config["LOUPE"] = {**server.config["LOUPE"], "workspace": Workspace(tmp_path / "my texts")}
    with empty.app_context():
        shown = json.dumps(layout(), cls=PlotlyJSONEncoder)
    assert f"loupe demo --workspace '{tmp_path / 'my texts'}'" in shown
