import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPTNeoConfig, GPTNeoXConfig, LlamaConfig, Qwen2Config

from precompute.add_conventions import Conventions
from precompute.add_place import plan_reading, take_shift, value_bias
from precompute.add_sources import Found
from precompute.hook_names import translate
from precompute.hooks import capture_outputs
from precompute.saes.sae import Sae

SMALL = {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 32, "vocab_size": 50, "num_attention_heads": 4}
TOKENS = torch.arange(6)[None] + 3
CONFIGS = {
    "gpt2": GPT2Config(n_layer=2, n_embd=16, n_head=4, vocab_size=50, n_positions=16, bos_token_id=0, eos_token_id=0),
    "neox": GPTNeoXConfig(**SMALL),
    "qwen": Qwen2Config(**SMALL, num_key_value_heads=2),
    "llama": LlamaConfig(**SMALL, num_key_value_heads=2),
    "neo": GPTNeoConfig(
        num_layers=2,
        hidden_size=16,
        num_heads=4,
        vocab_size=50,
        attention_types=[[["global"], 2]],
        intermediate_size=32,
    ),
}


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    made = {
        name: AutoModelForCausalLM.from_config(config).eval().requires_grad_(False) for name, config in CONFIGS.items()
    }
    for model in made.values():
        for name, tensor in model.named_parameters():
            if name.endswith("bias"):
                tensor.copy_(torch.randn_like(tensor))
    return made


def heads_values(model, place):
    module = model.get_submodule(place.hook.removesuffix(".input"))
    with torch.no_grad(), capture_outputs({"z": module}, inputs=True) as captured:
        model(input_ids=TOKENS)
        return captured["z"][0].clone()


def without_value_biases(model, name):
    """The same model, its values' biases set to 0."""
    attention = model.get_submodule(translate(model, "blocks.1.attn.hook_z").z_of)
    if name == "gpt2":
        attention.c_attn.bias[32:] = 0
    elif name == "neox":
        attention.query_key_value.bias.reshape(4, 3, 4)[:, 2] = 0
    elif name == "qwen":
        attention.v_proj.bias.zero_()


@pytest.mark.parametrize("name", CONFIGS)
def test_value_biases_are_a_constant_of_the_heads_values(models, name):
    model = models[name]
    place = translate(model, "blocks.1.attn.hook_z")
    bias, before = value_bias(model, place.z_of, folds_norms=False), heads_values(model, place)
    assert bias.shape == (16,)
    without_value_biases(model, name)
    torch.testing.assert_close(heads_values(model, place), before - bias, rtol=1e-4, atol=1e-5)
    assert bool(bias.any()) == (name in ("gpt2", "neox", "qwen"))


def test_a_norms_bias_goes_with_the_values_only_where_norms_are_folded(models):
    model = models["gpt2"]
    place = translate(model, "blocks.0.attn.hook_z")
    plain, folded = (value_bias(model, place.z_of, folds) for folds in (False, True))
    weights = model.transformer.h[0].attn.c_attn.weight[:, 32:]
    torch.testing.assert_close(folded - plain, model.transformer.h[0].ln_1.bias @ weights)
    rms = models["qwen"]
    where = translate(rms, "blocks.0.attn.hook_z").z_of
    torch.testing.assert_close(value_bias(rms, where, True), value_bias(rms, where, False))


def test_only_models_whose_norms_subtract_the_mean_are_centred(models, tmp_path):
    done = Conventions(
        Found(tmp_path), hook="blocks.1.hook_resid_pre", processing=frozenset({"center_writing_weights"})
    )
    assert plan_reading(models["gpt2"], done).stages == [{"stage": "centre"}]
    assert plan_reading(models["llama"], done).stages == []
    z = Conventions(Found(tmp_path), hook="blocks.1.attn.hook_z", processing=done.processing)
    assert plan_reading(models["gpt2"], z).stages == []  # the heads' values are no part of the stream yet


def test_rms_norms_are_standardised_with_their_own_epsilon(models, tmp_path):
    said = Conventions(Found(tmp_path), hook="blocks.1.ln1.hook_normalized")
    assert plan_reading(models["llama"], said).stages == [{"stage": "standardise", "by": "rms", "eps": 1e-6}]
    assert plan_reading(models["gpt2"], said).stages == []


def test_the_users_hook_point_goes_before_the_files(models, tmp_path):
    said = Conventions(Found(tmp_path), hook="nonsense")
    assert plan_reading(models["gpt2"], said, hook="transformer.h.1.mlp").place.hook == "transformer.h.1.mlp"


def test_a_shift_of_the_rows_is_a_shift_of_the_decoders_bias():
    sae = Sae("standard", torch.ones(3, 2), torch.ones(3, 2), torch.tensor([1.0, 2.0]), {"b_enc": torch.zeros(3)})
    assert take_shift(sae, torch.tensor([0.5, 0.5])).b_dec.tolist() == [1.5, 2.5]
    assert take_shift(sae, None) is sae
