"""The `influences` table against the models' own output."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
)

from loaders.errors import BadInput
from loaders.tables import GroupedTable
from precompute.readout import read_readout
from precompute.tables import influences

SIZES = {"vocab_size": 10, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}


def causal_model():
    return GPT2LMHeadModel(GPT2Config(n_embd=6, n_head=1, n_layer=1, **SIZES))


def encoder():
    return BertModel(
        BertConfig(hidden_size=6, num_attention_heads=1, num_hidden_layers=1, intermediate_size=8, vocab_size=10)
    )


def save(model, directory):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(directory)
    return str(directory)


def test_promoted_tokens_come_first_and_suppressed_ones_last(tiny, tmp_path):
    model = save(causal_model(), tmp_path)
    frame = tiny.compute(influences, model=model, top=3).to_pandas()
    values = tiny.decoder @ read_readout(model).weights.T
    for feature in range(12):
        rows = frame[frame["feature_id"] == feature]
        order = np.argsort(-values[feature], kind="stable")
        assert rows["token_id"].tolist() == [*order[:3], *order[-3:]]
        assert np.allclose(rows["value"], values[feature][rows["token_id"]], rtol=1e-5)
    assert GroupedTable(tiny.directory, "influences").metadata["kind"] == "logits"


def test_a_model_without_an_output_head_gives_the_nearest_input_tokens(new_tiny, tmp_path):
    tiny = new_tiny(0)
    model = encoder()
    folder = save(model, tmp_path)
    frame = tiny.compute(influences, model=folder, top=3).to_pandas()
    words = model.get_input_embeddings().weight.detach().numpy()
    words = words - words.mean(axis=0)
    cosine = tiny.decoder @ words.T
    cosine /= np.linalg.norm(tiny.decoder, axis=1)[:, None] * np.linalg.norm(words, axis=1)
    for feature in range(12):
        rows = frame[frame["feature_id"] == feature]
        assert rows["token_id"].tolist() == np.argsort(-cosine[feature])[:3].tolist()
        assert np.allclose(rows["value"], np.sort(cosine[feature])[::-1][:3], atol=1e-6)
    assert GroupedTable(tiny.directory, "influences").metadata["kind"] == "nearest input tokens"


def test_a_decoder_outside_of_the_residual_stream_is_refused(new_tiny, tmp_path):
    tiny = new_tiny(3)
    save_file({"W_dec": np.ones((12, 24), np.float32)}, tiny.workspace.sae_dir("sae") / "sae_weights.safetensors")
    with pytest.raises(BadInput, match="24 dimensions, the model's residual stream has 6"):
        tiny.compute(influences, model=save(causal_model(), tmp_path))
