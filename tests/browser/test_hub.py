"""The hub on Home in a browser: seen in both themes, copied from, and waited for by nobody."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from loaders.hub_place import FolderPlace
from loaders.workspace import Workspace
from precompute.hub_push import Request, push
from precompute.progress import Progress


@pytest.fixture
def hub(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub with an SAE that is here and one of its id that is another."""
    root = tmp_path / "hub"
    push(Request("saes/tiny-l0", "first", "1.0.0", "MIT"), workspace, FolderPlace(root), Progress())
    other = Workspace(tmp_path / "other")
    other.sae_dir("tiny-l2").parent.mkdir(parents=True)
    other.sae_dir("tiny-l2").symlink_to(workspace.sae_dir("tiny-l1"))
    push(Request("saes/tiny-l2", "third", "1.0.0", "MIT"), other, FolderPlace(root), Progress())
    monkeypatch.setenv("LOUPE_HUB", str(root))
    return root


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_home_lists_the_hub_and_the_command_is_copied(page: Page, hub: Path, workspace: Workspace, theme: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.emulate_media(color_scheme=theme)
    page.goto("/")
    rows = page.locator(".hub-offers tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="first")).to_contain_text("in this workspace")
    row = rows.filter(has_text="third")
    expect(row).to_contain_text("not here")
    row.get_by_role("button", name="Copy the command that pulls third").click()
    expect(row.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"loupe hub pull third@1.0.0 --hub {hub} --workspace {workspace.root}"
    expect(row.get_by_role("button", name="Copy the command that pulls third")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_without_a_clipboard_the_whole_command_is_selected(page: Page, hub: Path) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.goto("/")
    page.locator(".hub-copy").click()
    assert page.evaluate("getSelection().toString()").startswith("loupe hub pull third@1.0.0 --hub ")


def test_home_is_whole_where_the_hub_is_not(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOUPE_HUB", str(tmp_path / "gone"))
    page.goto("/")
    expect(page.locator(".home-saes")).to_be_visible()
    expect(page.locator("#home-hub")).to_contain_text("The hub cannot be read")


def test_without_a_hub_home_has_no_panel_for_it(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOUPE_HUB", raising=False)
    page.goto("/")
    expect(page.locator(".home-saes")).to_be_visible()
    expect(page.locator("#home-hub")).to_be_hidden()
