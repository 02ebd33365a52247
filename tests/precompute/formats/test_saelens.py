"""What SAELens writes besides a finished SAE of version 6: training's checkpoints, older configs, and what must be refused."""

import contextlib
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from loaders.errors import BadInput
from precompute.formats import read_raw, saelens
from precompute.formats.raw import fold
from precompute.saes import INFERENCE

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def change(directory, **fields):
    path = directory / "cfg.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def rename(directory, **tensors):
    path = directory / saelens.WEIGHTS
    found = {name: tensor for name, tensor in load_file(path).items() if name not in tensors}
    save_file(found | {name: tensor for name, tensor in tensors.items() if tensor is not None}, path)


def assert_close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("architecture", INFERENCE)
@pytest.mark.parametrize("takes_b_dec", [True, False])
def test_a_whitening_is_folded_for_every_architecture(
    architecture, takes_b_dec, made, rows, reference, values, tmp_path
):
    saelens.write(tmp_path, made(architecture))
    ranked = {"rescale_acts_by_decoder_norm": True} if architecture == "topk" else {}
    change(tmp_path, apply_b_dec_to_input=takes_b_dec, **ranked)
    generator = np.random.default_rng(1)
    mean, turn = generator.normal(size=12), np.linalg.qr(generator.normal(size=(12, 12))).Q
    matrix = turn * np.linspace(0.5, 2, 12)
    inverse = np.linalg.inv(matrix)
    wanted = reference.saelens(tmp_path, (rows - mean) @ matrix) @ inverse + mean
    change(tmp_path, normalize_activations="covariance_whitening")
    with pytest.raises(BadInput, match="is not beside it"):
        read_raw(tmp_path)
    tensors = {"mean": mean, "matrix": matrix, "inverse_matrix": inverse}
    save_file(
        {name: torch.from_numpy(array).contiguous() for name, array in tensors.items()}, tmp_path / saelens.WHITENING
    )
    assert_close(values(tmp_path, rows)[1], wanted)
    save_file({"mean": torch.zeros(12), "matrix": torch.eye(12)}, tmp_path / saelens.WHITENING)
    with pytest.raises(BadInput, match="lacks 'inverse_matrix'"):
        fold(read_raw(tmp_path))


@pytest.mark.parametrize("architecture", saelens.BATCH_TRAINED)
def test_a_checkpoint_of_batch_top_k_training_is_read_as_the_jumprelu_that_it_becomes(
    architecture, made, rows, values, tmp_path
):
    sae = made("jumprelu")
    saelens.write(tmp_path, sae)
    change(tmp_path, architecture=architecture, k=5, rescale_acts_by_decoder_norm=True)
    rename(tmp_path, threshold=None, topk_threshold=torch.tensor(0.4, dtype=torch.float64))
    norms = sae.w_dec.norm(dim=1).double().numpy()
    pre = ((rows - sae.b_dec.numpy()) @ sae.w_enc.numpy().T + sae.biases["b_enc"].numpy()) * norms
    wanted = np.maximum(pre, 0) * (pre > 0.4)
    codes, rebuilt = values(tmp_path, rows)
    assert_close(codes, wanted)
    assert_close(rebuilt, wanted / norms @ sae.w_dec.numpy() + sae.b_dec.numpy())


def test_a_logarithm_of_the_threshold_is_read(made, rows, reference, values, tmp_path):
    sae = made("jumprelu")
    saelens.write(tmp_path, sae)
    wanted = reference.saelens(tmp_path, rows)
    rename(tmp_path, threshold=None, log_threshold=sae.biases["threshold"].log())
    assert_close(values(tmp_path, rows)[1], wanted)


def test_a_flat_config_of_before_version_6_says_architecture_k_model_and_bos(made, rows, reference, values, tmp_path):
    saelens.write(tmp_path, made("topk"))
    wanted = reference.saelens(tmp_path, rows)
    flat = {
        "d_in": 12,
        "d_sae": 40,
        "hook_point": "blocks.8.hook_resid_pre",
        "model_name": "gpt2",
        "architecture": "standard",
    }
    flat |= {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 5}, "normalize_activations": False}
    (tmp_path / "cfg.json").write_text(json.dumps(flat))
    raw = read_raw(tmp_path)
    assert (raw.architecture, raw.k) == ("topk", 5)
    said = {"model_name": "gpt2", "hook_name": "blocks.8.hook_resid_pre", "prepend_bos": True}  # SAELens's default then
    assert raw.metadata == said
    assert_close(values(tmp_path, rows)[1], wanted)
    (tmp_path / "cfg.json").write_text(json.dumps(flat | {"normalize_activations": True}))
    assert read_raw(tmp_path).scale is None
    (tmp_path / "cfg.json").write_text(json.dumps(flat | {"activation_fn_str": "tanh-relu"}))
    with pytest.raises(BadInput, match="tanh-relu"):
        read_raw(tmp_path)


def test_factors_after_the_encoder_are_refused_unless_they_are_ones(made, rows, reference, values, tmp_path):
    saelens.write(tmp_path, made("standard"))
    wanted = reference.saelens(tmp_path, rows)
    rename(tmp_path, scaling_factor=torch.ones(40))
    assert_close(values(tmp_path, rows)[1], wanted)
    rename(tmp_path, scaling_factor=torch.full((40,), 2.0))
    with pytest.raises(BadInput, match="scales its codes by 'scaling_factor'"):
        read_raw(tmp_path)


def test_heads_side_by_side_are_rows_as_they_are(made, rows, reference, values, tmp_path):
    saelens.write(tmp_path, made("gated"))
    wanted = reference.saelens(tmp_path, rows)
    change(tmp_path, reshape_activations="hook_z")
    assert_close(values(tmp_path, rows)[1], wanted)


@pytest.mark.parametrize("architecture", ["transcoder", "skip_transcoder", "jumprelu_transcoder"])
def test_transcoders_are_refused_as_such(architecture, made, tmp_path):
    saelens.write(tmp_path, made("standard"))
    change(tmp_path, architecture=architecture)
    with pytest.raises(BadInput, match="is a transcoder"):
        read_raw(tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    key=st.sampled_from(
        [
            "architecture",
            "d_in",
            "k",
            "dtype",
            "metadata",
            "normalize_activations",
            "reshape_activations",
            "activation_fn",
        ]
    ),
    value=JSON,
    flat=st.booleans(),
)
def test_any_config_is_read_or_refused_in_a_sentence(key, value, flat, made, tmp_path_factory):
    directory = tmp_path_factory.mktemp("hostile")
    saelens.write(directory, made("topk"))
    cfg = json.loads((directory / "cfg.json").read_text())
    if flat:
        del cfg["metadata"]
    (directory / "cfg.json").write_text(json.dumps(cfg | {key: value}))
    with contextlib.suppress(BadInput):
        assert fold(read_raw(directory)).d_sae == 40
