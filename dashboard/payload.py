"""Callbacks are checked before Dash sees them: known, of the right form, of sane depth. Anything else is a 400 in words.

Dash itself trusts what arrives: a body that it does not expect would be a 500, and as it takes the inputs' names from the
body, a relabelled input would pass for another one.
"""

import json
from collections.abc import Mapping
from typing import Any

from dash import Dash
from flask import Flask, g, request
from werkzeug.exceptions import BadRequest

PATH = "_dash-update-component"
MAX_DEPTH = 64
"""Levels of lists and objects in a callback; the figures that a page sends back have about ten."""
RELOAD = "reload the page and try again"
TOO_DEEP = f"The callback's values nest deeper than {MAX_DEPTH} levels."


def refuse_malformed_callbacks(app: Dash, server: Flask) -> None:
    """Answer a callback that no page of this server can have sent with 400; note the name of every other for the log."""
    path = app.config.requests_pathname_prefix + PATH

    @server.before_request
    def check() -> None:
        if request.method == "POST" and request.path == path:
            g.callback = check_callback(read_body(), app.callback_map)


def read_body() -> dict[str, Any]:
    """The request's JSON object; raises BadRequest."""
    try:
        body = request.get_json()
    except RecursionError as error:
        raise BadRequest(TOO_DEEP) from error
    if not isinstance(body, dict):
        raise BadRequest("A callback is a JSON object.")
    if depth_of(body) > MAX_DEPTH:
        raise BadRequest(TOO_DEEP)
    if b"\\u" in request.get_data() and not can_be_written(body):
        raise BadRequest("The callback holds half a character (a lone surrogate), which no text can hold.")
    return body


def depth_of(value: Any) -> int:
    """Levels of lists and objects in a JSON value; MAX_DEPTH + 1 for any that has more."""
    depth, level = 0, [value] if isinstance(value, dict | list) else []
    while level and depth <= MAX_DEPTH:
        depth += 1
        inside = (item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer))
        level = [item for item in inside if isinstance(item, dict | list)]
    return depth


def can_be_written(value: Any) -> bool:
    """Whether every text in a JSON value can be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def check_callback(body: Mapping[str, Any], callbacks: Mapping[str, Any]) -> str:
    """The name of its first output; raises BadRequest unless outputs, inputs and state are those of a known callback."""
    output = body.get("output")
    if not isinstance(output, str) or "callback" not in callbacks.get(output, {}):  # those of the browser have none
        raise BadRequest(f"This server has no such callback: {RELOAD}.")
    known = callbacks[output]
    outputs = known["output"] if isinstance(known["output"], list | tuple) else [known["output"]]
    wanted = [{"id": item.component_id_str(), "property": item.component_property} for item in outputs]
    sent = body.get("outputs", [])
    check_entries("outputs", sent if isinstance(known["output"], list | tuple) else [sent], wanted)
    for part, key in (("inputs", "inputs"), ("state", "state")):
        check_entries(part, body.get(key, []), known[key])
    check_changed(body.get("changedPropIds", []), body["inputs"] if known["inputs"] else [])
    return f"{wanted[0]['id']}.{unmarked(wanted[0]['property'])}" if wanted else "(no output)"


def check_entries(part: str, sent: Any, wanted: list[dict[str, str]]) -> None:
    """Raise BadRequest unless every entry names the component and the property that the callback declares there."""
    if not isinstance(sent, list) or len(sent) != len(wanted):
        raise BadRequest(f"This callback has {len(wanted)} {part}: {RELOAD}.")
    for entry, spec in zip(sent, wanted, strict=True):
        of_many = spec["id"].startswith("{")  # a pattern such as {"name":["ALL"],"type":"..."} stands for several
        if of_many != isinstance(entry, list):
            raise BadRequest(f"This callback's {part} have another form: {RELOAD}.")
        for item in entry if of_many else [entry]:
            if not isinstance(item, dict) or unmarked(item.get("property")) != unmarked(spec["property"]):
                raise BadRequest(f"This callback's {part} are others: {RELOAD}.")
            if not (fits_pattern(item.get("id"), spec["id"]) if of_many else item.get("id") == spec["id"]):
                raise BadRequest(f"This callback's {part} are others: {RELOAD}.")


def unmarked(name: Any) -> Any:
    """A property without the mark behind `@` that tells several callbacks with the same output apart."""
    return name.partition("@")[0] if isinstance(name, str) else name


def fits_pattern(sent: Any, pattern: str) -> bool:
    """Whether an id is one of those that a pattern means: the same keys, the fixed values, text or number elsewhere."""
    wanted = json.loads(pattern)
    if not isinstance(sent, dict) or sent.keys() != wanted.keys():
        return False
    return all(
        isinstance(sent[key], str | int | float) if isinstance(value, list) else sent[key] == value
        for key, value in wanted.items()
    )


def check_changed(sent: Any, inputs: list[Any]) -> None:
    """Raise BadRequest unless what is said to have changed are inputs that were sent along."""
    names = set()
    for entry in inputs:
        for item in entry if isinstance(entry, list) else [entry]:
            key = item["id"]
            text = json.dumps(key, sort_keys=True, separators=(",", ":")) if isinstance(key, dict) else key
            names.add(f"{text}.{item['property']}")
    if not isinstance(sent, list) or not all(isinstance(name, str) and name in names for name in sent):
        raise BadRequest(f"This callback says that something changed which is no input of it: {RELOAD}.")
