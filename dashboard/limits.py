"""What the server refuses before anything is computed, and the sentence for every refusal."""

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from dashboard.access.errors import Refused, Unknown
from dashboard.api_json import STATUS
from loaders.errors import LoupeError

MAX_BODY = 32 * 2**20
"""Bytes of a request's body: a callback sends back the points selected on a map of 20,480 features (2 MB), or a file."""
MAX_FORM = 64 * 2**10
"""Bytes of a form field held in memory."""
RETRY_AFTER_S = 2
"""Seconds after which a client may ask again what could not be answered; a database is back within about that."""
SENTENCES = {  # instead of Werkzeug's own, which speak of browsers and proxies
    400: "The server could not read this request.",
    404: "There is no such page here.",
    405: "This address does not take that method.",
    413: f"The request's body is too large: at most {MAX_BODY // 2**20} MiB are read.",
    415: "The request's body must be JSON: send it with Content-Type: application/json.",
}
GENERAL = "Something went wrong; the server's log has the details."


def limit_requests(server: Flask) -> None:
    """Bound what one request may send, and say with every 503 when to ask again."""
    server.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    server.config["MAX_FORM_MEMORY_SIZE"] = MAX_FORM

    @server.after_request
    def say_when_to_ask_again(response: Response) -> Response:
        if response.status_code == 503:
            response.headers.setdefault("Retry-After", str(RETRY_AFTER_S))
        return response


def status_and_sentence(error: Exception) -> tuple[int, str]:
    """How an error is answered; anything that was not foreseen is a 500 without details."""
    if isinstance(error, HTTPException):
        code = error.code or 500
        is_general = code == 415 or error.description == type(error).description
        return code, SENTENCES.get(code, error.name) if is_general else str(error.description)
    if isinstance(error, Unknown | Refused):
        return (401 if isinstance(error, Unknown) else 403), str(error)
    if isinstance(error, LoupeError):
        return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 400), str(error)
    return 500, GENERAL
