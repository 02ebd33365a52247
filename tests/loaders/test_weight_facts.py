"""Facts of weights read back as they were packed, belong to one SAE's weights only, and are never executed."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from analysis.weights import measure_weights
from loaders.errors import BadInput, StoreDamaged
from loaders.sae import SaeRecord
from loaders.weight_facts import pack_facts, read_facts, weights_fingerprint

TENSORS = {
    "W_dec": np.arange(12, dtype=np.float32).reshape(4, 3) + 1,
    "W_enc": np.ones((3, 4), np.float32),
    "b_enc": np.zeros(4, np.float32),
    "b_dec": np.ones(3, np.float32),
}


@pytest.fixture
def record(tmp_path: Path) -> SaeRecord:
    save_file(TENSORS, tmp_path / "sae_weights.safetensors")
    (tmp_path / "cfg.json").write_text(json.dumps({"metadata": {"fingerprints": {"sae": "f" * 64}}}))
    return SaeRecord.open(tmp_path)


@pytest.mark.parametrize("left_out", [(), ("W_enc",), ("W_enc", "b_enc", "b_dec")])
def test_facts_read_back_as_they_were_packed(left_out: tuple[str, ...], tmp_path: Path) -> None:
    facts = measure_weights("sae", {name: value for name, value in TENSORS.items() if name not in left_out})
    (tmp_path / "facts.npz").write_bytes(pack_facts(facts, "print"))
    found = read_facts(tmp_path / "facts.npz", "print")
    assert found is not None
    for name, value in facts._asdict().items():
        np.testing.assert_equal(getattr(found, name), value)


def test_facts_of_other_weights_count_as_none(record: SaeRecord, tmp_path: Path) -> None:
    path = tmp_path / "facts.npz"
    assert read_facts(path, "print") is None
    path.write_bytes(pack_facts(measure_weights("sae", TENSORS), weights_fingerprint(record)))
    assert read_facts(path, weights_fingerprint(record)) is not None
    record.metadata["fingerprints"]["sae"] = "e" * 64
    assert read_facts(path, weights_fingerprint(record)) is None


def test_an_sae_without_a_fingerprint_is_known_by_its_bytes(record: SaeRecord) -> None:
    record.metadata.clear()
    before = weights_fingerprint(record)
    save_file(TENSORS | {"b_dec": np.zeros(3, np.float32)}, record.weights_path)
    assert weights_fingerprint(record) != before
    record.weights_path.unlink()
    with pytest.raises(StoreDamaged, match="has no weights"):
        weights_fingerprint(record)


def test_damaged_and_hostile_files_are_refused(tmp_path: Path) -> None:
    facts, path = measure_weights("sae", TENSORS), tmp_path / "facts.npz"
    whole = pack_facts(facts, "print")
    wrong = facts._replace(decoder_norm=np.zeros(9, np.float32))
    for data in (b"", b"PK", whole[:-40], whole[:200], pickle.dumps(print), pack_facts(wrong, "print")):
        path.write_bytes(data)
        with pytest.raises(StoreDamaged, match="run `loupe weights` again"):
            read_facts(path, "print")
    np.savez(path, about=np.array([print], dtype=object))
    with pytest.raises(StoreDamaged):
        read_facts(path, "print")


def test_tensors_are_found_by_name_and_one_that_is_not_there_is_named(record: SaeRecord) -> None:
    assert record.shapes() == {"W_dec": (4, 3), "W_enc": (3, 4), "b_dec": (3,), "b_enc": (4,)}
    np.testing.assert_array_equal(record.tensor("W_enc"), TENSORS["W_enc"])
    with pytest.raises(BadInput, match=r"no tensor 'w_dec'. It has W_dec, W_enc, b_dec, b_enc\."):
        record.tensor("w_dec")
    record.weights_path.write_bytes(b"no weights")
    with pytest.raises(StoreDamaged, match="cannot be read"):
        record.shapes()
