import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
)

from loaders.errors import BadInput
from precompute.hook_names import depths, translate
from precompute.hooks import capture_outputs

SMALL = {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 32, "vocab_size": 50, "num_attention_heads": 2}
GROUPED = {**SMALL, "num_key_value_heads": 1, "head_dim": 8}
TOKENS = torch.arange(6)[None] + 3
CONFIGS = {
    "gpt2": GPT2Config(n_layer=2, n_embd=16, n_head=2, vocab_size=50, n_positions=16, bos_token_id=0, eos_token_id=0),
    "pythia": GPTNeoXConfig(**SMALL),
    "serial": GPTNeoXConfig(**SMALL, use_parallel_residual=False),
    "llama": LlamaConfig(**GROUPED),
    "mistral": MistralConfig(**GROUPED),
    "qwen": Qwen2Config(**{**SMALL, "num_key_value_heads": 1}),
    "gemma": Gemma2Config(**GROUPED),
}


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    return {name: AutoModelForCausalLM.from_config(config).eval() for name, config in CONFIGS.items()}


@torch.no_grad()
def value(model, place):
    """What is captured at a place, [positions, width]."""
    module = model.get_submodule(place.hook.removesuffix(".input"))
    with capture_outputs({"it": module}, inputs=place.hook.endswith(".input")) as captured:
        model(input_ids=TOKENS)
        return captured["it"][0].clone()


GPT2 = {
    "blocks.1.hook_resid_pre": "transformer.h.1.input",
    "blocks.1.ln1.hook_normalized": "transformer.h.1.ln_1",
    "blocks.1.attn.hook_z": "transformer.h.1.attn.c_proj.input",
    "blocks.1.hook_attn_out": "transformer.h.1.attn",
    "blocks.1.hook_resid_mid": "transformer.h.1.ln_2.input",
    "blocks.1.mlp.hook_pre": "transformer.h.1.mlp.c_fc",
    "blocks.1.mlp.hook_post": "transformer.h.1.mlp.c_proj.input",
    "blocks.1.hook_mlp_out": "transformer.h.1.mlp",
    "blocks.1.hook_resid_post": "transformer.h.1",
    "hook_embed": "transformer.wte",
    "ln_final.hook_normalized": "transformer.ln_f",
    "transformer.h.1": "transformer.h.1",
    "transformer.h.1.mlp.input": "transformer.h.1.mlp.input",
    "h.1": "transformer.h.1",
    "h.1.mlp": "transformer.h.1.mlp",
    "resid_post_layer_1": "transformer.h.1",
    "resid_pre_layer1": "transformer.h.1.input",
    "attention_out_layer_1": "transformer.h.1.attn",
    "mlp_out_layer_1": "transformer.h.1.mlp",
}
OTHERS = {
    ("pythia", "blocks.1.attn.hook_z"): "gpt_neox.layers.1.attention.dense.input",
    ("pythia", "layers.1"): "gpt_neox.layers.1",
    ("pythia", "layers.1.mlp"): "gpt_neox.layers.1.mlp",
    ("pythia", "hook_embed"): "gpt_neox.layers.0.input",
    ("serial", "blocks.0.hook_resid_mid"): "gpt_neox.layers.0.post_attention_layernorm.input",
    ("llama", "layers.1"): "model.layers.1",
    ("llama", "blocks.1.attn.hook_z"): "model.layers.1.self_attn.o_proj.input",
    ("llama", "blocks.1.hook_resid_mid"): "model.layers.1.post_attention_layernorm.input",
    ("llama", "blocks.1.mlp.hook_post"): "model.layers.1.mlp.down_proj.input",
    ("mistral", "blocks.1.hook_mlp_out"): "model.layers.1.mlp",
    ("qwen", "blocks.1.hook_attn_out"): "model.layers.1.self_attn",
    ("gemma", "blocks.1.hook_attn_out"): "model.layers.1.post_attention_layernorm",
    ("gemma", "blocks.1.hook_resid_mid"): "model.layers.1.pre_feedforward_layernorm.input",
    ("gemma", "blocks.1.hook_mlp_out"): "model.layers.1.post_feedforward_layernorm",
}


@pytest.mark.parametrize(("name", "hook"), GPT2.items())
def test_names_of_other_libraries_are_places_of_gpt2(models, name, hook):
    assert translate(models["gpt2"], name).hook == hook


@pytest.mark.parametrize(("model", "name"), OTHERS)
def test_blocks_of_other_families_are_found_by_their_structure(models, model, name):
    assert translate(models[model], name).hook == OTHERS[model, name]


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "pythia"])
def test_the_residual_stream_adds_up_at_the_places_that_are_named(models, name):
    model = models[name]
    at = {
        part: value(model, translate(model, f"blocks.1.hook_{part}"))
        for part in ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
    }
    torch.testing.assert_close(at["resid_mid"], at["resid_pre"] + at["attn_out"])
    torch.testing.assert_close(at["resid_post"], at["resid_mid"] + at["mlp_out"])
    torch.testing.assert_close(at["resid_pre"], value(model, translate(model, "blocks.0.hook_resid_post")))


def test_parallel_blocks_have_nothing_between_attention_and_mlp(models):
    model = models["pythia"]
    parts = [value(model, translate(model, f"blocks.1.hook_{part}")) for part in ("resid_pre", "attn_out", "mlp_out")]
    torch.testing.assert_close(sum(parts), value(model, translate(model, "blocks.1.hook_resid_post")))
    with pytest.raises(BadInput, match=r"'blocks\.1\.hook_resid_mid' cannot be found"):
        translate(model, "blocks.1.hook_resid_mid")


def test_gemmas_embedding_is_what_its_first_block_receives(models):
    place = translate(models["gemma"], "hook_embed")
    tokens = models["gemma"].model.embed_tokens(TOKENS)[0].detach()
    found = value(models["gemma"], place)
    assert place.is_residual
    torch.testing.assert_close(found / found.norm(), tokens / tokens.norm(), atol=1e-3, rtol=1e-3)
    assert float((found.norm() / tokens.norm()).round()) in (1.0, 4.0)  # sqrt(16), where the table does not hold it yet


def test_only_the_input_of_folded_norms_is_meant(models):
    assert translate(models["gpt2"], "blocks.0.ln1.hook_normalized", folds_norms=True).norm == "transformer.h.0.ln_1"
    assert translate(models["gpt2"], "blocks.0.ln1.hook_normalized").norm is None
    assert translate(models["llama"], "blocks.0.ln1.hook_normalized").hook == "model.layers.0.input_layernorm.input"


def test_places_know_what_they_hold(models):
    assert translate(models["gpt2"], "blocks.1.attn.hook_z").z_of == "transformer.h.1.attn"
    assert translate(models["gpt2"], "transformer.h.1").is_residual
    assert translate(models["gpt2"], "transformer.h.1").layer == 1
    assert not translate(models["gpt2"], "blocks.1.mlp.hook_post").is_residual


@pytest.mark.parametrize(
    "name", ["blocks.7.hook_resid_pre", "blocks.1.hook_residpre", "resid_post_layer_9", "nonsense"]
)
def test_what_cannot_be_translated_is_refused_with_the_nearest_names(models, name):
    with pytest.raises(BadInput, match=rf"'{name}' cannot be found in GPT2LMHeadModel\. Nearest names: .*--hook"):
        translate(models["gpt2"], name)
    with pytest.raises(BadInput, match=r"Nearest names: blocks\.\d\.hook_resid_pre"):
        translate(models["gpt2"], "blocks.7.hook_resid_pre")


def test_places_are_sorted_as_the_model_reads_them(models):
    names = (
        "hook_embed",
        "blocks.0.hook_resid_pre",
        "blocks.0.attn.hook_z",
        "blocks.0.hook_resid_mid",
        "blocks.0.mlp.hook_post",
    )
    names += (
        "blocks.0.hook_resid_post",
        "blocks.1.hook_resid_pre",
        "blocks.1.ln2.hook_normalized",
        "blocks.1.hook_resid_post",
    )
    for name in ("gpt2", "llama"):
        depth = depths(models[name])
        found = [depth(translate(models[name], hook)) for hook in names]
        assert found == sorted(found)
