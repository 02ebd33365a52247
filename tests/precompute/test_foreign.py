"""Datasets and SAE records of activations that were made elsewhere."""

import json

import numpy as np
import pandas as pd
import pytest

from loaders.errors import BadInput
from loaders.manifest import check_files, read_manifest
from loaders.workspace import Workspace
from precompute import foreign
from precompute.foreign_sae import Origin, existing_sae, write_sae_record
from precompute.sources.frame import Frame

NOBODY = Origin(None, None, None, None)


def write_frame(tmp_path, columns, name="frame.parquet"):
    frame = pd.DataFrame(columns)
    if name.endswith(".csv"):
        frame.to_csv(tmp_path / name, index=False)
    else:
        frame.to_parquet(tmp_path / name)
    return Frame(tmp_path / name)


def make(tmp_path, columns, name="frame.parquet"):
    return foreign.write_frame_dataset(Workspace(tmp_path), "words", write_frame(tmp_path, columns, name))


def pieces(dataset, context):
    return dataset.pieces(context, dataset.metadata(np.array([context]))[0]["text"])


@pytest.mark.parametrize("name", ["frame.parquet", "frame.csv"])
def test_consecutive_rows_of_one_id_are_one_context_of_tokens(tmp_path, name):
    columns = {
        "context": ["b", "b", "b", "a", "c", "c"],
        "token": [" the", " cat", " sat", "the", "cat", "the"],
        "author": ["x", "x", "x", "y", None, None],
    }
    dataset = make(tmp_path, columns, name)
    assert np.array_equal(dataset.sample_offsets, [0, 3, 4, 6])
    assert [dataset.vocab[i] for i in dataset.sample_tokens(np.arange(6))] == columns["token"]
    assert dataset.columns == ["author"]
    assert [row["author"] for row in dataset.metadata(np.arange(3))] == ["x", "y", None]
    assert pieces(dataset, 0) == [" the", " cat", " sat"]
    assert pieces(dataset, 2) == ["cat ", "the"]  # a space between tokens that bring none
    assert not dataset.held_out.any()


def test_without_context_and_token_each_row_is_a_context_of_its_own(tmp_path):
    dataset = make(tmp_path, {"text": ["one", None, "three\nlines"], "weapon": ["a", "b", "a"]})
    assert np.array_equal(dataset.sample_offsets, [0, 1, 2, 3])
    assert dataset.vocab == ["sample"]
    assert [pieces(dataset, i) for i in range(3)] == [["one"], ["sample 1"], ["three\nlines"]]
    assert dataset.column("weapon")[1] == ["a", "b"]


def test_the_dataset_is_whole_and_its_fingerprint_depends_on_its_content_only(tmp_path):
    columns = {"context": [1, 1, 2], "token": ["a", "b", "a"], "kind": ["x", "x", "y"]}
    found = []
    for name, changed in (
        ("one", {}),
        ("two", {}),
        ("three", {"kind": ["x", "x", "z"]}),
        ("four", {"token": list("aba")}),
    ):
        (tmp_path / name).mkdir()
        dataset = make(tmp_path / name, columns | changed)
        check_files(dataset.directory, read_manifest(dataset.directory, "dataset"), hashes=True)
        found.append(dataset.fingerprint)
    assert found[0] == found[1] == found[3] != found[2]


def test_a_context_that_comes_back_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"Context 'a' .* comes back at row 2"):
        make(tmp_path, {"context": ["a", "b", "a"]})
    assert not (tmp_path / "datasets" / "words").exists()


def test_metadata_that_change_within_a_context_are_refused(tmp_path):
    with pytest.raises(BadInput, match=r"Column 'position' .* changes within context 'a' at row 1"):
        make(tmp_path, {"context": ["a", "a"], "author": ["x", "x"], "position": [0, 1]})


def test_a_row_without_a_context_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"Row 1 .* has no context"):
        make(tmp_path, {"context": ["a", None]})


def test_a_dataset_is_used_again_only_with_the_frame_that_it_was_made_of(tmp_path):
    dataset = make(tmp_path, {"kind": ["a", "b"]})
    workspace = Workspace(tmp_path)
    for frame in (None, Frame(tmp_path / "frame.parquet")):
        found = foreign.existing_dataset(workspace, "words", frame, None)
        assert found is not None and found.fingerprint == dataset.fingerprint
    assert foreign.existing_dataset(workspace, "others", None, None) is None
    changed = write_frame(tmp_path, {"kind": ["a", "c"]})
    with pytest.raises(BadInput, match=r"was not made from 'frame.parquet' as it is now"):
        foreign.existing_dataset(workspace, "words", changed, None)


def test_token_ids_become_contexts_that_are_shown_as_ids_or_by_a_tokenizer(tmp_path, causal):
    workspace = Workspace(tmp_path)
    frame = write_frame(tmp_path, {"url": ["u", "v"]})
    ids = np.array([[1, 3, 3], [0, 1, 2]])
    bare = foreign.write_token_dataset(workspace, "bare", foreign.Tokens(ids, None), frame)
    assert np.array_equal(bare.tokens, ids.reshape(-1)) and np.array_equal(bare.offsets, [0, 3, 6])
    assert pieces(bare, 0) == ["<1> ", "<3> ", "<3>"]
    assert [row["url"] for row in bare.metadata(np.arange(2))] == ["u", "v"]
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(causal)
    ids = np.array([tokenizer("the cat sat")["input_ids"]])
    shown = foreign.write_token_dataset(workspace, "shown", foreign.Tokens(ids, str(causal)), None)
    assert "".join(pieces(shown, 0)) == "the cat sat"
    with pytest.raises(BadInput, match="token id 99999, but the tokenizer"):
        foreign.write_token_dataset(workspace, "other", foreign.Tokens(ids * 0 + 99999, str(causal)), None)
    with pytest.raises(BadInput, match="negative token id"):
        foreign.write_token_dataset(workspace, "other", foreign.Tokens(ids * 0 - 1, None), None)


def test_tokens_of_another_dataset_are_refused(tmp_path):
    workspace = Workspace(tmp_path)
    ids = np.array([[1, 3], [0, 1]])
    foreign.write_token_dataset(workspace, "words", foreign.Tokens(ids, None), None)
    assert foreign.existing_dataset(workspace, "words", None, foreign.Tokens(ids, None)) is not None
    for other in (ids + 1, ids[:1], ids.reshape(1, 4)):
        with pytest.raises(BadInput, match="are not those of dataset 'words'"):
            foreign.existing_dataset(workspace, "words", None, foreign.Tokens(other, None))


def test_the_record_of_an_sae_says_what_is_known_and_is_used_again_where_it_agrees(tmp_path):
    workspace = Workspace(tmp_path)
    assert existing_sae(workspace, "foreign", 5, 9, NOBODY) is None
    record = write_sae_record(workspace, "foreign", 5, "c" * 64, Origin("gpt2", None, "set", 3), "words")
    assert record.cfg["d_sae"] == 5
    assert record.metadata["fingerprints"]["sae"] == "c" * 64
    assert (record.metadata["model_name"], record.metadata["hook_name"]) == ("gpt2", "unknown")
    assert (record.metadata["set"], record.metadata["layer_index"], record.metadata["quality"]) == ("set", 3, {})
    for origin in (NOBODY, Origin("gpt2", None, "set", 3)):
        found = existing_sae(workspace, "foreign", 5, 9, origin)
        assert found is not None and found.cfg == record.cfg
    with pytest.raises(BadInput, match="exists with model_name 'gpt2', not 'llama'"):
        existing_sae(workspace, "foreign", 5, 9, Origin("llama", None, None, None))
    with pytest.raises(BadInput, match=r"has 5 features, the activations have 9\. Rows must be .* look swapped"):
        existing_sae(workspace, "foreign", 9, 5, NOBODY)


def test_saes_of_one_named_model_share_its_fingerprint_and_unnamed_models_are_different(tmp_path):
    workspace = Workspace(tmp_path)

    def model_of(name, content, model):
        record = write_sae_record(workspace, name, 5, content, NOBODY._replace(model=model), "words")
        assert json.loads((record.directory / "cfg.json").read_text()) == record.cfg
        return record.metadata["fingerprints"]["model"]

    assert model_of("a", "1", "gpt2") == model_of("b", "2", "gpt2") != model_of("c", "3", "llama")
    assert model_of("d", "1", None) != model_of("e", "2", None)
