"""A workspace's sets: their members, and which of them comes first."""

import json
import shutil
from pathlib import Path

from loaders.seal import sealed
from loaders.workspace import Workspace


def add_store(workspace: Workspace, source: Workspace, store_id: str, **changes: object) -> None:
    """A copy of a store's manifest, changed and sealed; the sets are told by manifests alone."""
    manifest = json.loads((source.store_dir("tiny-l0@texts") / "manifest.json").read_text())
    directory = workspace.store_dir(store_id)
    directory.mkdir(parents=True)
    (directory / "manifest.json").write_text(json.dumps(sealed({**manifest, "id": store_id, **changes})))


def test_the_oldest_set_comes_first_and_its_members_in_the_order_of_their_layers(
    workspace: Workspace, tmp_path: Path
) -> None:
    own = Workspace(tmp_path)
    add_store(own, workspace, "alone@docs", set=None, created_at="2026-01-02T00:00:00+00:00")
    add_store(own, workspace, "grammar-l0@g", set="grammar", created_at="2026-01-03T00:00:00+00:00")
    add_store(own, workspace, "minilm-l3@docs", set="minilm", layer_index=1, created_at="2026-01-01T00:00:00+00:00")
    add_store(own, workspace, "minilm-l5@docs", set="minilm", layer_index=0, created_at="2026-01-09T00:00:00+00:00")
    assert list(own.sets().items()) == [
        ("minilm", ["minilm-l5@docs", "minilm-l3@docs"]),
        ("alone@docs", ["alone@docs"]),
        ("grammar", ["grammar-l0@g"]),
    ]
    shutil.rmtree(own.store_dir("minilm-l3@docs"))
    assert list(own.sets()) == ["alone@docs", "grammar", "minilm"]
