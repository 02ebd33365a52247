"""Home's panel of a hub: what it has beside what is here; a hub that is slow, away or damaged delays and breaks nothing."""

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from plotly.utils import PlotlyJSONEncoder

from dashboard import hub_listing, hub_panel
from dashboard.components.hub import size_in_words
from dashboard.hub_listing import HubListing
from loaders.hub_place import FolderPlace
from loaders.hub_schema import DOCUMENT
from loaders.workspace import Workspace
from precompute.hub_push import Request, push
from precompute.progress import Progress


@pytest.fixture(autouse=True)
def own_listings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered from other tests, and everybody has time to answer."""
    monkeypatch.setattr(hub_listing, "_listings", {})
    monkeypatch.setattr(hub_listing, "FIRST_WAIT_S", 60.0)


@pytest.fixture
def hub(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub with an SAE, a set and a dataset."""
    root = tmp_path / "shared" / "hub"
    for source, name in (("saes/tiny-l0", "first"), ("layers/tiny", "whole"), ("datasets/texts", "texts")):
        push(Request(source, name, "1.0.0", "MIT", tags=("small",)), workspace, FolderPlace(root), Progress())
    monkeypatch.setenv("LOUPE_HUB", str(root))
    return root


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that accepts and never answers; when it goes, whoever waits is told."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, "us-east-1")
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        yield "s3://bucket/hub"


def shown(workspace: Workspace) -> tuple[str, bool]:
    panel, is_waiting = hub_panel.show_hub(workspace)
    return json.dumps(panel, cls=PlotlyJSONEncoder, ensure_ascii=False), is_waiting


def rows(workspace: Workspace) -> dict[str, Any]:
    """Offers by name."""
    found: dict[str, Any] = {}
    original = hub_panel.hub_panel

    def keep(offers: Any, *more: Any) -> Any:
        found.update({offer.name: offer for offer in offers})
        return original(offers, *more)

    hub_panel.hub_panel = keep
    try:
        hub_panel.show_hub(workspace)
    finally:
        hub_panel.hub_panel = original
    return found


def test_without_a_hub_there_is_no_panel(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOUPE_HUB", raising=False)
    assert hub_panel.show_hub(workspace) == (None, False)


def test_a_folder_hub_in_the_workspace_is_found_by_itself(hub: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("LOUPE_HUB")
    shutil.copytree(hub, tmp_path / "mine" / "hub")
    assert "3 artifacts in mine/hub" in shown(Workspace(tmp_path / "mine"))[0]


def test_every_artifact_is_told_by_its_state_and_the_command_that_brings_it(
    hub: Path, workspace: Workspace, tmp_path: Path
) -> None:
    assert {offer.state for offer in rows(workspace).values()} == {"here"}
    mine = Workspace(tmp_path / "my workspace")
    shutil.copytree(workspace.dataset_dir("texts"), mine.dataset_dir("texts"))
    shutil.copytree(workspace.sae_dir("tiny-l1"), mine.sae_dir("tiny-l0"))
    found = rows(mine)
    assert {name: offer.state for name, offer in found.items()} == {
        "first": "another", "whole": "another", "texts": "here"
    }  # fmt: skip
    shutil.rmtree(mine.sae_dir("tiny-l0"))
    assert {name: offer.state for name, offer in rows(mine).items()} == {
        "first": "absent", "whole": "partly", "texts": "here"
    }  # fmt: skip
    assert found["first"].command == f"loupe hub pull first@1.0.0 --hub {hub} --workspace '{mine.root}'"
    text, is_waiting = shown(mine)
    assert "3 artifacts in shared/hub" in text and not is_waiting
    assert text.count("data-copy") == 2  # not for what is here already


def test_many_artifacts_cost_few_components(hub: Path, workspace: Workspace, monkeypatch) -> None:
    monkeypatch.setattr(hub_panel, "MOST_OFFERS", 2)
    text, _ = shown(workspace)
    assert "the 2 newest of 3 artifacts" in text and text.count('"Tr"') == 3
    assert text.count('"type"') < 50


def test_a_damaged_artifact_is_named_beside_the_others(hub: Path, workspace: Workspace) -> None:
    (hub / "first" / "1.0.0" / DOCUMENT).write_text("{")
    text, _ = shown(workspace)
    assert "1 artifact passed over" in text and "first/1.0.0/artifact.json" in text and "2 artifacts in" in text


def test_an_empty_hub_says_how_to_begin(tmp_path: Path, workspace: Workspace, monkeypatch) -> None:
    monkeypatch.setenv("LOUPE_HUB", str(tmp_path))
    text, is_waiting = shown(workspace)
    assert "The hub is empty" in text and "loupe hub push saes/ID" in text and not is_waiting


def test_a_hub_that_is_not_there_says_so(tmp_path: Path, workspace: Workspace, monkeypatch) -> None:
    monkeypatch.setenv("LOUPE_HUB", str(tmp_path / "gone"))
    text, is_waiting = shown(workspace)
    assert "The hub cannot be read" in text and "There is no hub at" in text and not is_waiting


def test_a_hub_that_never_answers_is_not_waited_for(silent: str, workspace: Workspace, monkeypatch) -> None:
    monkeypatch.setattr(hub_listing, "FIRST_WAIT_S", 0.01)
    monkeypatch.setenv("LOUPE_HUB", silent)
    before = threading.active_count()
    for _ in range(20):
        text, is_waiting = shown(workspace)  # would never end if it waited
        assert is_waiting and "skeleton" in text and silent in text
    assert sum(thread.name == "hub" for thread in threading.enumerate()) == 1  # one try at a time
    assert threading.active_count() <= before + 2  # that, and the object store's own loop


def test_after_a_while_the_waiting_has_words(silent: str, workspace: Workspace, monkeypatch) -> None:
    listing = HubListing(silent)
    listing._began = 0.0  # long ago
    monkeypatch.setattr(hub_listing, "_listings", {silent: listing})
    monkeypatch.setenv("LOUPE_HUB", silent)
    text, is_waiting = shown(workspace)
    assert "The hub is slow" in text and "This page does not wait" in text and is_waiting


def test_a_hub_that_goes_away_keeps_its_last_list_and_says_how_old_it_is(
    hub: Path, workspace: Workspace, monkeypatch
) -> None:
    assert "3 artifacts" in shown(workspace)[0]
    hub.rename(hub.with_name("moved"))
    assert "3 artifacts" in shown(workspace)[0]  # believed for a while
    monkeypatch.setattr(hub_listing, "FRESH_S", 0.0)
    listing = hub_listing.listing_of(str(hub))
    listing.snapshot()
    listing._answered.wait(60)
    monkeypatch.setattr(hub_listing, "FRESH_S", 60.0)
    text, _ = shown(workspace)
    assert "3 artifacts" in text and "This list is 0 min old: There is no hub at" in text


def test_a_password_in_the_address_never_reaches_the_page(workspace: Workspace, monkeypatch) -> None:
    monkeypatch.setenv("LOUPE_HUB", "nonsense://me:secret@host/hub")
    assert "secret" not in shown(workspace)[0]


@pytest.mark.parametrize(("size", "words"), [(0, "0 B"), (999, "999 B"), (68_713_590, "65.5 MiB"), (2**31, "2.00 GiB")])
def test_sizes_are_read_by_people(size: int, words: str) -> None:
    assert size_in_words(size) == words
