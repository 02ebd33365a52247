"""One call adds an SAE, or a folder of them: it goes on where it stopped, and two of one id or of two minds are refused."""

from dataclasses import replace

import numpy as np
import pytest

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute.add import Config, plan_all
from tests.precompute.add_reference import activations, add, write_folder, write_sae


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("add_run"))


def test_the_same_call_goes_on_where_it_stopped_and_changes_nothing_that_is_done(folder, tmp_path, monkeypatch):
    workspace = Workspace(tmp_path / "w")
    sae = write_sae(tmp_path / "resumed", folder / "model", "blocks.1.hook_resid_pre", exact=True)

    def die(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("precompute.harvest.run", die)
    with pytest.raises(KeyboardInterrupt):
        add(folder, workspace, sae)
    monkeypatch.undo()
    assert workspace.sae_ids() == ["resumed"] and workspace.store_ids() == []
    kept = workspace.sae_dir("resumed") / "cfg.json"
    before = kept.stat().st_mtime_ns
    [added] = add(folder, workspace, sae)
    assert workspace.store_ids() == [added.store] and kept.stat().st_mtime_ns == before
    fingerprint = workspace.open_store(added.store).manifest
    [again] = add(folder, workspace, sae)
    assert again.check is None and workspace.open_store(added.store).manifest == fingerprint


def test_a_taken_id_is_refused_and_another_takes_it(folder, tmp_path):
    workspace = Workspace(tmp_path / "w")
    add(folder, workspace, write_sae(tmp_path / "a" / "one", folder / "model", "blocks.1.hook_resid_pre", exact=True))
    other = write_sae(tmp_path / "b" / "one", folder / "model", "blocks.1.hook_resid_post")
    with pytest.raises(BadInput, match="'one' exists already and is another one"):
        add(folder, workspace, other)
    [added] = add(folder, workspace, other, sae_id="Two")
    assert added.sae == "two"


def test_a_folder_of_saes_becomes_a_set_captured_in_one_pass(folder, tmp_path, monkeypatch):
    from precompute import capture

    workspace, passes = Workspace(tmp_path / "w"), []
    for name in ("blocks.1.hook_resid_pre", "blocks.0.hook_resid_post", "blocks.1.hook_resid_post"):
        write_sae(tmp_path / "many" / name, folder / "model", name, exact=True)
    shards = capture.read_shard
    monkeypatch.setattr(capture, "read_shard", lambda *given: passes.append(len(given[3])) or shards(*given))
    added = add(folder, workspace, tmp_path / "many", force=False)
    assert passes == [3, 3]  # the check and the capture, all hook points at once
    assert [one.hook for one in added] == ["transformer.h.0", "transformer.h.1.input", "transformer.h.1"]
    assert workspace.sets() == {"many": [one.store for one in added]}
    assert workspace.layer_set("many").directory.is_dir()
    first, second = (activations(workspace, one.store) for one in added[:2])
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(second))  # the same stream, by two names


def test_members_of_a_set_must_agree_on_the_first_token(folder, tmp_path):
    for name, bos in (("a", True), ("b", False)):
        write_sae(tmp_path / "many" / name, folder / "model", "blocks.1.hook_resid_pre", metadata={"prepend_bos": bos})
    config = Config(str(tmp_path / "many"), str(folder / "texts.jsonl"))
    with pytest.raises(BadInput, match="disagree on whether contexts begin"):
        plan_all(config, Workspace(tmp_path / "w"))
    assert plan_all(replace(config, bos=True), Workspace(tmp_path / "w")).dataset.bos is True
    with pytest.raises(BadInput, match="--hook and --scale are for one"):
        plan_all(replace(config, hook="transformer.h.1"), Workspace(tmp_path / "w"))
