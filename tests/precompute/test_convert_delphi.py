"""delphi's shards of latents become the matrix that they were cut from, or are named where they do not fit."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import load_file, save_file

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute import convert
from precompute.progress import Progress
from precompute.sample_blocks import SampleBlocks

VALUES = [0.0, 0.0, 0.0, 0.5, -1.25, 3.0, 65504.0, 2.0**-24]


def run(root, *source, **options):
    """Convert into the workspace `root/workspace`; the store's directory."""
    config = convert.Config(tuple(str(root / name) for name in source), "foreign", "words", **options)
    return convert.run(config, Workspace(root / "workspace"), Progress())


def converted(store):
    """All batches of a store as one dense array."""
    return np.vstack([rows.toarray() for _, rows in SampleBlocks.open(store).blocks()])


def positive(dense, threshold=0.0):
    return np.where(dense.astype(np.float64) > threshold, dense, 0).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(
    arrays(np.float16, array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.sampled_from(VALUES)),
    st.integers(1, 4),
    st.booleans(),
    st.integers(0, 9),
)
def test_delphi_shards_are_merged_into_the_dense_matrix(tmp_path_factory, dense, shards, is_shuffled, seed):
    root = tmp_path_factory.mktemp("delphi")
    ids = write_delphi(root / "layers.5", dense, shards, seed if is_shuffled else None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert, "BATCH_SAMPLES", 5)
        patch.setattr("precompute.sources.delphi.CELL", 3)
        patch.setattr("precompute.sources.delphi.ENTRIES", 4)
        store = run(root, "layers.5")
    assert np.array_equal(converted(store), positive(dense.reshape(-1, dense.shape[2])))
    dataset = Workspace(root / "workspace").dataset("words")
    assert np.array_equal(dataset.tokens, ids.reshape(-1))
    assert np.array_equal(np.diff(dataset.offsets), np.full(dense.shape[0], dense.shape[1]))


def write_delphi(directory, dense, shards, seed=None, with_tokens=True):
    """Write activations [contexts, positions, latents] as delphi's cache does; returns the token ids."""
    directory.mkdir()
    contexts, positions, latents = dense.shape
    ids = np.arange(contexts * positions).reshape(contexts, positions) % 7
    bounds = np.linspace(0, latents, min(shards, latents) + 1).astype(int)
    for first, stop in zip(bounds[:-1], bounds[1:], strict=True):
        part = dense[:, :, first:stop]
        locations = np.argwhere(part)
        order = np.arange(len(locations)) if seed is None else np.random.default_rng(seed).permutation(len(locations))
        locations = np.ascontiguousarray(locations[order]).astype(np.uint16)
        tensors = {"locations": locations, "activations": np.ascontiguousarray(part[tuple(locations.T)])}
        if with_tokens:
            tensors["tokens"] = ids
        save_file(tensors, directory / f"{first}_{stop - 1}.safetensors")
    (directory / "config.json").write_text(json.dumps({"model_name": "some/model"}))
    return ids


def some_latents(contexts=4, positions=3, latents=6):
    generator = np.random.default_rng(0)
    shape = (contexts, positions, latents)
    return np.where(generator.random(shape) < 0.4, generator.uniform(0.5, 2, shape), 0).astype(np.float16)


def test_delphi_without_tokens_needs_a_dataset_and_takes_its_contexts(tmp_path):
    dense = some_latents()
    write_delphi(tmp_path / "hook", dense, 2, with_tokens=False)
    with pytest.raises(BadInput, match=r"hold no tokens.*name a dataset"):
        run(tmp_path, "hook")
    write_delphi(tmp_path / "other", dense, 2)
    config = convert.Config((str(tmp_path / "other"),), "first", "words")
    convert.run(config, Workspace(tmp_path / "workspace"), Progress())
    assert np.array_equal(converted(run(tmp_path, "hook")), positive(dense.reshape(-1, 6)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: (d / "0_2.safetensors").unlink(), "latents 0 to 2 are missing"),
        (lambda d: (d / "3_5.safetensors").rename(d / "4_6.safetensors"), "ends at latent 2, but the next shard"),
        (lambda d: (d / "3_5.safetensors").rename(d / "3_4.safetensors"), "lies at context .* latent 2 of the shard"),
        (lambda d: (d / "3_5.safetensors").rename(d / "notes.safetensors"), "is no shard of latents"),
        (lambda d: alter(d / "3_5.safetensors", tokens=lambda t: t + 1), "was made from other tokens"),
        (
            lambda d: alter(d / "3_5.safetensors", locations=lambda t: t + np.uint16([9, 0, 0])),
            "where no sample or latent is",
        ),
        (lambda d: alter(d / "3_5.safetensors", locations=lambda t: t * 0), "gives some activation .* twice"),
        (lambda d: alter(d / "3_5.safetensors", activations=lambda t: t * np.float16(np.nan)), "feature [345]"),
        (lambda d: alter(d / "3_5.safetensors", locations=lambda t: t[:-1]), "wanted whole numbers"),
    ],
)
def test_delphi_shards_that_do_not_fit_are_named(tmp_path, change, words):
    write_delphi(tmp_path / "hook", some_latents(), 2)
    change(tmp_path / "hook")
    with pytest.raises(BadInput, match=words):
        run(tmp_path, "hook")


def alter(path, **changes):
    tensors = load_file(path)
    for name, change in changes.items():
        tensors[name] = np.ascontiguousarray(change(tensors[name]).astype(tensors[name].dtype))
    save_file(tensors, path)
