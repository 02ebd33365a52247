"""The Explorer while the pipeline is at work: what is missing is said, and fills in when it lands."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from catalog.catalog import Catalog
from catalog.jobs import put_job
from dashboard import urls
from loaders.workspace import Workspace


@pytest.fixture
def young_store(workspace: Workspace, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """The store as it is before tokens, histograms and map are there, while a job runs; call it to let them land."""
    directory, catalog = workspace.store_dir("tiny-l0@texts"), Catalog(workspace.catalog_url)
    whole = (directory / "manifest.json").read_text()
    manifest = json.loads(whole)
    late = [name for name in manifest["files"] if re.match(r"tables/(tokens|histograms|map)\.", name)]
    for name in late:
        del manifest["files"][name]
        shutil.move(directory / name, tmp_path / Path(name).name)
    manifest["generation"] -= 1
    (directory / "manifest.json").write_text(json.dumps(manifest))
    put_job(catalog, "tables-a", "Compute the tables", 990, "running", 1, 3, "tables")

    def land() -> None:
        for name in late:
            if (tmp_path / Path(name).name).exists():
                shutil.move(tmp_path / Path(name).name, directory / name)
        (directory / "manifest.json").write_text(whole)

    yield land
    land()
    put_job(catalog, "tables-a", "Compute the tables", 990, "done", 3, 3, "tables")
    catalog.close()


def test_tables_that_land_later_fill_in_without_a_reload(page: Page, young_store: Callable[[], None]) -> None:
    page.goto(urls.explorer("tiny-l0@texts"))
    missing = page.locator("#explorer-missing")
    expect(missing).to_have_text("still being computed: top tokens, distributions, the map")
    expect(page.locator('#explorer-grid .ag-row[row-index="0"] [col-id="tokens"]')).to_have_text("being computed")
    expect(page.locator("#explorer-map")).to_contain_text("still being computed")
    young_store()
    expect(missing).to_be_empty()
    expect(page.locator("#explorer-map .points path").first).to_be_visible()
    expect(page.locator("#explorer-grid .chip").first).to_be_visible()
    expect(page.locator("#explorer-grid .sparkline").first).to_be_visible()
