import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from loaders.errors import BadInput, StoreDamaged, StoreNotFound
from loaders.workspace import Workspace
from precompute import dataset
from precompute.activations import Activations
from precompute.batches import plan_batches, plan_shards
from precompute.capture import Config, run
from precompute.disk import in_megabytes, require_space
from precompute.models import load_model
from precompute.progress import Progress, Step

HOOKS = ("encoder.layer.0", "encoder.layer.1")
DIES_AT = 3  # shards


@pytest.fixture
def workspace(tmp_path: Path, encoder: Path) -> Workspace:
    """A workspace with dataset `texts`: 40 contexts of 3 to 20 tokens."""
    texts = [" ".join(["the cats sat on a mat."] * (1 + number % 3))[: 12 + number] for number in range(40)]
    made = Workspace(tmp_path)
    dataset.run(dataset.Config(id="texts", model=str(encoder), context_length=24, tokens=None), made, Progress(), texts)
    return made


@pytest.fixture
def config(encoder: Path) -> Config:
    return Config(model=str(encoder), dataset="texts", hooks=HOOKS, batch_tokens=64, shard_samples=60)


def capture_in_workspace(workspace: Workspace, config: Config) -> dict[str, Activations]:
    folder = run(config, workspace, Progress())
    return {path.name: Activations.open(path) for path in sorted(folder.iterdir())}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_row_i_is_what_the_model_hands_on_at_sample_i(workspace: Workspace, config: Config, encoder: Path):
    captured = capture_in_workspace(workspace, config)
    data, model = workspace.dataset("texts"), load_model(encoder).model
    for context in range(0, data.contexts, 5):
        start, stop = data.offsets[context : context + 2]
        with torch.inference_mode():
            tokens = torch.from_numpy(data.tokens[start:stop].astype(np.int64))[None]
            states = model(input_ids=tokens, output_hidden_states=True).hidden_states
        first, last = data.sample_offsets[context : context + 2]
        positions = data.samples[first:last] - start
        for layer, hook in enumerate(HOOKS):
            expected = states[layer + 1][0, positions].numpy()
            np.testing.assert_allclose(captured[hook].read(first, last), expected, atol=2e-3)


def test_inputs_of_a_block_are_the_outputs_of_the_one_before(workspace: Workspace, config: Config):
    captured = capture_in_workspace(workspace, config)
    both = capture_in_workspace(workspace, replace(config, hooks=(HOOKS[1],), inputs=True))
    assert both[f"{HOOKS[1]}.input"].manifest["inputs"] is True
    np.testing.assert_array_equal(both[f"{HOOKS[1]}.input"].load(), captured[HOOKS[0]].load())


def test_a_causal_model_is_captured_by_the_same_code(tmp_path: Path, causal: Path):
    workspace = Workspace(tmp_path)
    texts = dataset.Config(id="texts", model=str(causal), context_length=16, tokens=None)
    dataset.run(texts, workspace, Progress(), ["the cat sat", "the mat, the cats sat on the mat"])
    captured = capture_in_workspace(workspace, Config(model=str(causal), dataset="texts", hooks=("transformer.h.1",)))
    data, model = workspace.dataset("texts"), load_model(causal).model
    with torch.inference_mode():
        tokens = torch.from_numpy(data.tokens[: data.offsets[1]].astype(np.int64))[None]
        expected = model.transformer.h[1](model.transformer(tokens, output_hidden_states=True).hidden_states[1])
    expected = (expected[0] if isinstance(expected, tuple) else expected).reshape(-1, 16).numpy()
    np.testing.assert_allclose(captured["transformer.h.1"].read(0, len(expected)), expected, atol=2e-3)


def test_the_manifest_names_model_dataset_and_every_shard(workspace: Workspace, config: Config, encoder: Path):
    captured = capture_in_workspace(workspace, config)[HOOKS[0]]
    manifest = captured.manifest
    assert manifest["kind"] == "activations" and manifest["hook"] == HOOKS[0]
    assert manifest["fingerprints"] == {
        "model": load_model(encoder).fingerprint,
        "dataset": workspace.dataset("texts").fingerprint,
    }
    assert manifest["rows"] == len(workspace.dataset("texts").samples) == sum(s["rows"] for s in manifest["shards"])
    assert manifest["width"] == 24 and len(manifest["shards"]) > DIES_AT


def test_finished_activations_are_not_captured_again(workspace: Workspace, config: Config):
    before = {path: path.stat().st_mtime_ns for path in run(config, workspace, Progress()).rglob("*")}
    assert {path: path.stat().st_mtime_ns for path in run(config, workspace, Progress()).rglob("*")} == before


def test_the_number_of_threads_changes_neither_the_bytes_nor_the_setting(workspace: Workspace, config: Config):
    before = torch.get_num_threads()
    whole = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            folder = run(config, workspace, Progress())
            assert torch.get_num_threads() == threads
            whole.append(contents(folder))
            shutil.rmtree(folder)
    finally:
        torch.set_num_threads(before)
    assert whole[0] == whole[1]


def test_a_hook_that_is_missing_is_added_without_touching_the_others(workspace: Workspace, config: Config):
    folder = run(config, workspace, Progress())
    whole = contents(folder)
    shutil.rmtree(folder / HOOKS[1])
    kept = (folder / HOOKS[0] / "shard_0000.npy").stat().st_mtime_ns
    run(config, workspace, Progress())
    assert contents(folder) == whole
    assert (folder / HOOKS[0] / "shard_0000.npy").stat().st_mtime_ns == kept


class KillAfterShards:
    """A progress sink that kills its own process, unasked, while shard DIES_AT is being read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def update(self, step: Step) -> None:
        if len(list(self.folder.rglob("shard_*.npy"))) >= DIES_AT * len(HOOKS):
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_run_resumes_at_the_shard_and_ends_the_same_to_the_byte(workspace: Workspace, config: Config):
    folder = run(config, workspace, Progress())
    whole = contents(folder)
    shutil.rmtree(folder)
    code = (
        "import sys, importlib.util as u; s = u.spec_from_file_location('t', sys.argv[1]); t = u.module_from_spec(s);"
        " s.loader.exec_module(t);"
        " c = t.Config(model=sys.argv[3], dataset='texts', hooks=t.HOOKS, batch_tokens=64, shard_samples=60);"
        " t.run(c, t.Workspace(sys.argv[2]), t.Progress(t.KillAfterShards(t.Path(sys.argv[4]))))"
    )
    arguments = [__file__, str(workspace.root), config.model, str(folder)]
    killed = subprocess.run([sys.executable, "-c", code, *arguments], cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("shard_*.npy")}
    assert len(kept) == DIES_AT * len(HOOKS)
    with pytest.raises(StoreNotFound):
        Activations.open(folder / HOOKS[0])
    run(config, workspace, Progress())
    assert contents(folder) == whole
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_shards_of_another_dataset_are_not_kept(workspace: Workspace, config: Config, encoder: Path):
    folder = run(config, workspace, Progress())
    old = Activations.open(folder / HOOKS[0])
    (folder / HOOKS[0] / "manifest.json").unlink()
    shutil.rmtree(workspace.dataset_dir("texts"))
    changed = dataset.Config(id="texts", model=str(encoder), context_length=24, tokens=None)
    dataset.run(changed, workspace, Progress(), ["a mat."] * 40)
    new = capture_in_workspace(workspace, config)
    for activations in new.values():
        assert activations.rows == 120 != old.rows
        assert activations.manifest["fingerprints"]["dataset"] == workspace.dataset("texts").fingerprint


def test_values_that_float16_cannot_hold_are_refused(workspace: Workspace, config: Config):
    loaded = load_model(config.model)
    with torch.no_grad():
        loaded.model.encoder.layer[1].output.LayerNorm.bias[0] = 1e6
    with pytest.raises(BadInput, match=r"'encoder\.layer\.1' reaches 1e\+06.*float16, which ends at 65,504"):
        run(config, workspace, Progress(), loaded)
    with pytest.raises(StoreNotFound):
        Activations.open(workspace.activations_dir(loaded.model_id, "texts", HOOKS[1]))


def test_an_unknown_hook_point_is_refused_with_the_nearest_names(workspace: Workspace, config: Config):
    with pytest.raises(BadInput, match=r"encoder\.layer\.0"):
        run(replace(config, hooks=("encoder.layer.7",)), workspace, Progress())
    with pytest.raises(BadInput, match="has no hidden states"):
        run(replace(config, hooks=("pooler",)), workspace, Progress())
    with pytest.raises(BadInput, match="No hook point"):
        run(replace(config, hooks=()), workspace, Progress())


def test_tokens_of_another_tokenizer_are_refused(workspace: Workspace, config: Config, causal: Path):
    loaded = load_model(causal)._replace(max_length=24)
    with pytest.raises(BadInput, match=r"holds tokens of .* does not share"):
        run(replace(config, hooks=("transformer.h.0",)), workspace, Progress(), loaded)


def test_contexts_longer_than_the_models_limit_are_refused(workspace: Workspace, config: Config):
    loaded = load_model(config.model)._replace(max_length=8)
    with pytest.raises(BadInput, match=r"contexts of 19 tokens; model .* reads at most 8"):
        run(config, workspace, Progress(), loaded)


def test_a_full_disk_is_noticed_before_anything_is_written(
    workspace: Workspace, config: Config, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(BadInput, match=r"Not enough disk space.*activations of 2 hook points.*1 MiB are free"):
        run(config, workspace, Progress())
    assert not (workspace.root / "activations").exists()


def test_space_is_asked_of_the_disk_that_will_hold_a_path(tmp_path: Path):
    require_space(tmp_path / "not" / "there" / "yet", 10, "ten bytes")
    with pytest.raises(BadInput, match=f"a miracle need {in_megabytes(10**18)}"):
        require_space(tmp_path / "not" / "there" / "yet", 10**18, "a miracle")
    assert in_megabytes(3_000_000) == "3 MiB"


def test_shards_are_whole_contexts_and_leave_nothing_out():
    offsets = np.array([0, 4, 5, 20, 22, 30])
    shards = list(plan_shards(offsets, 10))
    assert [(shard.first, shard.stop, shard.start, shard.rows) for shard in shards] == [
        (0, 2, 0, 5),
        (2, 3, 5, 15),
        (3, 5, 20, 10),
    ]
    assert [shard.file for shard in shards] == ["shard_0000.npy", "shard_0001.npy", "shard_0002.npy"]


def test_batches_hold_every_context_once_within_the_limit():
    lengths = np.random.default_rng(0).integers(1, 50, 200)
    batches = list(plan_batches(lengths, 128))
    assert sorted(np.concatenate(batches)) == list(range(200))
    assert all(len(batch) * lengths[batch].max() <= 128 for batch in batches)
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.1 * lengths.sum()


def test_rows_are_read_across_shards(workspace: Workspace, config: Config):
    activations = capture_in_workspace(workspace, config)[HOOKS[0]]
    everything = activations.load()
    assert everything.dtype == np.float16 and everything.shape == (activations.rows, activations.width)
    np.testing.assert_array_equal(activations.read(50, 130), everything[50:130].astype(np.float32))
    rows = np.array([130, 0, 61, 61])
    np.testing.assert_array_equal(activations.take(rows), everything[rows].astype(np.float32))
    parts = list(activations.batches(64))
    assert [start for start, _ in parts] == list(range(0, activations.rows, 64))
    np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), everything.astype(np.float32))
    with pytest.raises(BadInput, match="holds rows 0 to"):
        activations.read(0, activations.rows + 1)
    with pytest.raises(BadInput, match="holds rows 0 to"):
        activations.take(np.array([activations.rows]))


def test_a_missing_or_cut_shard_is_noticed_on_opening(workspace: Workspace, config: Config):
    folder = run(config, workspace, Progress())
    shard = folder / HOOKS[0] / "shard_0001.npy"
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(StoreDamaged, match=r"shard_0001\.npy"):
        Activations.open(folder / HOOKS[0])
    shard.unlink()
    with pytest.raises(StoreDamaged, match=r"shard_0001\.npy"):
        Activations.open(folder / HOOKS[0])
    manifest = json.loads((folder / HOOKS[1] / "manifest.json").read_text())
    manifest["shards"][0]["rows"] += 1
    (folder / HOOKS[1] / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreDamaged, match="the manifest lists"):
        Activations.open(folder / HOOKS[1])


def test_outputs_and_inputs_are_captured_in_one_pass(workspace: Workspace, config: Config):
    both = capture_in_workspace(workspace, replace(config, hooks=(HOOKS[0], f"{HOOKS[1]}.input")))
    np.testing.assert_array_equal(both[f"{HOOKS[1]}.input"].load(), both[HOOKS[0]].load())
    again = capture_in_workspace(workspace, replace(config, hooks=(HOOKS[1],), inputs=True))
    assert again[f"{HOOKS[1]}.input"].manifest == both[f"{HOOKS[1]}.input"].manifest
    with pytest.raises(BadInput, match=r"Hook point 'encoder\.layer\.9' does not exist"):
        run(replace(config, hooks=("encoder.layer.9.input",)), workspace, Progress())


def test_activations_are_kept_as_float32_where_that_is_asked_for(workspace: Workspace, config: Config):
    wide = capture_in_workspace(workspace, replace(config, hooks=HOOKS[:1], kept_as="float32"))[HOOKS[0]]
    narrow = capture_in_workspace(workspace, replace(config, hooks=HOOKS[1:]))[HOOKS[1]]
    assert (wide.load().dtype, narrow.load().dtype) == (np.float32, np.float16)
    assert wide.manifest["dtype"] == "float32" and len(np.unique(wide.load().astype(np.float16))) < len(
        np.unique(wide.load())
    )
    with pytest.raises(BadInput, match="can be kept as float16 or float32, not as 'int8'"):
        run(replace(config, kept_as="int8"), workspace, Progress())
