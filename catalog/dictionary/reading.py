"""Reads a dictionary file of any format, recognised by its content, or refuses it with every problem that it has."""

from collections.abc import Callable
from typing import Any, NamedTuple

from catalog.dictionary import csv_rows, mi_crow, neuronpedia, splatnlp
from catalog.dictionary.decoding import decode
from catalog.dictionary.documents import is_document, read_document
from catalog.dictionary.entry import Dictionary
from catalog.dictionary.json_nodes import parse_json
from catalog.dictionary.node import Node
from catalog.dictionary.problems import Problems, Unreadable
from catalog.dictionary.yaml_nodes import parse_yaml
from loaders.errors import BadInput

Reader = Callable[[str, int, Problems], Dictionary]
CSV_FORMATS: dict[str, tuple[tuple[str, ...], Reader]] = {  # name: (columns that tell it, reader)
    "mi-crow-csv": (mi_crow.COLUMNS[:2], mi_crow.read_concepts_csv),
    "splatnlp-csv": (splatnlp.CSV_COLUMNS[:2], splatnlp.read_labels_csv),
    "csv": (csv_rows.NEEDED, csv_rows.read_csv),
}


class Format(NamedTuple):
    """A format that can be named: what it is in words, and its reader."""

    words: str
    read: Reader


FORMATS: dict[str, Format] = {
    "json": Format(
        "Loupe's dictionary as JSON",
        lambda text, features, problems: read_document(parse_json(text), "json", features, problems),
    ),
    "yaml": Format(
        "Loupe's dictionary as YAML",
        lambda text, features, problems: read_document(parse_yaml(text), "yaml", features, problems),
    ),
    "csv": Format("Loupe's dictionary as CSV", csv_rows.read_csv),
    "neuronpedia": Format("Neuronpedia's explanations", lambda text, *rest: _read_explanations(text, *rest)),
    "mi-crow": Format("mi-crow's concepts.json", lambda text, *rest: mi_crow.read_concepts(parse_json(text), *rest)),
    "mi-crow-csv": Format("mi-crow's concepts as CSV", mi_crow.read_concepts_csv),
    "splatnlp": Format("SplatNLP's labels", lambda text, *rest: splatnlp.read_labels(parse_json(text), *rest)),
    "splatnlp-csv": Format("SplatNLP's consolidated labels as CSV", splatnlp.read_labels_csv),
}


def read_dictionary(
    data: bytes, file: str, features: int, fingerprint: str | None = None, kind: str | None = None
) -> Dictionary:
    """The dictionary in `data` for an SAE of `features` features; `file` is its name in messages.

    `kind` forces a format. Raises FileRefused, with all problems, and BadInput for an unknown format. Where `fingerprint`
    is given, a file that says that its labels are of another SAE is refused.
    """
    if kind is not None and kind not in FORMATS:
        raise BadInput(f"The format '{kind[:40]}' is unknown: choose one of {', '.join(FORMATS)}.")
    problems = Problems(file)
    found = None
    try:
        text = decode(data)
        found = FORMATS[kind].read(text, features, problems) if kind else _recognise(text)(features, problems)
    except Unreadable as error:
        problems.add(error.line, str(error))
    if found is not None:
        _check_source(found, features, fingerprint, problems)
    problems.require_none()
    assert found is not None
    return found


def _check_source(found: Dictionary, features: int, fingerprint: str | None, problems: Problems) -> None:
    stated = found.source
    if fingerprint and stated.fingerprint and stated.fingerprint != fingerprint:
        problems.add(
            0,
            f"its labels are of SAE '{stated.sae_id or 'unknown'}' with fingerprint {stated.fingerprint[:12]}, this one has"
            f" {fingerprint[:12]}: name the right SAE, or carry labels over with `loupe labels carry`",
        )
    elif stated.features is not None and stated.features != features:
        problems.add(
            0, f"it is of an SAE with {stated.features:,} features, this one has {features:,}: name the right one"
        )


def _recognise(text: str) -> Callable[[int, Problems], Dictionary]:
    """The reader of the file; raises Unreadable where it is none of the formats."""
    if not text.strip():
        raise Unreadable(0, "is empty")
    if text.lstrip()[:1] in ("{", "["):
        return _recognise_json(text)
    header = csv_rows.header_of(text)
    for columns, read in CSV_FORMATS.values():
        if set(columns) <= set(header):
            return lambda features, problems: read(text, features, problems)
    if text.lstrip().startswith(("loupe:", "---", "#", "%")) or "\nloupe:" in text:
        root = parse_yaml(text)
        if is_document(root):
            return lambda features, problems: read_document(root, "yaml", features, problems)
    raise Unreadable(
        1, f"is none of the known formats ({', '.join(FORMATS)}): see docs/labels.md, or name one with --format"
    )


def _recognise_json(text: str) -> Callable[[int, Problems], Dictionary]:
    first = text.lstrip().split("\n", 1)[0]
    try:
        is_row = '"description"' in first and neuronpedia.is_explanation(parse_json(first))
    except Unreadable:
        is_row = False
    if is_row:
        return lambda features, problems: neuronpedia.read_lines(text, features, problems)
    root = parse_json(text)
    choices: tuple[tuple[Callable[[Node], bool], Callable[..., Dictionary]], ...] = (
        (is_document, lambda features, problems: read_document(root, "json", features, problems)),
        (_is_list_of_rows, lambda features, problems: _read_list(root, features, problems)),
        (neuronpedia.is_explanation, lambda features, problems: neuronpedia.read_rows([root], features, problems)),
        (mi_crow.is_concepts, lambda features, problems: mi_crow.read_concepts(root, features, problems)),
        (splatnlp.is_labels, lambda features, problems: splatnlp.read_labels(root, features, problems)),
    )
    for fits, read in choices:
        if fits(root):
            return read
    raise Unreadable(
        root.line,
        f"is JSON, but none of the known formats ({', '.join(FORMATS)}): see docs/labels.md, or name one with --format",
    )


def _is_list_of_rows(root: Node) -> bool:
    return root.kind == "list" and any(neuronpedia.is_explanation(each) for each in root.value)


def _read_list(root: Node, features: int, problems: Problems) -> Dictionary:
    return neuronpedia.read_rows(root.value, features, problems)


def _read_explanations(text: str, features: int, problems: Problems) -> Any:
    if text.lstrip().startswith("["):
        root = parse_json(text)
        return _read_list(root, features, problems)
    return neuronpedia.read_lines(text, features, problems)
