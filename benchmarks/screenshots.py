"""The README's pictures: Explorer and Feature page of the demo workspace, in both themes."""

import argparse
from pathlib import Path

from benchmarks.browser import Watch, chromium, served
from loaders.workspace import Workspace

IMAGES = Path(__file__).parent.parent / "docs" / "images"


def pages(workspace: Workspace) -> dict[str, str]:
    """Path of each picture's page."""
    sets = workspace.sets()
    store = (sets.get("minilm") or workspace.store_ids())[0]
    opened = workspace.open_store(store)
    stats = opened.stats()
    living = stats[(stats["density"] > 0.001) & (stats["density"] < 0.02)]
    feature = int(living.sort_values("max", ascending=False)["feature_id"].iloc[0])
    found = {
        "home": "/",
        "explorer": f"/explorer/{store}",
        "feature": f"/feature/{store}/{feature}",
        "training": "/training",
    }
    return {**found, **{f"layers-{name}": f"/layers/{name}" for name, members in sets.items() if len(members) > 1}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", default="workspace")
    parser.add_argument("--out", default=str(IMAGES), help="directory of the pictures")
    parser.add_argument("--only", nargs="+", default=["explorer", "feature"], help="pages to take, or 'all'")
    parsed = parser.parse_args()
    out = Path(parsed.out)
    out.mkdir(parents=True, exist_ok=True)
    with served(parsed.workspace) as (address, _), chromium() as browser:
        for name, path in pages(Workspace(parsed.workspace)).items():
            if parsed.only != ["all"] and name not in parsed.only:
                continue
            for theme in ("light", "dark"):
                page = browser.new_page(viewport={"width": 1400, "height": 1000}, color_scheme=theme)
                watch = Watch(page)
                page.goto(address + path)
                watch.settle()
                page.wait_for_timeout(500)
                page.screenshot(path=out / f"{name}-{theme}.png")
                page.close()
                print(f"{out / f'{name}-{theme}.png'} {watch.console or ''}")


if __name__ == "__main__":
    main()
