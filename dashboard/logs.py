"""What the server writes to its log: one line for each record, as JSON or as text, with nothing in it that is secret.

Facts of a request come from `dashboard/trace.py`. Of an error only its type, its first line and the places in the code
are kept: further lines may quote a statement's values, which are people's texts.
"""

import json
import logging
import os
import re
import traceback
from datetime import UTC, datetime
from typing import Any

LOG_FORMATS = ("quiet", "text", "json")
"""quiet: warnings and errors in words; text and json: these and one line for each request."""
REQUESTS = "loupe.requests"
MESSAGE_LIMIT = 500
QUERY = re.compile(r"\?\S*")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, worker, and the record's facts or its error."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message_of(record),
            "worker": os.getpid(),
            **facts_of(record),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = describe_error(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """The same in words; an error's places in the code follow on lines of their own."""

    def format(self, record: logging.LogRecord) -> str:
        facts = "".join(f" {name}={value}" for name, value in facts_of(record).items())
        line = f"{_time(record)} {record.levelname.lower()} [{os.getpid()}] {message_of(record)}{facts}"
        if record.exc_info and record.exc_info[1] is not None:
            error = describe_error(record.exc_info[1])
            line += "".join(f"\n  {part}" for part in (f"{error['type']}: {error['message']}", *error["places"]))
        return line


def facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was logged beside the message, by `extra={"facts": {...}}`."""
    return dict(getattr(record, "facts", {}))


def message_of(record: logging.LogRecord) -> str:
    """The message on one line, without the query of any address that gunicorn quotes."""
    text = " ".join(record.getMessage().split())
    return (QUERY.sub("", text) if record.name.startswith("gunicorn") else text)[:MESSAGE_LIMIT]


def describe_error(error: BaseException) -> dict[str, Any]:
    """Type, first line of the message, and `file:line function` of every frame, the one that raised last."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = str(error).splitlines()
    return {
        "type": type(error).__name__,
        "message": lines[0][:MESSAGE_LIMIT] if lines else "",
        "places": [f"{'/'.join(f.filename.split(os.sep)[-2:])}:{f.lineno} {f.name}" for f in frames],
    }


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def log_config(log_format: str) -> dict[str, Any]:
    """`logging.config.dictConfig`'s dictionary for one of LOG_FORMATS; everything goes to stderr."""
    is_quiet = log_format == "quiet"
    lines = JsonLines if log_format == "json" else TextLines
    level = "WARNING" if is_quiet else "INFO"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": lines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            name: {"level": level, "handlers": [], "propagate": True} for name in ("gunicorn.error", "loupe", REQUESTS)
        },
    }
