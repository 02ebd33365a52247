"""A step's config dataclass is its command line: one option per field, the string under the field is its help."""

import argparse
import ast
import dataclasses
import inspect
import textwrap
import types
import typing
from typing import Any


def field_documents(config: type) -> dict[str, str]:
    """The string literal under each field of a dataclass and of the dataclasses that it extends."""
    found: dict[str, str] = {}
    for part in filter(dataclasses.is_dataclass, reversed(config.__mro__)):
        found |= _own_documents(part)
    return found


def _own_documents(config: type) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(config))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    for field, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            value = after.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[field.target.id] = " ".join(value.value.split())
    return found


def add_options(parser: argparse.ArgumentParser, config: type) -> None:
    """Add `--field-name` for every field that a command line can give; fields without default are required."""
    documents, hints = field_documents(config), typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        kind, many = _plain_type(hints[field.name])
        if kind is None:
            continue
        is_required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        options: dict[str, Any] = {"required": is_required, "default": argparse.SUPPRESS}
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options.update(type=kind, metavar=field.name.upper(), **({"nargs": "+"} if many else {}))
        default = "" if is_required or field.default in (dataclasses.MISSING, None) else f" (default: {field.default})"
        text = (documents.get(field.name, "") + default).replace("%", "%%")
        parser.add_argument("--" + field.name.replace("_", "-"), help=text, **options)


def make_config(config: type, parsed: argparse.Namespace) -> Any:
    """Build the dataclass from parsed options; what was not given keeps its default."""
    given = {
        field.name: getattr(parsed, field.name) for field in dataclasses.fields(config) if hasattr(parsed, field.name)
    }
    return config(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})


def _plain_type(hint: Any) -> tuple[type | None, bool]:
    """The type a string converts to, and whether there are several; (None, False) for what only code can pass."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        return _plain_type(parts[0]) if len(parts) == 1 else (None, False)
    if typing.get_origin(hint) is tuple:
        return _plain_type(typing.get_args(hint)[0])[0], True
    if typing.get_origin(hint) is typing.Literal:
        return type(typing.get_args(hint)[0]), False
    return (hint, False) if hint in (int, float, str, bool) else (None, False)
