"""The JSON body of a writing request, declared once: its checks and its schema in the OpenAPI document come from here."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flask import request

from catalog.texts import KEY_LIMIT
from dashboard.api_json import MAX_BODY_BYTES
from dashboard.api_schema import Schema, or_null
from loaders.errors import BadInput

MOST = 10**10 - 1
"""The largest whole number that is read: a catalog keeps no larger ones."""


class Field(NamedTuple):
    """One field of a body: `words` say what it must be, `fits` whether a value is that."""

    name: str
    words: str
    schema: Schema
    fits: Callable[[Any], bool]
    is_needed: bool = False

    def needed(self) -> "Field":
        """The same, and a body without it is refused."""
        return self._replace(is_needed=True)

    def or_null(self, words: str = "") -> "Field":
        """The same, and null is taken as well."""
        fits = self.fits
        schema = or_null({key: value for key, value in self.schema.items() if key != "description"})
        told = {"description": self.schema["description"]} if "description" in self.schema else {}
        return self._replace(
            words=f"{self.words}, or null{words}",
            schema={**schema, **told},
            fits=lambda value: value is None or fits(value),
        )


class Body(NamedTuple):
    """A JSON object with these fields and no others; `what` names it in refusals, `example` shows it."""

    what: str
    example: str
    fields: tuple[Field, ...]

    @property
    def schema(self) -> Schema:
        """For the document."""
        return {
            "type": "object",
            "properties": {field.name: field.schema for field in self.fields},
            "required": [field.name for field in self.fields if field.is_needed],
            "additionalProperties": False,
        }

    def read(self) -> dict[str, Any]:
        """What the current request's body gives. Raises BadInput for a body that cannot be; 413 and 415 as they are."""
        request.max_content_length = MAX_BODY_BYTES
        try:
            return self.check(request.get_json())
        except RecursionError as error:
            raise BadInput(f"The request's body nests too deeply: {self._form()}.") from error

    def check(self, sent: Any) -> dict[str, Any]:
        """The same for a value that was read. Raises BadInput."""
        if not isinstance(sent, dict):
            raise BadInput(f"{self._form()[0].upper()}{self._form()[1:]}: found {_kind(sent)}.")
        by_name = {field.name: field for field in self.fields}
        unknown = sorted(set(sent) - set(by_name))
        if unknown:
            raise BadInput(f"{self.what} has the fields {', '.join(by_name)}: found '{unknown[0][:40]}'.")
        for name, field in by_name.items():
            if field.is_needed and name not in sent:
                raise BadInput(f'{self.what} needs "{name}": {self._form()}.')
            if name in sent and not field.fits(sent[name]):
                raise BadInput(f"{self.what}'s '{name}' must be {field.words}.")
        return sent

    def _form(self) -> str:
        return f"{self.what[0].lower()}{self.what[1:]} is a JSON object such as {self.example}"


def text(name: str, limit: int, words: str = "") -> Field:
    """A text; what else it must be (its characters, its length) the catalog says."""
    told = {"description": words} if words else {}
    return Field(name, "a text", {"type": "string", "maxLength": limit, **told}, lambda value: isinstance(value, str))


def whole(name: str, words: str, least: int = 0, most: int = MOST) -> Field:
    """A whole number."""
    return Field(
        name,
        words,
        {"type": "integer", "minimum": least, "maximum": most, "description": f"{words[0].upper()}{words[1:]}."},
        lambda value: is_whole_number(value) and least <= value <= most,
    )


def share(name: str) -> Field:
    """A number from 0 to 1."""
    return Field(
        name,
        "a number from 0 to 1",
        {"type": "number", "minimum": 0, "maximum": 1},
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1,
    )


def several(name: str, words: str, item: Schema, most: int) -> Field:
    """A list with something in it, whose items are read by whoever asks."""
    schema = {"type": "array", "items": item, "minItems": 1, "maxItems": most}
    return Field(name, words, schema, lambda value: isinstance(value, list) and 1 <= len(value) <= most)


def feature_ids(name: str, most: int) -> Field:
    """A list of the ids of features."""
    ids = several(name, f"a list of 1 to {most:,} feature ids", {"type": "integer", "minimum": 0}, most)
    return ids._replace(
        fits=lambda value: ids.fits(value) and all(is_whole_number(each) and 0 <= each <= MOST for each in value)
    )


def is_whole_number(value: Any) -> bool:
    """True for an int, which in Python a bool is as well."""
    return isinstance(value, int) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


EDIT_KEY = Field(
    "edit_key",
    "a text of your own making, one for each edit",
    {
        "type": "string",
        "pattern": f"^[A-Za-z0-9._:-]{{1,{KEY_LIMIT}}}$",
        "description": "Sent again, nothing is saved twice.",
    },
    lambda value: isinstance(value, str),
).or_null()
