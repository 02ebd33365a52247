"""How the HTTP interface speaks: strict JSON answers, one-sentence errors, and ids read with care."""

import json
import math
from collections.abc import Hashable
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd
from flask import Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from catalog.dictionary.problems import FileRefused
from catalog.errors import CatalogTooNew, CatalogUnavailable, NotThere, StaleEdit, StaleEdits, UnderReview
from catalog.label_text import Label
from dashboard.access.errors import Refused, Unknown
from loaders.errors import BadInput, FeatureNotFound, LoupeError, SourceUnavailable, StoreNotFound, TableMissing

STATUS = {
    Unknown: 401,
    Refused: 403,
    BadInput: 400,
    StoreNotFound: 404,
    FeatureNotFound: 404,
    TableMissing: 404,
    NotThere: 404,
    StaleEdit: 409,
    StaleEdits: 409,
    UnderReview: 409,
    CatalogTooNew: 503,
    CatalogUnavailable: 503,
    SourceUnavailable: 503,
}
LABEL_FIELDS = (
    "sae_id",
    "feature_id",
    "version",
    "name",
    "notes",
    "category",
    "confidence",
    "author",
    "created_at",
    "replaces",
    "edit_key",
)
MAX_BODY_BYTES = 2 * 2**20
SENTENCES = {  # instead of Werkzeug's, where those say too much or too little
    400: "The request's body is not valid JSON.",
    415: "The request's body must be JSON: send it with Content-Type: application/json.",
}
MAX_ID_DIGITS = 10


def plain(value: Any) -> Any:
    """Turn NumPy and pandas values, times and tuples into what JSON can say; NaN and infinities become None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and np.isfinite(value).all():
        return value.tolist()
    return plain(value.tolist()) if hasattr(value, "tolist") else str(value)


def answer(value: Any, status: int = 200) -> Response:
    """A JSON response."""
    text = json.dumps(plain(value), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    response = Response(text + "\n", status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-cache"
    return response


def answer_list(items: list[Any], total: int | None = None, **more: Any) -> Response:
    """A list as `{"items": [...], "total": n}`; `total` counts all of them, `items` may be one part."""
    return answer({"items": items, "total": len(items) if total is None else total, **more})


def answer_error(status: int, sentence: str, **more: Any) -> Response:
    """An error as `{"error": sentence, "status": n}`."""
    return answer({"error": sentence, "status": status, **more}, status)


def answer_refusal(error: LoupeError) -> Response:
    """A LoupeError in its own words; stale edits bring both texts along, a refused file its problems."""
    more: dict[str, Any] = {}
    if isinstance(error, StaleEdit):
        more = _both(error)
    elif isinstance(error, StaleEdits):
        more = {"stale": [_both(each) for each in error.stale]}
    elif isinstance(error, FileRefused):
        more = {"problems": [each._asdict() for each in error.problems], "problem_count": error.count}
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)
    return answer_error(status, str(error), **more)


def answer_http_error(error: HTTPException) -> Response:
    """Werkzeug's errors in the same form; 405 keeps its Allow header."""
    status = error.code or 500
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or []))
        response = answer_error(status, f"{request.method} is not possible at this address: use {allowed}.")
        response.headers["Allow"] = allowed
        return response
    if status == 413:
        return answer_error(
            413, f"The request's body is too large: at most {request.max_content_length:,} bytes are read."
        )
    return answer_error(status, SENTENCES.get(status) or error.description or error.name)


def label(saved: Label) -> dict[str, Any]:
    """What the interface tells of a label."""
    evidence = saved.evidence and saved.evidence._asdict()
    told = {field: getattr(saved, field) for field in LABEL_FIELDS}
    return {**told, "evidence": evidence, "origin": saved.origin._asdict()}


def _both(error: StaleEdit) -> dict[str, Any]:
    return {"current": label(error.current), "submitted": label(error.submitted)}


def records(frame: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """The rows of a table as a list of objects."""
    return frame.to_dict("records")


def is_whole(text: str) -> bool:
    """True for the digits of a number that is not absurdly long."""
    return text.isascii() and text.isdigit() and len(text) <= MAX_ID_DIGITS


def read_feature_id(text: str) -> int:
    """The feature id in an address; anything but a whole number is answered with 404."""
    if not is_whole(text):
        raise NotFound(f"'{text[:40]}' is not a feature: feature ids are whole numbers from 0.")
    return int(text)


def installed_version() -> str:
    """Loupe's version."""
    try:
        return version("loupe")
    except PackageNotFoundError:
        return "not installed"
