import json
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute import grammar_dataset, grammar_model
from precompute.checkpoints import load_checkpoint
from precompute.corpora.grammar import (
    COLUMNS,
    CONSTRUCTIONS,
    MAX_TOKENS,
    ROLES,
    TOKEN_IDS,
    VOCABULARY,
    MarkedContext,
    marked_contexts,
)
from precompute.grammar_model import NotLearned, build_tokenizer
from precompute.progress import Progress

TINY = grammar_model.Config(layers=1, width=16, heads=2, steps=12, batch=4, held_out=20, checkpoint_every=4, threads=1)
DIES_AT = 10


@pytest.fixture(scope="module")
def contexts() -> list[MarkedContext]:
    return list(islice(marked_contexts("dataset", seed=3), 400))


def right_continuations(words: list[str]) -> list[tuple[str, set[str]]]:
    """Read a context once from left to right; what determines each word, and all that would be right in its place."""
    roles = {word: role for role, members in ROLES.items() for word in members}
    closer_of = dict(zip(ROLES["opener"], ROLES["closer"], strict=True))
    subjects: list[str] = []
    brackets: list[str] = []
    name_of: dict[str, str] = {}
    found = []
    for i, word in enumerate(words):
        before, role = roles[words[i - 1]], roles[word]
        verb = before.endswith(("singular verb", "plural verb"))
        if before == "title":
            found.append(("recall", {name_of[words[i - 1]]}))
        elif verb and brackets:
            found.append(("brackets", {closer_of[brackets.pop()]}))
        elif role in ("singular verb", "plural verb"):
            found.append(("agreement", set(ROLES[subjects.pop().replace("noun", "verb")])))
        else:
            found.append(("", set()))
        if role == "opener":
            brackets.append(word)
        elif role.endswith("name"):
            name_of["ms" if role == "woman's name" else "mr"] = word
        elif word == "the" and before in ("opener", "full stop", "special"):
            noun = next(later for later in words[i:] if roles[later].endswith("noun"))
            subjects.append(roles[noun])
    return found


def test_every_determined_position_is_marked_and_its_next_token_is_right(contexts: list[MarkedContext]) -> None:
    seen = set()
    for context in contexts:
        words = [VOCABULARY[token] for token in context.tokens]
        continuations = right_continuations(words)[1:]
        marked = [CONSTRUCTIONS[what] if what >= 0 else "" for what in context.truth]
        assert marked == [*(name for name, _ in continuations), ""]
        for word, (name, right) in zip(words[1:], continuations, strict=True):
            assert not name or word in right
        seen |= set(marked)
    assert seen == {"", *CONSTRUCTIONS}


def test_agreement_is_called_hard_only_where_something_stands_between_subject_and_verb(
    contexts: list[MarkedContext],
) -> None:
    for context in contexts:
        words = [VOCABULARY[token] for token in context.tokens]
        for position, (what, is_hard) in enumerate(zip(context.truth, context.is_hard, strict=True)):
            if what == CONSTRUCTIONS.index("agreement"):
                follows_bracket = words[position] in ROLES["closer"]
                misleads = (words[position] in ROLES["plural noun"]) != (words[position + 1] in ROLES["plural verb"])
                assert is_hard >= (follows_bracket or misleads)
    assert any(any(context.is_hard) for context in contexts)


def test_tokenizer_reads_the_text_as_the_very_tokens_and_spans(contexts: list[MarkedContext]) -> None:
    encoded = build_tokenizer()([context.text for context in contexts], return_offsets_mapping=True)
    assert encoded["input_ids"] == [context.tokens for context in contexts]
    assert encoded["offset_mapping"] == [context.spans for context in contexts]


def test_tokenizer_reads_typed_text_whatever_its_case_and_knows_what_it_does_not_know() -> None:
    tokens = build_tokenizer()("The dogs (near the zebra) run.")["input_ids"]
    assert tokens == [
        TOKEN_IDS[word] for word in ["<bos>", "the", "dogs", "(", "near", "the", "<unk>", ")", "run", "."]
    ]


def test_contexts_depend_on_split_seed_and_number_alone(contexts: list[MarkedContext]) -> None:
    assert next(marked_contexts("dataset", seed=3, start=7)) == contexts[7]
    firsts = [next(marked_contexts(*of)).text for of in (("train", 3), ("held-out", 3), ("dataset", 3), ("dataset", 4))]
    assert len(set(firsts)) == 4


def test_contexts_fit_the_model_and_carry_every_column(contexts: list[MarkedContext]) -> None:
    assert max(len(context.tokens) for context in contexts) <= MAX_TOKENS
    assert all(tuple(context.metadata) == COLUMNS for context in contexts)
    for column, least in (("construction", 4), ("depth", 4), ("attractors", 3), ("names", 2)):
        assert len({context.metadata[column] for context in contexts}) == least
    for context in contexts:
        depths = np.cumsum([(piece in "([{") - (piece in ")]}") for piece in context.text])
        assert int(context.metadata["depth"]) == depths.max() and depths[-1] == 0


def test_dataset_holds_the_contexts_in_order_and_no_bos_among_its_samples(
    tmp_path: Path, contexts: list[MarkedContext]
) -> None:
    workspace = Workspace(tmp_path)
    grammar_dataset.run(grammar_dataset.Config(tokens=2000, seed=3), workspace, Progress())
    dataset = workspace.dataset("grammar")
    wanted = contexts[: len(dataset.offsets) - 1]
    assert 2000 <= len(dataset.samples) < 2000 + MAX_TOKENS
    assert dataset.tokens.tolist() == [token for context in wanted for token in context.tokens]
    assert TOKEN_IDS["<bos>"] not in dataset.sample_tokens(np.arange(len(dataset.samples)))
    assert [row["text"] for row in dataset.metadata(np.arange(3))] == [context.text for context in wanted[:3]]
    assert 0 < dataset.held_out.sum() < len(wanted)


def test_dataset_is_kept_and_refuses_other_settings(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    config = grammar_dataset.Config(tokens=500)
    before = (grammar_dataset.run(config, workspace, Progress()) / "manifest.json").stat().st_mtime_ns
    assert (grammar_dataset.run(config, workspace, Progress()) / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(BadInput, match="other settings"):
        grammar_dataset.run(grammar_dataset.Config(tokens=500, seed=1), workspace, Progress())
    with pytest.raises(BadInput, match="at least 1"):
        grammar_dataset.run(grammar_dataset.Config(id="none", tokens=0), workspace, Progress())


def test_model_that_has_not_learned_is_refused_with_its_figure_and_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NotLearned, match=r"gets \d+\.\d% of the determined held-out tokens right, wanted 97%"):
        grammar_model.run(TINY, Workspace(tmp_path), Progress())
    assert not (tmp_path / "models" / "grammar").exists()


def test_run_killed_in_the_middle_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for root in (whole, broken):
        if root == broken:
            died = subprocess.run(
                [sys.executable, __file__, str(broken)], env={**os.environ, "PYTHONPATH": os.getcwd()}
            )
            assert died.returncode == -signal.SIGKILL
            kept = load_checkpoint(broken / "models" / ".grammar.partial")
            assert kept is not None and kept["step"] == DIES_AT - DIES_AT % TINY.checkpoint_every
        with pytest.raises(NotLearned):
            grammar_model.run(TINY, Workspace(root), Progress())
    one, other = (load_checkpoint(root / "models" / ".grammar.partial") for root in (whole, broken))
    assert one is not None and other is not None and one["step"] == other["step"] == TINY.steps
    assert all(torch.equal(one["model"][name], other["model"][name]) for name in one["model"])


def test_training_begun_with_other_settings_is_not_continued(tmp_path: Path) -> None:
    with pytest.raises(NotLearned):
        grammar_model.run(TINY, Workspace(tmp_path), Progress())
    other = grammar_model.Config(**{**grammar_model.functional(TINY), "seed": 5})
    with pytest.raises(BadInput, match="begun with seed 0 instead of 5"):
        grammar_model.run(other, Workspace(tmp_path), Progress())


def test_finished_model_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "grammar"
    folder.mkdir(parents=True)
    (folder / "truth.json").write_text(json.dumps({"settings": grammar_model.functional(TINY)}))
    assert grammar_model.run(TINY, Workspace(tmp_path), Progress()) == folder
    assert [path.name for path in folder.iterdir()] == ["truth.json"]


class _Killer:
    """Ends its own process as hard as possible at step DIES_AT."""

    def update(self, step: object) -> None:
        if getattr(step, "done", 0) == DIES_AT:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    grammar_model.run(TINY, Workspace(sys.argv[1]), Progress(_Killer()))
