"""Conventions of dictionary_learning's classes that the names of the tensors do not show."""

import json

import numpy as np
import pytest
import torch

from loaders.errors import BadInput
from precompute.formats import dictionary_learning, read_raw
from precompute.formats.raw import fold


def write(directory, dict_class, state, **trainer):
    torch.save(state, directory / "ae.pt")
    (directory / "config.json").write_text(json.dumps({"trainer": {"dict_class": dict_class, **trainer}}))


def test_codes_of_an_autoencoder_count_in_decoder_norms_as_the_package_reports_them(made, rows, values, tmp_path):
    sae = made("standard")
    dictionary_learning.write(tmp_path, sae)
    pre = (rows - sae.b_dec.numpy()) @ sae.w_enc.numpy().T + sae.biases["b_enc"].numpy()
    codes, rebuilt = values(tmp_path, rows)
    np.testing.assert_allclose(codes, np.maximum(pre, 0) * sae.w_dec.norm(dim=1).numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        rebuilt, np.maximum(pre, 0) @ sae.w_dec.numpy() + sae.b_dec.numpy(), rtol=1e-5, atol=1e-5
    )


def test_a_row_of_zeros_in_the_decoder_stays_one(made, tmp_path):
    sae = made("standard")
    sae.w_dec[7] = 0
    dictionary_learning.write(tmp_path, sae)
    found = fold(read_raw(tmp_path))
    assert torch.isfinite(found.w_enc).all() and not found.w_dec[7].any()


def test_the_newer_autoencoder_reads_x_itself(made, rows, values, tmp_path):
    sae = made("standard")
    state = {"encoder.weight": sae.w_enc, "encoder.bias": sae.biases["b_enc"]}
    state |= {"decoder.weight": sae.w_dec.t().contiguous(), "decoder.bias": sae.b_dec}
    write(tmp_path, "AutoEncoderNew", state)
    codes = np.maximum(rows @ sae.w_enc.numpy().T + sae.biases["b_enc"].numpy(), 0)
    found = values(tmp_path, rows)
    np.testing.assert_allclose(found[0], codes, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[1], codes @ sae.w_dec.numpy() + sae.b_dec.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("trainer", [None, [], {"dict_class": ["AutoEncoder"]}, {"dict_class": None}, {}])
def test_a_config_without_a_known_class_is_refused(trainer, made, tmp_path):
    dictionary_learning.write(tmp_path, made("topk"))
    (tmp_path / "config.json").write_text(json.dumps({"trainer": trainer}))
    with pytest.raises(BadInput, match="is none of AutoEncoder, AutoEncoderNew"):
        read_raw(tmp_path)


@pytest.mark.parametrize("k", [True, "5", 2.5, 41])
def test_a_k_that_cannot_be_is_refused(k, made, tmp_path):
    dictionary_learning.write(tmp_path, made("topk"))
    (tmp_path / "config.json").write_text(json.dumps({"trainer": {"dict_class": "AutoEncoderTopK", "k": k}}))
    with pytest.raises(BadInput, match="needs k between 1 and its number of latents"):
        fold(read_raw(tmp_path))


def test_buffers_of_training_are_not_named_and_other_tensors_are(made, tmp_path):
    sae = made("topk")
    dictionary_learning.write(tmp_path, sae)
    assert read_raw(tmp_path).unused == ()
    state = torch.load(tmp_path / "ae.pt", weights_only=True)
    write(tmp_path, "AutoEncoderTopK", state | {"W_skip": torch.zeros(2)}, k=5)
    assert read_raw(tmp_path).unused == ("W_skip",)
