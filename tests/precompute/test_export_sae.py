"""What an export says beside the weights."""

import json

from precompute.export_sae import export_sae
from precompute.formats import FORMATS
from precompute.import_sae import Config, import_sae


def said(directory):
    return json.loads((directory / "cfg.json").read_text())["metadata"]


def test_an_export_to_saelens_names_version_6_so_that_saelens_keeps_its_metadata(workspace, tmp_path):
    metadata = said(export_sae(workspace, "tiny-l0", "saelens", tmp_path / "out"))
    assert metadata["sae_lens_version"].startswith("6.")
    assert metadata["hook_name"] == "encoder.layer.0"


def test_the_version_that_a_file_came_with_stays(workspace, tmp_path):
    first = export_sae(workspace, "tiny-l0", "saelens", tmp_path / "first")
    cfg = json.loads((first / "cfg.json").read_text())
    cfg["metadata"]["sae_lens_version"] = "6.54.12"
    (first / "cfg.json").write_text(json.dumps(cfg))
    other = type(workspace)(tmp_path / "w")
    import_sae(Config(str(first), "one"), other)
    assert said(export_sae(other, "one", "saelens", tmp_path / "second"))["sae_lens_version"] == "6.54.12"


def test_what_nobody_said_is_left_out_instead_of_called_unknown(workspace, tmp_path):
    first = export_sae(workspace, "tiny-l0", "dictionary_learning", tmp_path / "first")
    (first / "loupe.json").unlink()
    config = json.loads((first / "config.json").read_text())
    del config["trainer"]["lm_name"]
    (first / "config.json").write_text(json.dumps(config))
    other = type(workspace)(tmp_path / "w")
    import_sae(Config(str(first), "one"), other)
    for name in FORMATS:
        if name != "gemma_scope":  # which holds no top-k SAE
            export_sae(other, "one", name, tmp_path / name)
    metadata = said(tmp_path / "saelens")
    assert "hook_name" not in metadata and "model_name" not in metadata
    assert json.loads((tmp_path / "dictionary_learning/config.json").read_text())["trainer"]["lm_name"] is None
