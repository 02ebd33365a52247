"""What the Labels page is asked for, read and refused: addresses, uploads, and differences in words."""

import base64

import pytest

from catalog.dictionary.differences import compare
from catalog.dictionary.importing import Importer
from catalog.dictionary.reading import read_dictionary
from dashboard import urls
from dashboard.label_importing import MOST_BYTES
from dashboard.labels_files import MOST_SHOWN, plan, read_upload
from dashboard.labels_view import View
from loaders.errors import BadInput

IMPORTER = Importer("sae", "f00d", "l.csv (csv)", None, "ada")


def upload(data: bytes) -> str:
    return "data:text/csv;base64," + base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "view",
    [
        View(),
        View(tab="queue"),
        View(q="a & b", category="=x", author="Ada L.", origin="imported"),
        View("lists", list="3"),
    ],
)
def test_an_address_brings_its_view_back(view: View) -> None:
    href = urls.labels("s@d", **view.query())
    assert View.read(urls.read_query(href.partition("?")[2])) == view


def test_an_unknown_tab_is_the_first_one_and_other_words_are_passed_over() -> None:
    assert View.read({"tab": "secrets", "present": "talk:1", "q": "oak"}) == View(q="oak")


def test_an_upload_is_read_as_it_was_sent() -> None:
    assert read_upload(upload(b"\x00feature,name\n")) == b"\x00feature,name\n"


@pytest.mark.parametrize("contents", ["data:text/csv;base64,!!!", "data:text/csv;base64,QQ"])
def test_an_upload_that_arrives_incomplete_is_refused(contents: str) -> None:
    with pytest.raises(BadInput, match="arrived incomplete"):
        read_upload(contents)


def test_an_upload_that_is_too_large_names_the_command_that_reads_it() -> None:
    with pytest.raises(BadInput, match="loupe labels import"):
        read_upload(upload(b"x" * (MOST_BYTES + 1)))


def test_a_long_plan_says_how_many_of_its_changes_are_shown() -> None:
    rows = "".join(f"{feature},name {feature}\n" for feature in range(MOST_SHOWN + 5))
    found = compare(read_dictionary(f"feature,name\n{rows}".encode(), "l.csv", 1_000), {})
    shown = str(plan(found, IMPORTER))
    assert f"{MOST_SHOWN + 5:,} new, 0 changed, 0 in conflict, 0 unchanged. The first {MOST_SHOWN} are shown." in shown
    assert shown.count("Tr(") == MOST_SHOWN + 1
    assert f"name {MOST_SHOWN}'" not in shown


def test_a_file_that_changes_nothing_offers_nothing_to_save() -> None:
    found = compare(read_dictionary(b"feature,name\n", "l.csv", 1_000), {})
    shown = str(plan(found, IMPORTER))
    assert "This file changes nothing" in shown
    assert "files-apply" not in shown
