import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from loaders.errors import BadInput, StoreDamaged, StoreNotFound
from precompute.sae_files import read_sae, write_sae
from precompute.saes import topk


@pytest.fixture
def weights():
    generator = torch.Generator().manual_seed(0)
    made = topk.initial(6, 24, generator)
    return made._replace(b_enc=torch.randn(24, generator=generator), b_dec=torch.randn(6, generator=generator))


def saelens_topk(directory, x):
    """SAELens's top-k formula, in NumPy, on the files alone."""
    cfg, tensors = json.loads((directory / "cfg.json").read_text()), load_file(directory / "sae_weights.safetensors")
    assert cfg["apply_b_dec_to_input"] and cfg["normalize_activations"] == "none"
    pre = (x - tensors["b_dec"]) @ tensors["W_enc"] + tensors["b_enc"]
    kept = np.where(pre >= np.sort(pre, axis=1)[:, -cfg["k"], None], np.maximum(pre, 0), 0)
    return kept @ tensors["W_dec"] + tensors["b_dec"]


def test_the_written_files_follow_the_saelens_layout(weights, tmp_path):
    cfg = write_sae(tmp_path, weights, 3, {"model_name": "m", "hook_name": "h"})
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
    wanted = topk.decode(weights, topk.encode(weights, x, 3))
    np.testing.assert_allclose(saelens_topk(tmp_path, x.numpy()), wanted, rtol=1e-4, atol=1e-5)


def test_what_was_written_is_read_back_exactly(weights, tmp_path):
    written = write_sae(tmp_path, weights, 3, {})
    read, k, cfg = read_sae(tmp_path)
    assert k == 3 and cfg == written
    for before, after in zip(weights, read, strict=True):
        assert torch.equal(before, after)


def test_the_fingerprint_changes_with_a_weight_or_with_k_but_not_with_the_metadata(weights, tmp_path):
    def fingerprint(name, weights, k, metadata):
        return write_sae(tmp_path / name, weights, k, metadata)["metadata"]["fingerprints"]["sae"]

    first = fingerprint("a", weights, 3, {"model_name": "m"})
    assert fingerprint("b", weights, 3, {"model_name": "other", "fingerprints": {"model": "x"}}) == first
    assert fingerprint("c", weights, 4, {}) != first
    weights.b_enc[0] += 1
    assert fingerprint("d", weights, 3, {}) != first


def test_an_sae_that_does_not_subtract_b_dec_is_read_with_the_same_codes(weights, tmp_path):
    write_sae(tmp_path, weights, 3, {})
    cfg = json.loads((tmp_path / "cfg.json").read_text())
    (tmp_path / "cfg.json").write_text(json.dumps({**cfg, "apply_b_dec_to_input": False}))
    read, _, _ = read_sae(tmp_path)
    x = torch.randn(20, 6)
    wanted = (x @ weights.w_enc.t() + weights.b_enc).topk(3).values.relu()
    torch.testing.assert_close(topk.encode(read, x, 3).values.sort(1, descending=True).values, wanted)


def test_unfinished_foreign_and_damaged_saes_are_refused_with_a_sentence(weights, tmp_path):
    with pytest.raises(StoreNotFound, match=r"no cfg\.json"):
        read_sae(tmp_path)
    cfg = write_sae(tmp_path, weights, 3, {})
    for key, value in (
        ("architecture", "gated"),
        ("normalize_activations", "layer_norm"),
        ("rescale_acts_by_decoder_norm", True),
    ):
        (tmp_path / "cfg.json").write_text(json.dumps({**cfg, key: value}))
        with pytest.raises(BadInput, match=f"has {key} '{value}'"):
            read_sae(tmp_path)
    (tmp_path / "cfg.json").write_text(json.dumps(cfg))
    save_file({"W_enc": np.zeros((2, 2), np.float32)}, tmp_path / "sae_weights.safetensors")
    with pytest.raises(StoreDamaged, match=r"its cfg\.json says"):
        read_sae(tmp_path)
