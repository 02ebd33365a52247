"""The readout of a model against its own output."""

import numpy as np
import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from precompute.readout import read_readout

WIDTH, VOCABULARY = 6, 10
SIZES = {"hidden_size": WIDTH, "num_attention_heads": 1, "num_hidden_layers": 1, "vocab_size": VOCABULARY}
SPECIAL = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
CAUSAL = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(n_embd=WIDTH, n_head=1, n_layer=1, vocab_size=VOCABULARY, **SPECIAL)),
    "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(intermediate_size=8, **SIZES, **SPECIAL)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(intermediate_size=8, num_key_value_heads=1, **SIZES, **SPECIAL)),
    "gemma2": lambda: Gemma2ForCausalLM(
        Gemma2Config(
            intermediate_size=8, num_key_value_heads=1, head_dim=6, final_logit_softcapping=None, **SIZES, **SPECIAL
        )
    ),
}


def save(model, directory):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(directory)
    return str(directory)


@pytest.mark.parametrize("kind", CAUSAL)
def test_the_readout_is_how_a_direction_moves_the_logits_at_the_final_norms_scale(tmp_path, kind):
    model = CAUSAL[kind]()
    readout = read_readout(save(model, tmp_path))
    norm = [module for name, module in model.named_modules() if "norm" in type(module).__name__.lower()][-1]
    if kind == "gpt2":
        norm = model.transformer.ln_f
    residual = torch.linspace(-2, 3, WIDTH) + torch.tensor([0.5, -1, 2, 0, 1, -0.25])
    # along the residual the norm's scale changes; across it, to first order, it does not
    centred = residual - residual.mean() if kind.startswith("gpt") else residual
    direction = torch.randn(WIDTH, generator=torch.Generator().manual_seed(1))
    direction -= centred * (direction @ centred) / (centred @ centred)
    head, step = model.get_output_embeddings(), 1e-3
    with torch.no_grad():
        change = (head(norm(residual + step * direction)) - head(norm(residual - step * direction))) / (2 * step)
        scale = centred.square().mean().sqrt()
    assert readout.kind == "logits"
    assert np.allclose(readout.weights @ direction.numpy(), (change * scale).numpy(), atol=2e-3)


def test_a_checkpoint_of_several_files_is_read(tmp_path):
    model = CAUSAL["llama"]()
    whole = read_readout(save(model, tmp_path / "whole")).weights
    model.save_pretrained(tmp_path / "parts", max_shard_size="1KB")
    assert (tmp_path / "parts" / "model.safetensors.index.json").exists()
    assert np.array_equal(read_readout(str(tmp_path / "parts")).weights, whole)
