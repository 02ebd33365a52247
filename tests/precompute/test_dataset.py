import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute.contexts import Cutter, TokenContext, context_from_pieces, cut_ranges
from precompute.corpora.documents import Document
from precompute.dataset import Config, run
from precompute.dataset_writer import choose_held_out, write_dataset
from precompute.models import load_tokenizer
from precompute.progress import Progress
from precompute.sampling import Budget, Shingles, shingles
from precompute.vocabulary import decode_bytes, display_vocabulary, tokenizer_info

TEXTS = ["The Cat sat\non a MAT.\n\nThe cats  sat.", "A mat!", "cats", "Größe: cats sat on the mat."]
WORDS = {"name": "words", "fingerprint": "0" * 64}


def write_jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def make(samples: int, document: str = "d", text: str = "") -> TokenContext:
    """A context of that many one-letter tokens."""
    return context_from_pieces([1] * samples, list(text or "x" * samples), {}, document)


def test_pieces_of_a_context_are_its_text_letter_by_letter(tmp_path: Path, encoder: Path):
    workspace = Workspace(tmp_path)
    run(Config(id="texts", model=str(encoder), context_length=32, tokens=None), workspace, Progress(), texts=TEXTS)
    dataset = workspace.dataset("texts")
    texts = [row["text"] for row in dataset.metadata(np.arange(dataset.contexts))]
    assert texts == TEXTS
    assert dataset.pieces(0, TEXTS[0])[:6] == ["", "The ", "Cat ", "sat\n", "on ", "a "]
    for context, text in enumerate(texts):
        assert "".join(dataset.pieces(context, text)) == text


def test_special_tokens_are_read_but_are_no_samples(tmp_path: Path, encoder: Path):
    workspace = Workspace(tmp_path)
    run(Config(id="texts", model=str(encoder), context_length=32, tokens=None), workspace, Progress(), texts=TEXTS)
    dataset = workspace.dataset("texts")
    vocab = np.array(dataset.vocab)
    first = vocab[dataset.tokens[: dataset.offsets[1]]].tolist()
    assert first[0] == "[CLS]" and first[-1] == "[SEP]"
    assert not {"[CLS]", "[SEP]"} & set(vocab[dataset.sample_tokens(np.arange(len(dataset.samples)))])
    assert len(dataset.samples) == len(dataset.tokens) - 2 * dataset.contexts
    contexts, positions = dataset.locate(np.array([0, dataset.sample_offsets[1]]))
    assert contexts.tolist() == [0, 1] and positions.tolist() == [1, 1]


def test_byte_level_tokens_have_exact_pieces_too(tmp_path: Path, causal: Path):
    workspace = Workspace(tmp_path)
    run(Config(id="texts", model=str(causal), context_length=16, tokens=None), workspace, Progress(), texts=TEXTS)
    dataset = workspace.dataset("texts")
    assert len(dataset.samples) == len(dataset.tokens)
    for context, row in enumerate(dataset.metadata(np.arange(dataset.contexts))):
        assert "".join(dataset.pieces(context, row["text"])) == row["text"]


def test_the_dataset_is_the_same_twice_and_another_with_another_seed(tmp_path: Path, encoder: Path):
    source = write_jsonl(tmp_path / "t.jsonl", [{"text": f"the cat sat on mat {number}."} for number in range(30)])
    config = Config(id="t", source=str(source), model=str(encoder), context_length=16, tokens=100)
    prints = []
    for number, wanted in enumerate((config, config, replace(config, seed=1))):
        workspace = Workspace(tmp_path / str(number))
        run(wanted, workspace, Progress())
        prints.append(workspace.dataset("t").fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_the_manifest_says_what_was_read_and_that_it_is_a_sample(tmp_path: Path, encoder: Path):
    source = write_jsonl(tmp_path / "t.jsonl", [{"text": "the cat sat.", "author": name} for name in "abcdefgh"])
    config = Config(id="t", source=str(source), model=str(encoder), context_length=16, tokens=20)
    workspace = Workspace(tmp_path)
    run(config, workspace, Progress())
    part = workspace.dataset("t")
    assert part.manifest["sampled"] is True
    assert part.manifest["description"] == "A sample of 20 tokens (5 contexts) of 't.jsonl'."
    run(replace(config, id="all", tokens=1000), workspace, Progress())
    whole = workspace.dataset("all")
    assert whole.manifest["sampled"] is False
    assert whole.manifest["description"] == "All 32 tokens (8 contexts) of 't.jsonl'."
    assert sorted(whole.column("author")[1]) == list("abcdefgh")


def test_a_finished_dataset_is_left_alone(tmp_path: Path, encoder: Path):
    source = write_jsonl(tmp_path / "t.jsonl", [{"text": "the cat sat."}])
    config = Config(id="t", source=str(source), model=str(encoder), context_length=16)
    manifest = run(config, Workspace(tmp_path), Progress()) / "manifest.json"
    before = manifest.stat().st_mtime_ns
    run(config, Workspace(tmp_path), Progress())
    assert manifest.stat().st_mtime_ns == before


def test_what_a_killed_run_left_is_replaced(tmp_path: Path, encoder: Path):
    source = write_jsonl(tmp_path / "t.jsonl", [{"text": "the cat sat."}])
    (tmp_path / "datasets" / ".t.partial" / "tokens.zarr").mkdir(parents=True)
    (tmp_path / "datasets" / ".t.partial" / "vocab.json").write_text("[")
    (tmp_path / "datasets" / "t").mkdir()
    run(Config(id="t", source=str(source), model=str(encoder), context_length=16), Workspace(tmp_path), Progress())
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == ["t"]
    assert Workspace(tmp_path).dataset("t").contexts == 1


def test_other_settings_or_changed_files_do_not_pass_for_the_finished_dataset(tmp_path: Path, encoder: Path):
    source = write_jsonl(tmp_path / "t.jsonl", [{"text": "the cat sat."}])
    config = Config(id="t", source=str(source), model=str(encoder), context_length=16)
    run(config, Workspace(tmp_path), Progress())
    with pytest.raises(BadInput, match="context_length 16 instead of 8"):
        run(replace(config, context_length=8), Workspace(tmp_path), Progress())
    write_jsonl(source, [{"text": "the mat."}])
    with pytest.raises(BadInput, match="other contents of"):
        run(config, Workspace(tmp_path), Progress())


def test_an_empty_source_is_refused_and_leaves_nothing(tmp_path: Path, encoder: Path):
    (tmp_path / "t.txt").write_text("\n \n")
    config = Config(id="t", source=str(tmp_path / "t.txt"), model=str(encoder), context_length=16)
    with pytest.raises(BadInput, match="Dataset 't' would be empty"):
        run(config, Workspace(tmp_path), Progress())
    assert list((tmp_path / "datasets").iterdir()) == []


def test_a_context_longer_than_the_models_limit_is_refused(tmp_path: Path, encoder: Path):
    with pytest.raises(BadInput, match="33 tokens were asked for; model 'tiny-encoder' reads at most 32"):
        run(Config(model=str(encoder), context_length=33), Workspace(tmp_path), Progress(), texts=TEXTS)


def test_documents_are_held_out_as_a_whole():
    documents = [f"doc {number // 3}" for number in range(300)]
    held_out = choose_held_out(documents, 0.1, seed=0)
    assert held_out.sum() == 30
    assert all(len(set(held_out[start : start + 3])) == 1 for start in range(0, 300, 3))
    assert not np.array_equal(held_out, choose_held_out(documents, 0.1, seed=1))


@pytest.mark.parametrize(("documents", "share", "expected"), [(1, 0.5, 0), (2, 0.1, 1), (3, 1.0, 2), (5, 0.0, 0)])
def test_something_is_held_out_where_it_can_be_and_never_everything(documents: int, share: float, expected: int):
    assert choose_held_out([str(number) for number in range(documents)], share, seed=0).sum() == expected


def test_a_cut_falls_at_a_blank_line_before_a_line_end_before_a_space():
    text = "a b c\n\nd e\nf g h"
    offsets = [(place, place + 1) for place, letter in enumerate(text) if letter.isalpha()]
    assert cut_ranges(text, offsets, room=5, least=1) == [(0, 3), (3, 8)]
    assert cut_ranges(text, offsets[3:], room=3, least=1) == [(0, 2), (2, 5)]
    assert cut_ranges(text, offsets[5:], room=2, least=1) == [(0, 2), (2, 3)]


def test_a_short_rest_is_dropped_unless_it_is_all_there_is():
    offsets = [(place, place + 1) for place in range(0, 20, 2)]
    assert cut_ranges(" " * 20, offsets, room=8, least=3) == [(0, 8)]
    assert cut_ranges(" " * 20, offsets[:2], room=8, least=3) == [(0, 2)]


def test_contexts_fit_and_one_document_gives_no_more_than_its_share(encoder: Path):
    cutter = Cutter(load_tokenizer(encoder), length=12, most=4)
    contexts = list(
        cutter.contexts([Document("long", "the cat sat on a mat. " * 30, {}), Document("short", "cats", {})])
    )
    assert [context.document for context in contexts] == ["long"] * 4 + ["short"]
    assert max(len(context.tokens) for context in contexts) <= 12


def test_a_budget_is_shared_equally_and_small_strata_give_what_they_have():
    strata = {"small": 2, "large": 50, "larger": 50}
    budget = Budget(100)
    taken = list(budget.take({name: iter([make(4, name)] * count) for name, count in strata.items()}))
    samples = {name: sum(context.samples for context in taken if context.document == name) for name in strata}
    assert samples["small"] == 8 and abs(samples["large"] - samples["larger"]) <= 8
    assert 100 - 4 < sum(samples.values()) <= 100
    assert budget.is_spent


def test_a_budget_that_reaches_for_everything_is_not_spent():
    for samples in (8, 9, None):
        budget = Budget(samples)
        assert len(list(budget.take({"": iter([make(4), make(4)])}))) == 2
        assert not budget.is_spent


def test_near_copies_are_recognised():
    seen = Shingles()
    text = "one two three four five six seven eight nine ten eleven twelve"
    assert not seen.is_copy(text)
    assert seen.is_copy(text.upper().replace(" ", ",\n"))
    assert seen.is_copy(f"{text} thirteen fourteen")  # 5 of 7 shingles were seen
    assert not seen.is_copy(" ".join(reversed(text.split())))
    assert shingles("too short") == {"too short"}


def test_the_vocabulary_keeps_continuations_and_decodes_bytes(encoder: Path, causal: Path):
    wordpiece = display_vocabulary(load_tokenizer(encoder))
    assert wordpiece[11] == "##s" and wordpiece[2] == "[CLS]"
    bytelevel = display_vocabulary(load_tokenizer(causal))
    assert " cat" in bytelevel and "\n" in bytelevel and "<|end|>" in bytelevel
    assert decode_bytes("ĠgrÃ¶") == " grö"
    assert decode_bytes("Ã") == "<0xC3>"


def test_the_tokenizers_fingerprint_does_not_depend_on_earlier_calls(encoder: Path, causal: Path):
    tokenizer = load_tokenizer(encoder)
    before = tokenizer_info(tokenizer, "tiny")
    tokenizer(["the cat", "cats"], truncation=True, max_length=4, padding=True)
    assert tokenizer_info(tokenizer, "tiny") == before
    assert before["kind"] == "WordPiece"
    assert before["fingerprint"] != tokenizer_info(load_tokenizer(causal), "tiny")["fingerprint"]


def test_token_lists_become_a_dataset(tmp_path: Path):
    vocab = ["<bos>", "the", "dog", "dogs"]
    contexts = [
        context_from_pieces([0, 1, number], ["", "the ", vocab[number]], {"noun": vocab[number]}, str(number), {0})
        for number in (2, 3)
    ]
    workspace = Workspace(tmp_path)
    write_dataset(workspace, "words", contexts, ["noun"], vocab, WORDS, "{amount} {samples} words.", sampled=False)
    dataset = workspace.dataset("words")
    assert dataset.sample_tokens(np.arange(4)).tolist() == [1, 2, 1, 3]
    assert dataset.pieces(1, "the dogs") == ["", "the ", "dogs"]
    assert dataset.manifest["description"] == "All 4 words."
    assert dataset.metadata(np.array([1]))[0]["noun"] == "dogs"


def test_tokens_beyond_the_vocabulary_are_refused(tmp_path: Path):
    with pytest.raises(BadInput, match="token id 1, but the vocabulary ends at 0"):
        write_dataset(Workspace(tmp_path), "words", [make(2)], [], ["x"], WORDS, "", sampled=False)


def test_pieces_must_match_their_tokens():
    with pytest.raises(BadInput, match="2 tokens and 1 pieces"):
        context_from_pieces([1, 2], ["x"], {}, "d")


def test_the_documentation_is_sampled_in_equal_shares(tmp_path: Path):
    workspace = Workspace(tmp_path)
    run(Config(tokens=6_000), workspace, Progress())
    dataset = workspace.dataset("docs")
    codes, packages = dataset.column("package")
    samples = np.bincount(codes, weights=np.diff(dataset.sample_offsets))
    assert 5_800 < len(dataset.samples) <= 6_000
    assert len(packages) >= 8 and samples.max() < 1.6 * samples.mean()
    assert np.diff(dataset.offsets).max() <= 128
    assert dataset.manifest["sampled"] is True


def test_the_documentation_needs_a_budget(tmp_path: Path):
    with pytest.raises(BadInput, match="needs a budget"):
        run(Config(tokens=None), Workspace(tmp_path), Progress())


@pytest.mark.parametrize("bos", [None, True, False])
def test_contexts_begin_with_the_first_token_where_that_is_asked_for(tmp_path: Path, causal: Path, encoder: Path, bos):
    for model in (causal, encoder):  # of itself the one adds no special tokens, the other two
        config = Config(id=f"{model.name}-{bos}", model=str(model), context_length=8, tokens=None, bos=bos)
        run(config, Workspace(tmp_path), Progress(), ["the cat sat on the mat, the cats sat on a mat"])
        data, tokenizer = Workspace(tmp_path).dataset(config.id), load_tokenizer(model)
        first = tokenizer.cls_token_id if model is encoder else tokenizer.bos_token_id
        special = set(range(len(data.tokens))) - set(data.samples)
        if bos is None:
            assert len(special) == data.contexts * tokenizer.num_special_tokens_to_add()
        else:
            assert special == (set(data.offsets[:-1]) if bos else set())
            assert all(data.tokens[at] == first for at in special)
        assert np.diff(data.offsets).max() <= 8 and data.contexts > 1


def test_a_tokenizer_without_a_first_token_is_refused_where_contexts_want_one(tmp_path: Path, encoder: Path):
    tokenizer = load_tokenizer(encoder)
    assert tokenizer is not None
    tokenizer.bos_token = tokenizer.cls_token = tokenizer.eos_token = None
    with pytest.raises(BadInput, match="neither a first nor a last token"):
        Cutter(tokenizer, 8, bos=True)
