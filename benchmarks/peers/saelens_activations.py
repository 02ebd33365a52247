"""Runs in SAELens's own environment: makes SAEs with its own code, and codes texts with them through TransformerLens.

python saelens_activations.py DIR

DIR holds `model` (a GPT-2 as transformers saves it) and `texts.jsonl`. Every case becomes a folder in DIR/cases: the SAE as
SAELens saves it, and `expected.npz` with the activations [tokens, features] of all texts in order, first tokens left out,
and the number of tokens of each text."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from sae_lens import (
    GatedSAE,
    GatedSAEConfig,
    JumpReLUSAE,
    JumpReLUSAEConfig,
    StandardSAE,
    StandardSAEConfig,
    TopKSAE,
    TopKSAEConfig,
)
from sae_lens.load_model import load_model
from sae_lens.saes.sae import SAEMetadata
from sae_lens.training.activation_scaler import ActivationScaler
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

CENTRED = {"center_writing_weights": True}
PROCESSED = {"fold_ln": True, "center_writing_weights": True, "center_unembed": True, "fold_value_biases": True}
PROCESSINGS = {"plain": {}, "centred": CENTRED, "processed": PROCESSED}
HOOKS = (
    "blocks.1.hook_resid_pre",
    "blocks.1.hook_resid_mid",
    "blocks.1.hook_resid_post",
    "blocks.1.attn.hook_z",
    "blocks.1.hook_attn_out",
    "blocks.1.hook_mlp_out",
    "blocks.1.mlp.hook_pre",
    "blocks.1.mlp.hook_post",
    "blocks.1.ln1.hook_normalized",
    "blocks.1.ln2.hook_normalized",
    "ln_final.hook_normalized",
    "hook_embed",
)
MADE = {
    "standard": lambda **cfg: StandardSAE(StandardSAEConfig(**cfg)),
    "topk": lambda **cfg: TopKSAE(TopKSAEConfig(k=8, **cfg)),
    "jumprelu": lambda **cfg: JumpReLUSAE(JumpReLUSAEConfig(**cfg)),
    "gated": lambda **cfg: GatedSAE(GatedSAEConfig(**cfg)),
}
FEATURES = 96


def cases():
    """Name, architecture, hook point, processing, whether contexts begin with the first token, normalisation."""
    for hook in HOOKS:
        for processing in PROCESSINGS:
            for bos in (True, False):
                yield "standard", hook, processing, bos, "none"
    for norm in ("layer_norm", "constant_norm_rescale", "expected_average_only_in"):
        for hook in ("blocks.1.hook_resid_pre", "blocks.1.hook_mlp_out", "blocks.1.attn.hook_z"):
            for architecture in MADE:
                yield architecture, hook, "centred", True, norm


@torch.no_grad()
def main(root: Path) -> None:
    torch.manual_seed(0)
    source = GPT2LMHeadModel.from_pretrained(root / "model", torch_dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(root / "model" / "tokenizer.json"))
    models = {name: hooked(source, wanted) for name, wanted in PROCESSINGS.items()}
    lines = (root / "texts.jsonl").read_text().splitlines()
    texts = [tokenizer(json.loads(line)["text"], add_special_tokens=False)["input_ids"] for line in lines]
    first = source.config.bos_token_id
    for architecture, hook, processing, bos, norm in cases():
        rows = [states(models[processing], tokens, first if bos else None, hook) for tokens in texts]
        metadata = SAEMetadata(
            model_name=str(root / "model"),
            hook_name=hook,
            prepend_bos=bos,
            context_size=source.config.n_positions,
            model_class_name="HookedTransformer",
            model_from_pretrained_kwargs=PROCESSINGS[processing],
        )
        name = "-".join([hook, architecture, processing, "bos" if bos else "no_bos", norm])
        write_case(root / "cases" / name, architecture, rows, metadata, norm)
    through_transformers(root, texts, first)


def hooked(source: GPT2LMHeadModel, wanted: dict[str, bool]) -> HookedTransformer:
    """TransformerLens's model of the same weights, processed as SAELens has it done."""
    config = source.config
    cfg = HookedTransformerConfig(
        n_layers=config.n_layer,
        d_model=config.n_embd,
        n_ctx=config.n_positions,
        n_heads=config.n_head,
        d_head=config.n_embd // config.n_head,
        d_vocab=config.vocab_size,
        act_fn="gelu_new",
        eps=config.layer_norm_epsilon,
        normalization_type="LNPre" if wanted.get("fold_ln") else "LN",
    )
    model = HookedTransformer(cfg)
    asked = dict.fromkeys(PROCESSED, False) | wanted
    model.load_and_process_state_dict(convert_gpt2_weights(source, cfg), **asked)
    return model.eval()


def states(model: HookedTransformer, tokens: list[int], first: int | None, hook: str) -> torch.Tensor:
    """What the hook point hands on at every token but the first one that was put before them."""
    given = torch.tensor([[*([] if first is None else [first]), *tokens]])
    _, cache = model.run_with_cache(given, names_filter=[hook])
    return cache[hook][0, 0 if first is None else 1 :]


def write_case(folder: Path, architecture: str, rows: list[torch.Tensor], metadata: SAEMetadata, norm: str) -> None:
    """Make a random SAE for the rows of each text, save it, and code them with it as saved."""
    every = torch.cat(rows)
    width = every[0].numel()
    flat = every.reshape(len(every), width)
    sae = MADE[architecture](
        d_in=width,
        d_sae=FEATURES,
        normalize_activations=norm,
        reshape_activations="hook_z" if every.ndim == 3 else "none",
        metadata=metadata,
    )
    scaler = ActivationScaler()
    if norm == "expected_average_only_in":
        scaler.scaling_factor = width**0.5 / float(flat.norm(dim=1).mean())
    size = 1.0 if norm != "none" else float(flat.std())
    for name, tensor in sae.named_parameters():
        tensor.copy_(torch.randn_like(tensor) * (0.3 * size if tensor.ndim == 1 else width**-0.5))
        if name in ("threshold", "r_mag"):
            tensor.copy_(torch.rand_like(tensor) * 0.3 * (size if name == "threshold" else 1))
    folder.mkdir(parents=True)
    sae.save_model(folder)
    if scaler.scaling_factor is not None:
        scaler.save(str(folder / "activation_scaler.json"))
    codes = torch.cat([sae.encode(scaler.scale(part[None]))[0] for part in rows])
    np.savez(folder / "expected.npz", acts=codes.numpy(), lengths=[len(part) for part in rows])


def through_transformers(root: Path, texts: list[list[int]], first: int) -> None:
    """The same without TransformerLens: SAELens's own wrapper of a model of transformers, hooks by its modules' names."""
    for hook in ("transformer.h.1", "transformer.h.0.mlp"):
        model = load_model("AutoModelForCausalLM", str(root / "model"), device="cpu", hook_names=[hook])
        metadata = SAEMetadata(
            model_name=str(root / "model"), hook_name=hook, prepend_bos=True, model_class_name="AutoModelForCausalLM"
        )
        rows = []
        for tokens in texts:
            _, cache = model.run_with_cache(torch.tensor([[first, *tokens]]), names_filter=[hook])
            rows.append(cache[hook][0, 1:])
        write_case(root / "cases" / f"{hook}-topk-transformers", "topk", rows, metadata, "none")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
