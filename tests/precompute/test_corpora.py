import csv
import json
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.errors import BadInput
from precompute.corpora.docs import COLUMNS, docstrings, documentation, file_docstrings, is_prose, tidy
from precompute.corpora.documents import Document
from precompute.corpora.files import read_files, read_list

PROSE = (
    "Return the number of sheep that jumped over the fence during the night, counted by the shepherd and not by the"
    " dog. Sheep that jump twice are counted twice. When the fence is open, no sheep needs to jump and the number that"
    " is returned is zero.\n\nThe shepherd must be awake."
)


def documents(path: Path, seed: int | None = None) -> list[Document]:
    return list(read_files(path, seed).strata[""])


def write_package(folder: Path, files: dict[str, str]) -> Path:
    for name, source in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source)
    return folder


def test_docstrings_of_modules_classes_and_functions_are_found(tmp_path: Path):
    source = f'''"""{PROSE}"""
class Sheep:
    """A sheep."""
    async def jump(self):
        """Jump."""
        def inner():
            """Inside."""
def count():
    """Count."""
'''
    (tmp_path / "farm.py").write_text(source)
    found = {(kind, name): text for kind, name, text in file_docstrings(tmp_path / "farm.py")}
    assert found == {
        ("module", ""): PROSE,
        ("class", "Sheep"): "A sheep.",
        ("function", "Sheep.jump"): "Jump.",
        ("function", "Sheep.jump.inner"): "Inside.",
        ("function", "count"): "Count.",
    }


def test_a_file_that_does_not_parse_has_no_docstrings(tmp_path: Path):
    (tmp_path / "broken.py").write_text('"""text"""\ndef (')
    (tmp_path / "binary.py").write_bytes(b'"""\xff\xfe\x00"""')
    assert list(file_docstrings(tmp_path / "broken.py")) == []
    assert list(file_docstrings(tmp_path / "binary.py")) == []


def test_documents_carry_package_kind_module_and_name(tmp_path: Path):
    folder = write_package(tmp_path, {"fields/__init__.py": f'def count():\n    """{PROSE}"""'})
    assert list(docstrings(folder, "farm", seed=0)) == [
        Document(
            "farm:farm.fields:count",
            PROSE,
            {"package": "farm", "kind": "function", "module": "farm.fields", "name": "count"},
        )
    ]


def test_tests_short_texts_and_tables_are_left_out(tmp_path: Path):
    table = "\\n".join("| 1.00 | 2.00 | 3.00 | 4.00 |" for _ in range(20))
    files = {
        "tests/test_count.py": f'"""{PROSE}"""',
        "short.py": '"""Count sheep."""',
        "table.py": f'"""{table}"""',
        "good.py": f'"""{PROSE}"""',
    }
    assert [document.id for document in docstrings(write_package(tmp_path, files), "farm", 0)] == ["farm:farm.good:"]


def test_one_file_gives_at_most_ten_documents(tmp_path: Path):
    functions = "\n".join(f'def f{i}():\n    """Number {i}. {PROSE}"""' for i in range(30))
    assert len(list(docstrings(write_package(tmp_path, {"many.py": functions}), "farm", 0))) == 10


def test_the_seed_orders_the_files(tmp_path: Path):
    folder = write_package(tmp_path, {f"m{i}.py": f'"""{PROSE}"""' for i in range(12)})
    first, again, other = ([document.id for document in docstrings(folder, "farm", seed)] for seed in (1, 1, 2))
    assert first == again
    assert first != other and sorted(first) == sorted(other)


def test_the_documentation_covers_the_language_and_the_libraries_that_are_installed():
    corpus = documentation(seed=0)
    assert {"python", "python-language", "numpy", "torch", "transformers"} <= set(corpus.strata)
    assert "numpy 2." in corpus.source and "Python 3." in corpus.source
    for package, stream in corpus.strata.items():
        for document in islice(stream, 2):
            assert tuple(document.metadata) == COLUMNS == corpus.columns
            assert document.metadata["package"] == package
            assert is_prose(document.text) and document.text == tidy(document.text)


def test_texts_are_tidied_without_losing_their_lines():
    assert tidy("\r\n one  \r\n\r\n\r\n\r\n  two\x07 x \n\ty\n") == "one\n\n  two x\n    y"


def test_a_text_file_holds_a_document_per_block(tmp_path: Path):
    path = tmp_path / "texts.txt"
    path.write_text("one\n  two\n\n \n\nthree\n")
    assert documents(path) == [
        Document("texts.txt:1", "one\n  two", {}),
        Document("texts.txt:6", "three", {}),
    ]


def test_json_lines_keep_their_other_keys_as_metadata(tmp_path: Path):
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "one", "author": "Ada", "year": 1843}\n\n{"text": "two", "author": null}\n')
    corpus = read_files(path)
    assert corpus.columns == ("author", "year")
    assert list(corpus.strata[""]) == [
        Document("texts.jsonl:1", "one", {"author": "Ada", "year": 1843}),
        Document("texts.jsonl:3", "two", {"author": None}),
    ]


def test_a_csv_field_may_hold_commas_and_line_breaks(tmp_path: Path):
    path = tmp_path / "texts.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([["author", "text"], ["Ada", "one,\ntwo"], ["Bob", " "], ["Cy", "three"]])
    corpus = read_files(path)
    assert corpus.columns == ("author",)
    assert [(document.text, document.metadata) for document in corpus.strata[""]] == [
        ("one,\ntwo", {"author": "Ada"}),
        ("three", {"author": "Cy"}),
    ]


def test_parquet_rows_are_documents(tmp_path: Path):
    path = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"text": ["one", None, "three"], "year": [1, 2, 3]}), path)
    assert documents(path) == [
        Document("texts.parquet:1", "one", {"year": 1}),
        Document("texts.parquet:3", "three", {"year": 3}),
    ]


def test_a_folder_is_read_file_by_file_and_names_them(tmp_path: Path):
    (tmp_path / "b.txt").write_text("bee")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.jsonl").write_text('{"text": "ay", "kind": "letter"}')
    (tmp_path / "notes.md").write_text("not read")
    corpus = read_files(tmp_path)
    assert corpus.columns == ("file", "kind")
    assert [(document.text, document.metadata) for document in corpus.strata[""]] == [
        ("ay", {"file": "a/a.jsonl", "kind": "letter"}),
        ("bee", {"file": "b.txt"}),
    ]


def test_a_seed_draws_the_order_of_documents(tmp_path: Path):
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(f"text {number}" for number in range(20)))
    assert documents(path, seed=1) == documents(path, seed=1) != documents(path)
    assert sorted(documents(path, seed=1)) == sorted(documents(path))


def test_a_list_of_strings_is_a_corpus():
    assert [document.text for document in read_list(["one", "two"]).strata[""]] == ["one", "two"]


@pytest.mark.parametrize("line", ["{not json", json.dumps(["a list"]), json.dumps({"body": "x"}), '{"text": 3}'])
def test_a_malformed_json_line_is_named_by_its_number(tmp_path: Path, line: str):
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "fine"}\n\n' + line + "\n")
    with pytest.raises(BadInput, match=r"^Line 3 of '.*texts\.jsonl'"):
        documents(path)


def test_a_csv_line_with_too_many_fields_is_named_by_its_number(tmp_path: Path):
    path = tmp_path / "texts.csv"
    path.write_text("author,text\nAda,one\nBob,two,three\n")
    with pytest.raises(BadInput, match=r"Line 3 of .* does not have 2 fields"):
        documents(path)


@pytest.mark.parametrize("name", ["texts.csv", "texts.parquet"])
def test_a_table_without_a_text_column_lists_the_columns_it_has(tmp_path: Path, name: str):
    path = tmp_path / name
    if name.endswith("csv"):
        path.write_text("author,body\nAda,one\n")
    else:
        pq.write_table(pa.table({"author": ["Ada"], "body": ["one"]}), path)
    with pytest.raises(BadInput, match="no column 'text', only: author, body"):
        documents(path)


def test_files_that_cannot_be_read_are_one_sentence(tmp_path: Path):
    (tmp_path / "latin.txt").write_bytes("Größe".encode("latin-1"))
    (tmp_path / "fake.parquet").write_text("no parquet")
    (tmp_path / "picture.png").write_bytes(b"x")
    with pytest.raises(BadInput, match="is not UTF-8 text"):
        documents(tmp_path / "latin.txt")
    with pytest.raises(BadInput, match="is not a Parquet file"):
        documents(tmp_path / "fake.parquet")
    with pytest.raises(BadInput, match=r"wanted one of \.txt, \.jsonl, \.csv, \.parquet"):
        read_files(tmp_path / "picture.png")
    with pytest.raises(BadInput, match="no file or folder"):
        read_files(tmp_path / "missing.txt")
