"""One route of the HTTP interface, declared once: Flask's rule, its checks and the OpenAPI document come from here."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from flask import Response, request

from catalog.texts import check_text
from dashboard.api_json import is_whole
from dashboard.api_schema import Schema
from loaders.errors import BadInput

BASE = "/api/v1"
STORE = BASE + "/stores/{store_id}"
FEATURE = STORE + "/features/{feature}"
JSON = "application/json"
TEXT_KIND = "text/plain"


class Parameter(NamedTuple):
    """A query parameter: `schema` says what it may be, `read` turns its text into a value or raises BadInput."""

    name: str
    words: str
    schema: Schema
    read: Callable[[str], Any]

    def asked(self) -> Any:
        """Its value in the current request; the schema's default (or None) where it is not given."""
        text = request.args.get(self.name, "").strip()
        return self.read(text) if text else self.schema.get("default")


class Route(NamedTuple):
    """A method at an address such as `/api/v1/stores/{store_id}`; `replies` are schemas by media type.

    `refusals` are the statuses beyond those that every such route has (see `statuses`), `role` is who may ask: without
    one every visitor may read and only an admin may do anything else.
    """

    method: str
    path: str
    answer: Callable[..., Response]
    replies: dict[str, Schema]
    parameters: tuple[Parameter, ...] = ()
    body: Schema | None = None
    refusals: tuple[int, ...] = ()
    role: str = ""
    body_kind: str = JSON

    @property
    def name(self) -> str:
        """Its name in Flask and in the document."""
        return self.answer.__name__

    @property
    def rule(self) -> str:
        """The address in Flask's form."""
        return self.path.replace("{", "<").replace("}", ">")

    @property
    def statuses(self) -> list[int]:
        """All statuses of its errors: 400 for what it does not take, 404 for an unknown id, those of the gate, its own."""
        return sorted({400, 401, 403, 500, 503, *self.refusals} | ({404} if "{" in self.path else set()))


def whole(name: str, words: str, default: int | None, least: int, most: int, remedy: str = "") -> Parameter:
    """A whole number from `least` to `most`; None where it is not given and has no default."""

    def read(text: str) -> int:
        if not is_whole(text):
            raise BadInput(f"'{name}' must be a whole number from 0: found '{text[:40]}'.")
        if not least <= int(text) <= most:
            raise BadInput(f"'{name}' may be {least:,} to {most:,}: found {int(text):,}{remedy}.")
        return int(text)

    schema: Schema = {"type": "integer", "minimum": least, "maximum": most}
    return Parameter(name, words, schema if default is None else {**schema, "default": default}, read)


def limit(default: int, most: int) -> Parameter:
    """How many rows one answer holds at most."""
    return whole("limit", "Rows of one answer.", default, 1, most, "; read the rest with 'offset'")


OFFSET = whole("offset", "Rows to pass over.", 0, 0, 10**10 - 1)


def share(name: str, words: str) -> Parameter:
    """A number above 0 and up to 1; None where it is not given."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value <= 1:
            raise BadInput(f"'{name}' must be a number above 0 and up to 1: found '{text[:40]}'.")
        return value

    return Parameter(name, words, {"type": "number", "exclusiveMinimum": 0, "maximum": 1}, read)


def words(name: str, told: str, most: int) -> Parameter:
    """A text of at most so many characters; None where it is not given."""

    def read(text: str) -> str:
        check_text(f"'{name}'", text, most)
        return text

    return Parameter(name, told, {"type": "string", "maxLength": most}, read)


def choice(name: str, told: str, known: Sequence[str], default: str | None = None) -> Parameter:
    """One of the known words."""

    def read(text: str) -> str:
        if text not in known:
            raise BadInput(f"'{name}' may be {', '.join(known)}: found '{text[:40]}'.")
        return text

    schema: Schema = {"type": "string", "enum": list(known)}
    return Parameter(name, told, schema if default is None else {**schema, "default": default}, read)


def yes_or_no(name: str, told: str, default: bool = False) -> Parameter:
    """A switch: true or false."""

    def read(text: str) -> bool:
        if text not in ("true", "false"):
            raise BadInput(f"'{name}' may be true or false: found '{text[:40]}'.")
        return text == "true"

    return Parameter(name, told, {"type": "boolean", "default": default}, read)


def refuse_unknown_parameters(route: Route) -> None:
    """Raise BadInput for a query parameter that the route does not take: a misspelt one is never passed over."""
    known = [parameter.name for parameter in route.parameters]
    unknown = sorted(set(request.args) - set(known))
    if unknown:
        there = f"it takes {', '.join(known)}" if known else "it takes none"
        raise BadInput(f"This address has no parameter '{unknown[0][:40]}': {there}.")
