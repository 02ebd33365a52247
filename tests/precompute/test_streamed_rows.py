import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute import train
from precompute.activations import Activations
from precompute.models import load_model
from precompute.progress import Progress
from precompute.rows import normalise
from precompute.sae_files import load_sae
from precompute.streamed_rows import Stream, StreamedRows

HOOKS = ("encoder.layer.0", "encoder.layer.1")


@pytest.fixture(scope="module")
def loaded(workspace):
    return load_model(str(workspace.models_dir() / "tiny"))


@pytest.fixture
def own(workspace, tmp_path):
    """A workspace with the model and the dataset alone: no activation was ever saved in it."""
    for part in ("models", "datasets"):
        shutil.copytree(workspace.root / part, tmp_path / part)
    return Workspace(tmp_path)


def stream(workspace, loaded, buffer=1_000, seed=0):
    return Stream(loaded, workspace.dataset("texts"), HOOKS, buffer, seed)


def config(workspace, **changes):
    made = train.Config(
        sae_id="streamed",
        model_id="tiny",
        dataset_id="texts",
        hook=HOOKS[1],
        model=str(workspace.models_dir() / "tiny"),
        buffer=2_000,
        k=8,
        expansion=4,
        steps=30,
        batch=256,
        evaluate_every=10,
        checkpoint_every=10,
        threads=1,
    )
    return replace(made, **changes)


def test_a_harvest_gives_the_rows_that_capture_keeps_of_every_hook_point(workspace, loaded):
    dataset = workspace.dataset("texts")
    contexts = np.random.default_rng(0).permutation(len(dataset.offsets) - 1)[:7]
    found = stream(workspace, loaded).harvest(contexts)
    bounds = dataset.sample_offsets
    samples = np.concatenate([np.arange(bounds[one], bounds[one + 1]) for one in contexts])
    for hook in HOOKS:
        kept = Activations.open(workspace.activations_dir("tiny", "texts", hook)).take(samples)
        np.testing.assert_allclose(found[hook].numpy(), kept, atol=2e-3)


def test_an_epoch_hands_out_every_training_sample_once_and_no_other(workspace, loaded):
    dataset, one = workspace.dataset("texts"), stream(workspace, loaded)
    is_held_out = np.repeat(dataset.held_out, np.diff(dataset.sample_offsets))
    kept = Activations.open(workspace.activations_dir("tiny", "texts", HOOKS[0]))
    wanted = kept.take(np.flatnonzero(~is_held_out))
    buffers, number = [], 0
    while one.locate(sum(len(part) for part in buffers), 1)[0] == 0:
        buffers.append(one.rows(0, number)[HOOKS[0]])
        number += 1
    found = torch.cat(buffers).numpy()
    assert number > 3 and all(1_000 <= len(part) < 1_100 for part in buffers[:-1])
    assert found.shape == wanted.shape
    np.testing.assert_allclose(np.sort(found[:, 0]), np.sort(wanted[:, 0]), atol=2e-3)


def test_rows_are_shuffled_alike_at_all_hook_points_and_follow_from_the_seed(workspace, loaded):
    one, again, other = (stream(workspace, loaded, seed=seed) for seed in (0, 0, 1))
    here, there = one.rows(0, 1), again.rows(0, 1)
    assert torch.equal(here[HOOKS[0]], there[HOOKS[0]])
    assert not torch.equal(here[HOOKS[0]], other.rows(0, 1)[HOOKS[0]])
    both = Stream(loaded, workspace.dataset("texts"), HOOKS[1:], 1_000, 0).rows(0, 1)
    assert torch.equal(here[HOOKS[1]], both[HOOKS[1]])


def test_batches_are_normalised_and_shared_out_evenly(workspace, loaded):
    one = stream(workspace, loaded)
    rows = StreamedRows(one, HOOKS[1], 256)
    whole = rows.batch(2)
    assert float(normalise(rows.checked.clone(), rows.mean, rows.scale).square().sum(1).mean()) == pytest.approx(
        32, rel=0.2
    )
    assert torch.equal(torch.cat([rows.batch(2, part, 4) for part in range(4)]), whole)
    assert len(rows.checked) == rows.held_out_rows == sum(len(part[HOOKS[1]]) for part in one.held_out())


def test_an_sae_is_trained_without_saved_activations(own):
    directory = train.run(config(own), own, Progress())
    sae, cfg = load_sae(directory)
    assert sae.d_sae == 128 and cfg["metadata"]["quality"]["fvu"] < 0.6
    assert not (own.root / "activations").exists()
    assert cfg["metadata"]["fingerprints"]["dataset"] == own.dataset("texts").fingerprint


def test_several_saes_trained_from_one_stream_are_those_that_train_alone(own, monkeypatch):
    harvested = []
    harvest = Stream.harvest
    monkeypatch.setattr(Stream, "harvest", lambda self, *given: harvested.append(1) or harvest(self, *given))
    configs = [
        config(own, sae_id="a", hook=HOOKS[0]),
        config(own, sae_id="b", k=4),
        config(own, sae_id="c", architecture="standard", steps=20),
    ]
    together = train.run_together(configs, own, Progress())
    of_all, _ = len(harvested), harvested.clear()
    alone = train.run(config(own, sae_id="d", k=4), own, Progress())
    of_one = len(harvested)
    assert of_all == of_one  # buffers, and held-out contexts, for all three together
    one, other = load_sae(together[1])[0], load_sae(alone)[0]
    assert all(torch.equal(tensor, other.parameters[name]) for name, tensor in one.parameters.items())


def test_what_a_module_receives_is_streamed_beside_what_it_hands_on(own, loaded):
    dataset, contexts = own.dataset("texts"), np.arange(5)
    received = f"{HOOKS[1]}.input"
    one = Stream(loaded, dataset, (HOOKS[0], HOOKS[1], received), 1_000, 0)
    found = one.harvest(contexts)
    assert torch.equal(found[received], found[HOOKS[0]]) and not torch.equal(found[received], found[HOOKS[1]])
    _, cfg = load_sae(train.run(config(own, hook=received), own, Progress()))
    assert cfg["metadata"]["hook_name"] == received and cfg["metadata"]["quality"]["fvu"] < 0.6
    with pytest.raises(BadInput, match=r"Hook point 'embeddings\.word_embeddings\.input' .* no hidden states"):
        train.run(config(own, sae_id="b", hook="embeddings.word_embeddings.input"), own, Progress())


def test_a_stream_that_cannot_be_is_refused(own, loaded):
    with pytest.raises(BadInput, match="A buffer of 100 rows holds no batch of 256"):
        train.run(config(own, buffer=100), own, Progress())
    with pytest.raises(BadInput, match="share their batch"):
        train.run_together([config(own), config(own, sae_id="b", batch=128)], own, Progress())
    with pytest.raises(BadInput, match="has the id 'tiny', not 'other'"):
        train.run(config(own, model_id="other"), own, Progress())
