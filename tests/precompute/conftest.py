"""A workspace whose activations are sparse sums of known directions, so that what an SAE must find is known."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizerFast,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2TokenizerFast,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from loaders.manifest import file_sha256
from loaders.schema import SCHEMA_VERSION
from loaders.workspace import Workspace
from precompute.raw import create_group, write_raw

CONTEXTS, TOKENS_EACH = 1200, 12  # of which the first and the last token are special


@dataclass(frozen=True)
class Planted:
    """`rows` [samples, width] = codes @ atoms + offset, as captured at hook point `hidden` of model `planted`."""

    workspace: Workspace
    atoms: np.ndarray  # (atoms, width), unit rows
    rows: np.ndarray  # (samples, width) float16
    is_held_out: np.ndarray  # (samples)


def write_planted(root: Path, atoms: int = 64, width: int = 32, active: int = 3, seed: int = 0) -> Planted:
    """Write dataset `words` and its activations under `root`."""
    generator = np.random.default_rng(seed)
    samples = CONTEXTS * (TOKENS_EACH - 2)
    directions = generator.normal(size=(atoms, width))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    codes = np.zeros((samples, atoms))
    chosen = generator.random((samples, atoms)).argpartition(active, axis=1)[:, :active]
    np.put_along_axis(codes, chosen, generator.uniform(1, 3, (samples, active)), axis=1)
    rows = (codes @ directions + 0.5 * generator.normal(size=width)).astype(np.float16)
    workspace = Workspace(root)
    held_out = write_words(workspace.dataset_dir("words"), generator)
    write_activations(workspace.activations_dir("planted", "words", "hidden"), rows)
    return Planted(workspace, directions, rows, np.repeat(held_out, TOKENS_EACH - 2))


def write_words(directory: Path, generator: np.random.Generator) -> np.ndarray:
    """Write a dataset of CONTEXTS contexts; returns which of them are held out."""
    group = create_group(directory / "tokens.zarr", {})
    tokens = generator.integers(2, 10, (CONTEXTS, TOKENS_EACH))
    tokens[:, 0], tokens[:, -1] = 0, 1
    spans = np.zeros((CONTEXTS, TOKENS_EACH), np.uint32)
    spans[:, 1:-1] = np.arange(0, 2 * (TOKENS_EACH - 2), 2)
    is_sample = np.zeros((CONTEXTS, TOKENS_EACH), np.bool_)
    is_sample[:, 1:-1] = True
    held_out = generator.random(CONTEXTS) < 0.1
    write_raw(group, "tokens", tokens.astype(np.uint32).ravel())
    write_raw(group, "offsets", np.arange(CONTEXTS + 1, dtype=np.int64) * TOKENS_EACH)
    write_raw(group, "samples", np.flatnonzero(is_sample))
    write_raw(group, "sample_offsets", np.arange(CONTEXTS + 1, dtype=np.int64) * (TOKENS_EACH - 2))
    write_raw(group, "span_start", spans.ravel())
    write_raw(group, "span_end", np.where(is_sample, spans + 1, 0).astype(np.uint32).ravel())
    write_raw(group, "held_out", held_out.astype(np.uint8))
    texts = [" ".join("abcdefghij"[token] for token in row[1:-1]) for row in tokens]
    pq.write_table(pa.table({"text": texts}), directory / "contexts.parquet", row_group_size=4096)
    (directory / "vocab.json").write_text(json.dumps(["[", "]", *"cdefghij"]))
    paths = [path for path in directory.rglob("*") if path.is_file()]
    files = {
        path.relative_to(directory).as_posix(): {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for path in paths
    }
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "kind": "dataset",
        "id": directory.name,
        "contexts": CONTEXTS,
        "tokens": tokens.size,
        "samples": int(is_sample.sum()),
        "columns": [],
        "fingerprint": "d" * 64,
        "files": files,
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return held_out


def write_activations(directory: Path, rows: np.ndarray, dataset: str = "d" * 64, model: str = "m" * 64) -> None:
    """Write rows as captured activations in two shards."""
    directory.mkdir(parents=True, exist_ok=True)
    shards, start = [], 0
    for number, part in enumerate(np.array_split(rows, 2)):
        name = f"shard_{number:04d}.npy"
        np.save(directory / name, part)
        shards.append({"file": name, "start": start, "rows": len(part)})
        start += len(part)
    manifest = {
        "rows": len(rows),
        "width": rows.shape[1],
        "shards": shards,
        "model": "planted model",
        "fingerprints": {"model": model, "dataset": dataset},
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return write_planted(tmp_path)


def write_encoder(folder: Path) -> Path:
    """A random BERT of two layers, width 24, with a WordPiece tokenizer that knows a few words."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "on", "a", "mat", "##s", "##ting", "."]
    letters = [*"abcdefghijklmnopqrstuvwxyz", *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]
    vocabulary = {
        word: number for number, word in enumerate([*words, *(sign for sign in letters if sign not in words)])
    }
    wordpiece = BertWordPieceTokenizer(vocabulary, lowercase=True)
    tokenizer = BertTokenizerFast(tokenizer_object=wordpiece._tokenizer, model_max_length=32)
    shape = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    torch.manual_seed(0)
    model = BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=32, **shape))
    return save(folder, model, tokenizer)


def write_causal(folder: Path) -> Path:
    """A random GPT-2 of two layers, width 16, with a byte-level BPE tokenizer trained on one sentence."""
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(["the cat sat on the mat, the cats sat"], vocab_size=280, special_tokens=["<|end|>"])
    tokenizer = GPT2TokenizerFast(tokenizer_object=trained._tokenizer, model_max_length=16, eos_token="<|end|>")
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_positions=16, n_embd=16, n_layer=2, n_head=2))
    return save(folder, model, tokenizer)


def save(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("models") / "Tiny Encoder")


@pytest.fixture(scope="session")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_causal(tmp_path_factory.mktemp("models") / "tiny-causal")
