"""JSON Schemas in few words, for the HTTP interface's declarations."""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
ANYTHING: Schema = {"type": "object"}


def or_null(schema: Schema) -> Schema:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def several(schema: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": schema}


def record(**fields: Schema) -> Schema:
    """An object with exactly these fields."""
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def listing(item: Schema, **more: Schema) -> Schema:
    """A list or one part of it, as `answer_list` gives it."""
    return record(items=several(item), total=WHOLE, **more)


ERROR: Schema = {
    "type": "object",
    "properties": {"error": {"type": "string", "description": "One sentence."}, "status": {"type": "integer"}},
    "required": ["error", "status"],
}
