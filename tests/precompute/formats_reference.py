"""Each format's own formula, dense, in float64 NumPy, on the files alone: nothing of Loupe's code is used."""

import json

import numpy as np
import torch
from safetensors.numpy import load_file


def keep_topk(pre, k):
    return np.where(pre >= np.sort(pre, axis=1)[:, -k, None], np.maximum(pre, 0), 0)


def jump(pre, threshold):
    return np.maximum(pre, 0) * (pre > threshold)


def as_double(tensors):
    return {name: np.asarray(tensor, np.float64) for name, tensor in tensors.items()}


def saelens(directory, x):
    cfg, t = (
        json.loads((directory / "cfg.json").read_text()),
        as_double(load_file(directory / "sae_weights.safetensors")),
    )
    scale, mean = 1.0, 0.0
    if cfg["normalize_activations"] == "constant_norm_rescale":
        scale = x.shape[1] ** 0.5 / np.linalg.norm(x, axis=1, keepdims=True)
    if cfg["normalize_activations"] == "layer_norm":
        mean, scale = x.mean(1, keepdims=True), 1 / x.std(1, keepdims=True, ddof=1)
    if cfg["normalize_activations"] == "expected_average_only_in":
        scale = json.loads((directory / "activation_scaler.json").read_text())["scaling_factor"]
    inside = (x - mean) * scale - (t["b_dec"] if cfg["apply_b_dec_to_input"] else 0)
    product, w_dec = inside @ t["W_enc"], t["W_dec"]
    if cfg["architecture"] == "gated":
        codes = (product + t["b_gate"] > 0) * np.maximum(product * np.exp(t["r_mag"]) + t["b_mag"], 0)
    elif cfg["architecture"] == "topk":
        norms = np.linalg.norm(w_dec, axis=1) if cfg["rescale_acts_by_decoder_norm"] else np.ones(len(w_dec))
        codes, w_dec = keep_topk((product + t["b_enc"]) * norms, cfg["k"]), w_dec / norms[:, None]
    elif cfg["architecture"] == "jumprelu":
        codes = jump(product + t["b_enc"], t["threshold"])
    else:
        codes = np.maximum(product + t["b_enc"], 0)
    return (codes @ w_dec + t["b_dec"]) / scale + mean


def gemma_scope(directory, x):
    t = as_double(np.load(directory / "params.npz"))
    return jump(x @ t["W_enc"] + t["b_enc"], t["threshold"]) @ t["W_dec"] + t["b_dec"]


def sparsify(directory, x):
    cfg, t = json.loads((directory / "cfg.json").read_text()), as_double(load_file(directory / "sae.safetensors"))
    pre = (x - t["b_dec"]) @ t["encoder.weight"].T + t["encoder.bias"]
    return keep_topk(pre, cfg["k"]) @ t["W_dec"] + t["b_dec"]


def dictionary_learning(directory, x):
    trainer = json.loads((directory / "config.json").read_text())["trainer"]
    t = as_double(torch.load(directory / "ae.pt", weights_only=True))
    kind = trainer["dict_class"]
    if kind == "AutoEncoder":
        codes = np.maximum((x - t["bias"]) @ t["encoder.weight"].T + t["encoder.bias"], 0)
        return codes @ t["decoder.weight"].T + t["bias"]
    if kind == "GatedAutoEncoder":
        product = (x - t["decoder_bias"]) @ t["encoder.weight"].T
        codes = (product + t["gate_bias"] > 0) * np.maximum(np.exp(t["r_mag"]) * product + t["mag_bias"], 0)
        return codes @ t["decoder.weight"].T + t["decoder_bias"]
    if kind == "JumpReluAutoEncoder":
        return jump(x @ t["W_enc"] + t["b_enc"], t["threshold"]) @ t["W_dec"] + t["b_dec"]
    if kind == "MatryoshkaBatchTopKSAE":
        return jump((x - t["b_dec"]) @ t["W_enc"] + t["b_enc"], t["threshold"]) @ t["W_dec"] + t["b_dec"]
    pre = (x - t["b_dec"]) @ t["encoder.weight"].T + t["encoder.bias"]
    codes = keep_topk(pre, int(t["k"])) if kind == "AutoEncoderTopK" else jump(pre, t["threshold"])
    return codes @ t["decoder.weight"].T + t["b_dec"]
