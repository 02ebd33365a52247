"""What a workspace takes on the disk, by kind and part, and what of it was left behind."""

from pathlib import Path

from loaders.usage import children, is_leftover, leftovers, store_bytes, tree_bytes, workspace_bytes
from loaders.workspace import Workspace


def test_every_byte_of_a_workspace_is_accounted_for(workspace: Workspace) -> None:
    report = workspace_bytes(workspace.root)
    on_disk = sum(path.stat().st_size for path in workspace.root.rglob("*") if path.is_file())
    kinds = ("datasets", "models", "activations", "saes", "layers")
    counted = sum(sum(report[kind].values()) for kind in kinds) + sum(s["total"] for s in report["stores"].values())
    assert report["total"] == on_disk
    assert counted + report["other"] == on_disk
    assert report["leftovers"] == {}
    assert set(report["activations"]) == {"tiny/texts/encoder.layer.0", "tiny/texts/encoder.layer.1"}
    assert report["stores"]["tiny-l0@texts"] == store_bytes(workspace.store_dir("tiny-l0@texts"))


def test_leftovers_are_what_bears_a_temporary_name_and_is_not_complete(tmp_path: Path) -> None:
    kept = [
        "stores/a@b/manifest.json",
        "stores/a@b/tables/x.parquet",
        "saes/x.tmp/cfg.json",
        "datasets/y.partial/manifest.json",
    ]
    left = ["stores/a@b/features.zarr.tmp/zarr.json", "stores/a@b/tables/y.arrow.tmp", "datasets/.d.partial/vocab.json"]
    left += ["stores/.removed/c@d/manifest.json", "saes/.unpacked/s/cfg.json", "layers/set.tmp/pair_0_1.json"]
    for name in kept + left:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("12345")
    found = {path.relative_to(tmp_path).as_posix(): size for path, size in leftovers(tmp_path)}
    assert found == dict.fromkeys(
        [
            *("datasets/.d.partial", "saes/.unpacked", "stores/.removed", "layers/set.tmp"),
            *("stores/a@b/features.zarr.tmp", "stores/a@b/tables/y.arrow.tmp"),
        ],
        5,
    )
    assert all(is_leftover(tmp_path / name, tmp_path) for name in left)
    assert not any(is_leftover(tmp_path / name, tmp_path) for name in kept)
    assert [path.name for path in children(tmp_path / "stores")] == ["a@b"]


def test_recommendations_are_counted_by_model_and_dataset(tmp_path: Path) -> None:
    (tmp_path / "advice").mkdir()
    for name in ("tiny@texts.json", ".tiny@texts.json.partial", "tiny@other.json"):
        (tmp_path / "advice" / name).write_text("12345")
    report = workspace_bytes(tmp_path)
    assert report["advice"] == {"tiny@other": 5, "tiny@texts": 5}
    assert report["leftovers"] == {"advice/.tiny@texts.json.partial": 5} and report["other"] == 0


def test_a_link_takes_no_space_and_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(1000))
    (tmp_path / "stores/a@b").mkdir(parents=True)
    (tmp_path / "stores/a@b/link").symlink_to(tmp_path / "big")
    assert tree_bytes(tmp_path / "stores") == store_bytes(tmp_path / "stores/a@b")["total"] == 0
