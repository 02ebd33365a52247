"""Every refusal and every error of the server in words: a short page for people, JSON for programs."""

import logging

import flask
from markupsafe import escape

from dashboard import urls
from dashboard.limits import GENERAL, status_and_sentence

TITLES = {
    401: "Nobody is logged in",
    403: "This is not open to you",
    404: "There is nothing here",
    405: "That cannot be done here",
    413: "That is too large",
    429: "Too many tries",
    500: "Something went wrong",
    503: "The catalog cannot be reached",
}
PAGE = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{title} · Loupe</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; --ground: #f4f6f7; --text: #1a2228; --muted: #55626d; --accent: #0b6b78; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ground: #101418; --text: #e3e8ec; --muted: #98a5b0; --accent: #58bcc9; }} }}
body {{ font: 15px/1.6 system-ui, sans-serif; margin: 18vh auto; max-width: 36em; padding: 0 20px; background: var(--ground);
color: var(--text); }}
h1 {{ font-size: 1.35rem; margin: 0 0 6px; }} .status {{ color: var(--muted); font-size: 0.86rem; }} a {{ color: var(--accent); }}
</style>
<body><p class="status">Loupe · {status}</p><h1>{title}</h1><p>{sentence}</p><p><a href="{home}">Go to Home</a></p>"""
log = logging.getLogger("loupe")


def error_page(error: Exception) -> flask.Response:
    """Answer to an error that a request ended in, never with a stack trace."""
    status, sentence = status_and_sentence(error)
    if sentence == GENERAL:
        log.exception("request failed", exc_info=error)
    return answer_refused(status, sentence)


def answer_refused(status: int, sentence: str) -> flask.Response:
    """The sentence as a page to browsers and as `{"error", "status"}` to everything else."""
    if "text/html" not in flask.request.headers.get("Accept", ""):
        response = flask.jsonify({"error": sentence, "status": status})
    else:
        title = TITLES.get(status, "This did not work")
        shown = PAGE.format(status=status, title=title, sentence=escape(sentence), home=urls.home())
        response = flask.make_response(shown)
    response.status_code = status
    return response
