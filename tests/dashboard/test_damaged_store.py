"""One damaged store is named where it stands and takes nothing else down; in a process of its own, as apps do not mix."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
ASK = """
import sys
from app import create_server
from loaders.workspace import Workspace
client = create_server(sys.argv[1]).test_client()
for path in ("/", "/training", "/layers", "/explorer/tiny-l1@texts", "/feature/tiny-l1@texts/3", "/feature/tiny-l0@texts/3"):
    print(path, client.get(path).status_code)
stores = client.get("/api/v1/stores").get_json()["items"]
print([("error" in item) for item in sorted(stores, key=lambda item: item["id"])])
print(sorted(Workspace(sys.argv[1]).sets()["tiny"]))
"""


def test_pages_and_interface_outlive_a_damaged_store(workspace, tmp_path):
    for kind in ("stores", "datasets", "saes", "layers"):
        shutil.copytree(workspace.root / kind, tmp_path / kind)
    (tmp_path / "stores/tiny-l0@texts/tables/neighbours.arrow").unlink()
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-800:]
    *pages, errors, members = done.stdout.splitlines()
    assert [page.split()[1] for page in pages] == ["200"] * 6
    assert errors == "[True, False]"
    assert members == "['tiny-l0@texts', 'tiny-l1@texts']"
