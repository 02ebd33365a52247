"""A GPT-2 written out in plain torch, with what TransformerLens's processing of weights changes, and SAEs to read it."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file
from tokenizers import ByteLevelBPETokenizer
from torch.nn.functional import gelu, layer_norm
from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

from catalog.catalog import Catalog
from precompute.add import Config, run

WIDTH, HEADS, POSITIONS, END = 16, 2, 24, "<|end|>"
TEXTS = [f"{number} the cat sat on the mat, {'the cats sat ' * (1 + number % 4)}" for number in range(40)]


def write_model(folder: Path) -> Path:
    """Random weights, with norms and biases that are not trivial."""
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(TEXTS, vocab_size=300, special_tokens=[END], show_progress=False)
    tokenizer = GPT2TokenizerFast(
        tokenizer_object=trained._tokenizer, model_max_length=POSITIONS, eos_token=END, bos_token=END
    )
    end = tokenizer.eos_token_id
    shape = {"n_positions": POSITIONS, "n_embd": WIDTH, "n_layer": 2, "n_head": HEADS}
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), bos_token_id=end, eos_token_id=end, **shape))
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.copy_(torch.randn_like(tensor) * 0.3 + (1 if "ln_" in name and name.endswith("weight") else 0.1))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_texts(path: Path) -> Path:
    path.write_text("".join(json.dumps({"text": text.strip()}) + "\n" for text in TEXTS))
    return path


def write_sae(
    folder: Path, model: Path, hook: str, width: int = WIDTH, metadata: dict | None = None, exact: bool = False, **cfg
) -> Path:
    """A SAELens SAE as version 6 saves it: a random one, or with `exact` one that rebuilds everything."""
    generator = torch.Generator().manual_seed(len(hook))
    if exact:
        eye = torch.eye(width)
        tensors = {"W_enc": torch.cat([eye, -eye], 1), "W_dec": torch.cat([eye, -eye]), "b_dec": torch.zeros(width)}
        tensors["b_enc"] = torch.zeros(2 * width)
    else:
        shapes = {"W_enc": (width, 48), "W_dec": (48, width), "b_enc": (48,), "b_dec": (width,)}
        tensors = {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()}
    folder.mkdir(parents=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "sae_weights.safetensors")
    said = {"model_name": str(model), "hook_name": hook, "prepend_bos": True, "context_size": POSITIONS}
    made = {"architecture": "standard", "d_in": width, "d_sae": len(tensors["b_enc"]), "apply_b_dec_to_input": True}
    if exact:
        made |= {"architecture": "topk", "k": width}
    (folder / "cfg.json").write_text(json.dumps({**made, **cfg, "metadata": {**said, **(metadata or {})}}))
    return folder


def norm(x: torch.Tensor, module: torch.nn.LayerNorm) -> torch.Tensor:
    return layer_norm(x, (WIDTH,), module.weight, module.bias, module.eps)


@torch.no_grad()
def states(model: GPT2LMHeadModel, tokens: list[int]) -> dict[str, torch.Tensor]:
    """The places of block 1, [positions, width], from the weights alone; `bias`: the values' bias as folding moves it."""
    network = model.transformer
    x = network.wte.weight[tokens] + network.wpe.weight[: len(tokens)]
    found = {}
    for block in network.h:
        found = {"hook_resid_pre": x}
        inside = norm(x, block.ln_1)
        joined = inside @ block.attn.c_attn.weight + block.attn.c_attn.bias
        q, k, v = (part.reshape(len(tokens), HEADS, -1).transpose(0, 1) for part in joined.split(WIDTH, 1))
        scores = q @ k.transpose(1, 2) / (WIDTH // HEADS) ** 0.5
        scores = scores.masked_fill(torch.ones(len(tokens), len(tokens)).triu(1).bool(), float("-inf"))
        found["attn.hook_z"] = (scores.softmax(-1) @ v).transpose(0, 1).reshape(len(tokens), WIDTH)
        found["bias"] = block.attn.c_attn.bias[2 * WIDTH :] + block.ln_1.bias @ block.attn.c_attn.weight[:, 2 * WIDTH :]
        found["hook_attn_out"] = found["attn.hook_z"] @ block.attn.c_proj.weight + block.attn.c_proj.bias
        found["hook_resid_mid"] = x = x + found["hook_attn_out"]
        found["ln2.hook_normalized"] = norm(x, block.ln_2)
        found["folded ln2.hook_normalized"] = layer_norm(x, (WIDTH,), eps=block.ln_2.eps)
        inner = gelu(norm(x, block.ln_2) @ block.mlp.c_fc.weight + block.mlp.c_fc.bias, approximate="tanh")
        found["hook_mlp_out"] = inner @ block.mlp.c_proj.weight + block.mlp.c_proj.bias
        found["hook_resid_post"] = x = x + found["hook_mlp_out"]
    return found


def codes(folder: Path, x: torch.Tensor) -> torch.Tensor:
    """The formula of a standard SAE on rows as it reads them."""
    from safetensors.torch import load_file

    t = load_file(folder / "sae_weights.safetensors")
    return ((x - t["b_dec"]) @ t["W_enc"] + t["b_enc"]).relu()


def write_folder(made):
    """A model and a file of texts for it in the folder `made`, which is returned."""
    write_model(made / "model")
    write_texts(made / "texts.jsonl")
    return made


def add(folder, workspace, sae, **options):
    config = Config(str(sae), str(folder / "texts.jsonl"), **{"force": True, **options})
    return run(config, workspace, Catalog(workspace.catalog_url))


def activations(workspace, store_id):
    """Dense activations of each text [tokens, features], in the order of TEXTS."""
    store = workspace.open_store(store_id)
    dense = np.zeros((store.manifest["samples"], store.manifest["features"]), np.float32)
    for feature in range(dense.shape[1]):
        found = store.activations(feature)
        dense[found.indices, feature] = found.activations
    data = workspace.dataset(store_id.partition("@")[2])
    texts = pq.read_table(data.directory / "contexts.parquet")["text"].to_pylist()
    at = [texts.index(text.strip()) for text in TEXTS]
    return [dense[data.sample_offsets[number] : data.sample_offsets[number + 1]] for number in at]
