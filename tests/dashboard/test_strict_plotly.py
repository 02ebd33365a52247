"""plotly.js comes in the strict build, of the version that draws the figures, whole however it is sent."""

import re

import brotli
import plotly.offline
from flask import Flask

from dashboard.bundles import PLOTLY
from dashboard.strict_plotly import plotly_script


def version(script: str) -> str:
    return re.search(r"plotly\.js [^v]*v(\d+\.\d+\.\d+)", script)[1]


def test_it_is_the_strict_build_of_the_version_that_plotly_itself_brings() -> None:
    strict = plotly_script().decode()
    assert "strict" in strict[:100]
    assert version(strict) == version(plotly.offline.get_plotlyjs())


def test_it_is_sent_whole_with_and_without_compression_and_not_twice(server: Flask) -> None:
    client = server.test_client()
    small, plain = client.get(PLOTLY, headers={"Accept-Encoding": "br"}), client.get(PLOTLY)
    assert plain.data == plotly_script() == brotli.decompress(small.data)
    assert small.headers["Content-Encoding"] == "br" and "Content-Encoding" not in plain.headers
    assert small.headers["Vary"].startswith("Accept-Encoding")
    again = client.get(PLOTLY, headers={"Accept-Encoding": "br", "If-None-Match": small.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
