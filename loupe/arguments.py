"""A step's config dataclass is its command line: one option per field, the string under the field is its help.

Settings come from four places; the later wins: the field's default, `--preset`, the file of `--config`, the option itself.
"""

import argparse
import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loaders.errors import BadInput
from precompute.config_file import field_types, read_config

Presets = Mapping[str, Mapping[str, Any]]


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


def add_options(parser: argparse.ArgumentParser, config: type, presets: Presets | None = None) -> None:
    """Add `--config FILE`, `--preset NAME` where there are presets, and `--field-name` for every field that a command line
    can give."""
    documents, known = field_documents(config), field_types(config)
    file_help = "TOML file of settings by name, e.g. steps = 800; options override it"
    parser.add_argument("--config", metavar="FILE", dest="config_file", help=file_help)
    if presets:
        text = f"settings by name, which --config and options override: {', '.join(presets)}"
        parser.add_argument("--preset", choices=list(presets), dest="preset_name", help=text)
    for field in dataclasses.fields(config):
        if field.name not in known:
            continue
        kind, many, _, choices = known[field.name]
        options: dict[str, Any] = {"default": argparse.SUPPRESS}
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options.update(type=kind, metavar=field.name.upper(), **({"nargs": "+"} if many else {}))
            options.update({"choices": choices} if choices else {})
        default = f" (default: {field.default})"
        if _is_required(field):
            default = " (required, here or in --config)"
        elif field.default in (dataclasses.MISSING, None):
            default = ""
        text = (documents.get(field.name, "") + default).replace("%", "%%")
        parser.add_argument("--" + field.name.replace("_", "-"), help=text, **options)


def make_config(config: type, parsed: argparse.Namespace, presets: Presets | None = None) -> Any:
    """Build the dataclass from the parsed options, the file of `--config` and the preset; what none gives keeps its default.

    Raises BadInput for a file that cannot be used and where a required setting is given nowhere.
    """
    fields = dataclasses.fields(config)
    given: dict[str, Any] = dict((presets or {}).get(getattr(parsed, "preset_name", None) or "", {}))
    if getattr(parsed, "config_file", None):
        given |= read_config(Path(parsed.config_file).expanduser(), config, parsed.verb)
    given |= {field.name: getattr(parsed, field.name) for field in fields if hasattr(parsed, field.name)}
    missing = [
        "--" + field.name.replace("_", "-") for field in fields if _is_required(field) and field.name not in given
    ]
    if missing:
        raise BadInput(f"`loupe {parsed.verb}` needs {', '.join(missing)}: give them as options or in a --config file.")
    return config(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
