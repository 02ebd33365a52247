"""Step `grammar-model`: train a small causal model on the planted grammar until it gets the determined tokens right.

Hands on a plain Hugging Face folder, `models/grammar/`, with its tokenizer and `truth.json`: what is right, and how often
the model is.
"""

import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from torch.nn.functional import pad
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from loaders.errors import BadInput, LoupeError
from loaders.workspace import Workspace
from precompute.checkpoints import load_checkpoint, save_checkpoint
from precompute.corpora.grammar import (
    BOS,
    CONSTRUCTIONS,
    MAX_TOKENS,
    ROLES,
    TOKEN_IDS,
    UNKNOWN,
    VOCABULARY,
    MarkedContext,
    marked_contexts,
    role_ids,
)
from precompute.disk import require_space
from precompute.progress import Progress, Step
from precompute.threads import torch_threads

MODEL_ID = "grammar"
LEAST_ACCURACY = 0.97
NOT_TRAINED_ON = -100  # the label that the loss ignores
UNKNOWN_SHARE = 0.005  # of the words trained on become <unk>, so that the model is at ease with words it does not know
NOT_FUNCTIONAL = {"threads", "checkpoint_every"}  # change how the run goes, not what it computes


@dataclass(frozen=True)
class Config:
    """Settings of the model and its training."""

    seed: int = 0
    """Seed of the initial weights, the texts trained on and the held-out texts."""
    layers: int = 4
    """Transformer blocks."""
    width: int = 112
    """Dimensions of the residual stream."""
    heads: int = 4
    """Attention heads of a block."""
    steps: int = 1600
    """Optimiser steps; every context is read once."""
    batch: int = 16
    """Contexts per step."""
    lr: float = 3e-3
    """Peak learning rate of AdamW: linear warm-up, then a cosine to zero."""
    warmup: int = 80
    """Steps of the warm-up."""
    held_out: int = 500
    """Contexts that the accuracy is measured on."""
    checkpoint_every: int = 200
    """Steps between two checkpoints."""
    threads: int = 0
    """Threads of torch; 0 takes what torch finds. Recorded, and kept by a resumed run."""


class NotLearned(LoupeError):
    """The model does not know the grammar well enough to be looked into."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Train the model unless it is there, and return its folder; an interrupted run goes on bit by bit the same.

    Raises BadInput when the model there was trained with other settings, NotLearned when fewer than 97 % of the
    determined held-out tokens come out right.
    """
    target = workspace.models_dir() / MODEL_ID
    if (target / "truth.json").exists():
        _require_same(config, json.loads((target / "truth.json").read_text())["settings"], target)
        return target
    partial = target.with_name(f".{target.name}.partial")
    saved = load_checkpoint(partial)
    if saved:
        _require_same(config, saved["settings"], partial)
    require_space(target, 2**25, "the grammar model and its checkpoint")
    with torch_threads(saved["threads"] if saved else config.threads):
        with progress.step("train the grammar model", total=config.steps, unit="steps") as bar:
            model = _train(config, partial, saved, bar)
        with progress.step("check the grammar model", total=config.held_out, unit="contexts") as bar:
            report = measure_accuracy(model, _counted(marked_contexts("held-out", config.seed), config.held_out, bar))
    if report["accuracy"]["all"] < LEAST_ACCURACY:
        raise NotLearned(
            f"The grammar model gets {report['accuracy']['all']:.1%} of the determined held-out tokens right, wanted"
            f" {LEAST_ACCURACY:.0%}. Delete '{partial}' and train with more steps."
        )
    _save(model, target, {"settings": functional(config), **report})
    shutil.rmtree(partial, ignore_errors=True)
    return target


def functional(config: Config) -> dict[str, Any]:
    """The settings that decide which model comes out."""
    return {name: value for name, value in asdict(config).items() if name not in NOT_FUNCTIONAL}


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word, whatever its case; brackets and full stops need no space; `<bos>` is put in front."""
    tokenizer = Tokenizer(WordLevel(TOKEN_IDS, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(behavior="isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, TOKEN_IDS[BOS])])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, pad_token=BOS, unk_token=UNKNOWN, model_max_length=MAX_TOKENS
    )


def build_model(config: Config) -> GPT2LMHeadModel:
    """The untrained model: pre-norm blocks, tied embeddings, no dropout; weights drawn from the config's seed."""
    torch.manual_seed(config.seed)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(VOCABULARY),
            n_positions=MAX_TOKENS,
            n_embd=config.width,
            n_layer=config.layers,
            n_head=config.heads,
            activation_function="relu",
            initializer_range=config.width**-0.5,  # the usual 0.02 suits wide models; a narrow one sits still for long
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=TOKEN_IDS[BOS],
            eos_token_id=TOKEN_IDS[BOS],
        )
    )


def measure_accuracy(model: GPT2LMHeadModel, contexts: Iterable[MarkedContext]) -> dict[str, Any]:
    """Share of determined tokens that the model gets right, over all, by construction and among the hard ones.

    After a recalling verb and before a closer, the likeliest token must be the determined one. Before a verb, the
    likeliest verb must have the subject's number (where a preposition may follow as well, that is all that is determined).
    """
    singular, plural = role_ids("singular verb"), role_ids("plural verb")
    verbs = torch.tensor(singular + plural)
    right: dict[str, list[bool]] = {name: [] for name in ("all", *CONSTRUCTIONS, "hard")}
    stream = iter(contexts)
    while group := list(islice(stream, 64)):
        with torch.inference_mode():
            logits = model(input_ids=_pack(group, TOKEN_IDS[BOS])).logits  # (context, position, token)
        guesses, verb_guesses = logits.argmax(-1), verbs[logits[..., verbs].argmax(-1)]
        for row, context in enumerate(group):
            for position, what in enumerate(context.truth):
                if what < 0:
                    continue
                wanted = context.tokens[position + 1]
                if CONSTRUCTIONS[what] == "agreement":
                    is_right = (int(verb_guesses[row, position]) in plural) == (wanted in plural)
                else:
                    is_right = int(guesses[row, position]) == wanted
                names = ["all", CONSTRUCTIONS[what], *(["hard"] if context.is_hard[position] else [])]
                for name in names:
                    right[name].append(is_right)
    return {
        "accuracy": {name: sum(found) / len(found) for name, found in right.items() if found},
        "determined": {name: len(found) for name, found in right.items()},
    }


def _train(config: Config, directory: Path, saved: dict[str, Any] | None, bar: Step) -> GPT2LMHeadModel:
    """Take the steps that are left; step n reads the contexts n * batch and following, so a resume needs no state of them."""
    model = build_model(config).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.lr, betas=(0.9, 0.98), weight_decay=0.01)
    done = 0
    if saved:
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        done = saved["step"]
    bar.skip(done)
    contexts = marked_contexts("train", config.seed, start=done * config.batch)
    while done < config.steps:
        for group in optimiser.param_groups:
            group["lr"] = config.lr * _schedule(done, config)
        tokens = _forget_words(_pack(list(islice(contexts, config.batch)), NOT_TRAINED_ON), config.seed + done)
        loss = model(input_ids=tokens.clamp(min=0), labels=tokens).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        done += 1
        bar.advance(1, note=f"loss {loss.item():.3f}")
        if done % config.checkpoint_every == 0 or done == config.steps:
            state = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
            save_checkpoint(
                directory, done, {**state, "settings": functional(config), "threads": torch.get_num_threads()}
            )
    return model.eval()


def _schedule(step: int, config: Config) -> float:
    """Share of the peak learning rate."""
    return min(1.0, (step + 1) / config.warmup) * 0.5 * (1 + math.cos(math.pi * step / config.steps))


def _pack(contexts: list[MarkedContext], filler: int) -> torch.Tensor:
    """Token ids [contexts, longest], int64; what follows a context's end is the filler, which no earlier position sees."""
    longest = max(len(context.tokens) for context in contexts)
    rows = [torch.tensor(context.tokens) for context in contexts]
    return torch.stack([pad(row, (0, longest - len(row)), value=filler) for row in rows])


def _forget_words(tokens: torch.Tensor, seed: int) -> torch.Tensor:
    """Replace UNKNOWN_SHARE of the words, drawn with the seed; neither <bos> nor what lies behind a context's end."""
    is_forgotten = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(seed)) < UNKNOWN_SHARE
    return torch.where(is_forgotten & (tokens > TOKEN_IDS[BOS]), TOKEN_IDS[UNKNOWN], tokens)


def _save(model: GPT2LMHeadModel, target: Path, truth: dict[str, Any]) -> None:
    """Write model, tokenizer and truth under a temporary name, then rename."""
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    transformers_logging.disable_progress_bar()
    model.save_pretrained(temporary)
    build_tokenizer().save_pretrained(temporary)
    (temporary / "truth.json").write_text(json.dumps({**truth, "roles": ROLES}, indent=1))
    shutil.rmtree(target, ignore_errors=True)  # a folder without truth.json was never finished
    os.replace(temporary, target)


def _counted(contexts: Iterator[MarkedContext], number: int, bar: Step) -> Iterator[MarkedContext]:
    for context in islice(contexts, number):
        bar.advance(1)
        yield context


def _require_same(config: Config, settings: dict[str, Any], place: Path) -> None:
    changed = [
        f"{name} {settings.get(name)!r} instead of {value!r}"
        for name, value in functional(config).items()
        if settings.get(name) != value
    ]
    if changed:
        raise BadInput(
            f"The grammar model at '{place}' was begun with {', '.join(changed)}. Delete it to train another."
        )
