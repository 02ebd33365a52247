"""Texts of one's own: .txt, .jsonl, .csv and .parquet files, or a list of strings."""

import csv
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loaders.errors import BadInput
from precompute.corpora.documents import Corpus, Document

TEXT = "text"
Row = tuple[int, str, dict[str, Any]]  # number, text, metadata


def find_files(path: Path | str) -> list[Path]:
    """The file, or the readable files below the folder; raises BadInput when there is nothing that can be read."""
    root = Path(path)
    if not root.exists():
        raise BadInput(f"There is no file or folder '{path}' to read texts from. Check the path.")
    files = sorted(file for file in root.rglob("*") if file.suffix in READERS) if root.is_dir() else [root]
    if not files or files[0].suffix not in READERS:
        raise BadInput(f"'{path}' holds no text that can be read: wanted one of {', '.join(READERS)}. Convert it.")
    return files


def read_files(path: Path | str, seed: int | None = None) -> Corpus:
    """The documents of one file, or of all readable files below a folder (`file` is then a metadata column).

    A .txt file holds a document per block of lines between blank lines; .jsonl, .csv and .parquet hold a document per
    row, with a column `text` and any other columns as metadata. With a `seed` the documents come in a drawn order, all of
    them held in memory. Raises BadInput for a path, a format or a line that cannot be read; lines are counted from 1.
    """
    root, files = Path(path), find_files(path)
    columns = [column for file in files for column in COLUMNS[file.suffix](file)]
    if len(files) > 1:
        columns.insert(0, "file")
    documents = read_documents(root, files)
    if seed is not None:
        drawn = list(documents)
        random.Random(seed).shuffle(drawn)
        documents = iter(drawn)
    return Corpus({"": documents}, tuple(dict.fromkeys(columns)), f"'{root.name}'")


def read_list(texts: Iterable[str]) -> Corpus:
    """The corpus of a Python list: a document per string, no metadata."""
    documents = (Document(str(number), text, {}) for number, text in enumerate(texts))
    return Corpus({"": documents}, (), "a list of texts")


def read_documents(root: Path, files: list[Path]) -> Iterator[Document]:
    """Every document with text in it; ids are `<file>:<line or row>`."""
    for file in files:
        name = file.relative_to(root).as_posix() if root.is_dir() else file.name
        own = {"file": name} if len(files) > 1 else {}
        try:
            for number, text, metadata in READERS[file.suffix](file):
                if text.strip():
                    yield Document(f"{name}:{number}", text, own | metadata)
        except UnicodeDecodeError as error:
            raise BadInput(
                f"File '{file}' is not UTF-8 text ({error.reason} at byte {error.start}). Convert it."
            ) from error


def read_txt(file: Path) -> Iterator[Row]:
    """A document per block of lines; its number is that of its first line."""
    first, block = 1, list[str]()
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                first = first if block else number
                block.append(line)
            elif block:
                yield first, "".join(block).rstrip(), {}
                block = []
    if block:
        yield first, "".join(block).rstrip(), {}


def read_jsonl(file: Path) -> Iterator[Row]:
    """A JSON object per line; blank lines are skipped."""
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise BadInput(
                    f"Line {number} of '{file}' is not valid JSON: {error.msg}. Correct the line."
                ) from error
            if not isinstance(record, dict) or not isinstance(record.get(TEXT), str):
                raise BadInput(
                    f'Line {number} of \'{file}\' has no text: wanted {{"text": "...", ...}}. Correct the line.'
                )
            yield number, record.pop(TEXT), record


def jsonl_columns(file: Path) -> list[str]:
    """The keys of the first record besides `text`; keys that only later records have are not kept."""
    first = next(read_jsonl(file), None)
    return list(first[2]) if first else []


def read_csv(file: Path) -> Iterator[Row]:
    """A row per document below a header line; numbers are line numbers, the last line of a row that spans several."""
    with open(file, encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        require_text(file, rows.fieldnames or [])
        for row in rows:
            if None in row or None in row.values():
                wanted = len(rows.fieldnames or [])
                raise BadInput(f"Line {rows.line_num} of '{file}' does not have {wanted} fields. Correct the line.")
            yield rows.line_num, row.pop(TEXT), row


def csv_columns(file: Path) -> list[str]:
    with open(file, encoding="utf-8", newline="") as lines:
        return [name for name in csv.DictReader(lines).fieldnames or [] if name != TEXT]


def read_parquet(file: Path) -> Iterator[Row]:
    """A row per document, read a row group at a time; a missing text is an empty one."""
    table = open_parquet(file)
    require_text(file, table.schema_arrow.names)
    number = 0
    for batch in table.iter_batches():
        for row in batch.to_pylist():
            number += 1
            yield number, row.pop(TEXT) or "", row


def parquet_columns(file: Path) -> list[str]:
    return [name for name in open_parquet(file).schema_arrow.names if name != TEXT]


def open_parquet(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise BadInput(f"File '{file}' is not a Parquet file: {error}.") from error


def require_text(file: Path, columns: Iterable[str]) -> None:
    found = list(columns)
    if TEXT not in found:
        raise BadInput(
            f"File '{file}' has no column 'text', only: {', '.join(found) or 'nothing'}. Rename one of them."
        )


READERS = {".txt": read_txt, ".jsonl": read_jsonl, ".csv": read_csv, ".parquet": read_parquet}
COLUMNS = {".txt": lambda file: [], ".jsonl": jsonl_columns, ".csv": csv_columns, ".parquet": parquet_columns}
