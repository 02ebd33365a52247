import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from loaders.errors import BadInput, StoreNotFound
from loaders.sae import SaeRecord
from precompute.sae_files import load_sae, write_sae
from precompute.saes import topk
from precompute.saes.sae import Sae, decode, initial


@pytest.fixture
def weights():
    generator = torch.Generator().manual_seed(0)
    w_enc, w_dec, _ = initial(6, 24, generator)
    b_enc, b_dec = torch.randn(24, generator=generator), torch.randn(6, generator=generator)
    return Sae("topk", w_enc, w_dec, b_dec, {"b_enc": b_enc}, 3)


def saelens_topk(directory, x):
    """SAELens's top-k formula, in NumPy, on the files alone."""
    cfg, tensors = json.loads((directory / "cfg.json").read_text()), load_file(directory / "sae_weights.safetensors")
    assert cfg["apply_b_dec_to_input"] and cfg["normalize_activations"] == "none"
    pre = (x - tensors["b_dec"]) @ tensors["W_enc"] + tensors["b_enc"]
    kept = np.where(pre >= np.sort(pre, axis=1)[:, -cfg["k"], None], np.maximum(pre, 0), 0)
    return kept @ tensors["W_dec"] + tensors["b_dec"]


def test_the_written_files_follow_the_saelens_layout(weights, tmp_path):
    cfg = write_sae(tmp_path, weights, {"model_name": "m", "hook_name": "h"})
    tensors = load_file(tmp_path / "sae_weights.safetensors")
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "W_enc": (6, 24),
        "W_dec": (24, 6),
        "b_enc": (24,),
        "b_dec": (6,),
    }
    assert cfg["architecture"] == "topk" and (cfg["d_in"], cfg["d_sae"], cfg["k"]) == (6, 24, 3)
    assert json.loads((tmp_path / "cfg.json").read_text()) == cfg
    x = torch.randn(20, 6)
    wanted = decode(weights, topk.encode_sparse(weights, x))
    np.testing.assert_allclose(saelens_topk(tmp_path, x.numpy()), wanted, rtol=1e-4, atol=1e-5)


def test_what_was_written_is_read_back_exactly(weights, tmp_path):
    written = write_sae(tmp_path, weights, {})
    read, cfg = load_sae(tmp_path)
    assert read.k == 3 and cfg == written
    for name, before in weights.parameters.items():
        assert torch.equal(before, read.parameters[name])


def test_the_fingerprint_changes_with_a_weight_or_with_k_but_not_with_the_metadata(weights, tmp_path):
    def fingerprint(name, weights, k, metadata):
        return write_sae(tmp_path / name, replace(weights, k=k), metadata)["metadata"]["fingerprints"]["sae"]

    first = fingerprint("a", weights, 3, {"model_name": "m"})
    assert fingerprint("b", weights, 3, {"model_name": "other", "fingerprints": {"model": "x"}}) == first
    assert fingerprint("c", weights, 4, {}) != first
    weights.biases["b_enc"][0] += 1
    assert fingerprint("d", weights, 3, {}) != first


def test_the_same_weights_behind_another_stage_are_another_sae_and_verified_as_such(weights, tmp_path):
    metadata = {"input_stages": [{"stage": "layer_norm"}]}
    plain, normed = (
        write_sae(tmp_path / name, weights, said)["metadata"]["fingerprints"]["sae"]
        for name, said in (("a", {}), ("b", metadata))
    )
    assert plain != normed == SaeRecord.open(tmp_path / "b").fingerprint()


def test_an_sae_that_does_not_subtract_b_dec_is_read_with_the_same_codes(weights, tmp_path):
    write_sae(tmp_path, weights, {})
    cfg = json.loads((tmp_path / "cfg.json").read_text())
    (tmp_path / "cfg.json").write_text(json.dumps({**cfg, "apply_b_dec_to_input": False}))
    read, _ = load_sae(tmp_path)
    x = torch.randn(20, 6)
    wanted = (x @ weights.w_enc.t() + weights.biases["b_enc"]).topk(3).values.relu()
    dense = torch.zeros(20, 24)
    codes = topk.encode_sparse(read, x)
    dense[torch.arange(20).repeat_interleave(codes.indptr.diff()), codes.indices] = codes.values
    torch.testing.assert_close(dense.topk(3).values, wanted)


def test_unfinished_foreign_and_damaged_saes_are_refused_with_a_sentence(weights, tmp_path):
    with pytest.raises(StoreNotFound, match=r"no cfg\.json"):
        load_sae(tmp_path)
    cfg = write_sae(tmp_path, weights, {})
    for key, value, sentence in (
        ("architecture", "gated", "needs b_gate"),
        ("architecture", "magic", "Architecture 'magic'"),
        ("normalize_activations", "layer_norm", "layer_norm"),
    ):
        (tmp_path / "cfg.json").write_text(json.dumps({**cfg, key: value}))
        with pytest.raises(BadInput, match=sentence):
            load_sae(tmp_path)
    (tmp_path / "cfg.json").write_text(json.dumps(cfg))
    save_file({"W_enc": np.zeros((2, 2), np.float32)}, tmp_path / "sae_weights.safetensors")
    with pytest.raises(BadInput, match="which the file does not hold"):
        load_sae(tmp_path)
