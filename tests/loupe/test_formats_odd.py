"""Odd checkpoints end in one sentence and exit code 2, with nothing written; what is only unusual is read."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from loaders.workspace import Workspace
from loupe.cli import main
from precompute.formats import FORMATS
from precompute.saes.sae import Sae

Captured = pytest.CaptureFixture[str]


def write(folder: Path, name: str = "saelens", architecture: str = "topk") -> Path:
    generator = torch.Generator().manual_seed(0)
    w_enc, w_dec = (torch.randn(24, 8, generator=generator) for _ in range(2))
    biases = {"b_enc": torch.randn(24, generator=generator)}
    biases |= {"threshold": torch.rand(24, generator=generator)} if architecture == "jumprelu" else {}
    folder.mkdir(parents=True, exist_ok=True)
    k = 4 if architecture == "topk" else None
    FORMATS[name].write(folder, Sae(architecture, w_enc, w_dec, torch.zeros(8), biases, k))
    return folder


def saelens(change: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: change(write(folder))


def of_tensors(**changed: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        path = write(folder) / "sae_weights.safetensors"
        found = load_file(path)
        save_file(found | {name: way(found[name]).contiguous() for name, way in changed.items()}, path)

    return make


def of_config(**changed: object) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        path = write(folder) / "cfg.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))

    return make


def of_pickle(make: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: make(write(folder, "dictionary_learning") / "ae.pt")


def with_encoder(way: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        state = torch.load(path, weights_only=True)
        torch.save(state | {"encoder.weight": way(state["encoder.weight"])}, path)

    return of_pickle(make)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_values(folder: Path) -> None:
    path = write(folder / "embedding", "gemma_scope", "jumprelu") / "params.npz"
    arrays = dict(np.load(path))
    np.savez(path, **arrays | {"b_dec": np.zeros(0, np.float32)})
    (folder / "embedding/loupe.json").unlink()


def scaled_by(factor: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        of_config(normalize_activations="expected_average_only_in")(folder)
        (folder / "activation_scaler.json").write_text(f'{{"scaling_factor": {factor}}}')

    return make


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda folder: folder.mkdir(), "is no SAE that Loupe knows"),
    "truncated": (saelens(lambda folder: cut(folder / "sae_weights.safetensors")), "cannot be read as safetensors"),
    "no bytes": (saelens(lambda folder: (folder / "sae_weights.safetensors").write_bytes(b"")), "header too small"),
    "no text": (saelens(lambda folder: (folder / "cfg.json").write_bytes(b"\xff\xfe\x80")), "cannot be read as JSON"),
    "cut matrix": (of_tensors(W_enc=lambda t: t[:, :5]), "shape (8, 5), wanted (8, 24)"),
    "transposed": (of_tensors(W_enc=lambda t: t.t()), "shape (24, 8), wanted (8, 24)"),
    "three dimensions": (with_encoder(lambda t: t.reshape(2, 12, 8)), "shape (2, 12, 8)"),
    "not a number": (of_tensors(W_dec=lambda t: t * float("nan")), "not finite"),
    "overflown half": (of_tensors(W_dec=lambda t: (t * 1e6).half()), "not finite"),
    "whole numbers": (of_tensors(W_dec=lambda t: t.int()), "wanted floating point numbers"),
    "no latents": (of_tensors(b_enc=lambda t: t[:0]), "0 latents over 8 values"),
    "no values": (no_values, "24 latents over 0 values"),
    "two SAEs": (lambda folder: write(write(folder), "sparsify"), "holds the weights of 2 SAEs"),
    "a folder of SAEs": (lambda folder: write(write(folder / "a").parent / "b"), "folders of their own (a, b)"),
    "a pickle of code": (of_pickle(lambda path: torch.save({"a": print}, path)), "a pickle of more than that"),
    "no pickle": (of_pickle(lambda path: path.write_bytes(b"hello")), "a pickle of more than that"),
    "an empty pickle": (of_pickle(lambda path: path.write_bytes(b"")), "it is torn"),
    "a torn pickle": (of_pickle(cut), "cannot be loaded as tensors alone"),
    "a sparse matrix": (with_encoder(lambda t: t.to_sparse()), "no state dict of dense tensors"),
    "unknown stages": (of_config(metadata={"input_stages": 3}), "must be a list of stages"),
    "a scale that is none": (scaled_by("true"), "Give it with --scale"),
    "an infinite scale": (scaled_by("1e400"), "Give it with --scale"),
    "a negative scale": (scaled_by("-2"), "must be a positive number"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_checkpoint_is_refused_in_one_sentence_and_leaves_nothing(
    tmp_path: Path, capsys: Captured, name: str
) -> None:
    make, sentence = ODD[name]
    folder = tmp_path / "naïve ☃" / "层"
    folder.parent.mkdir()
    make(folder)
    path = folder / "embedding" if (folder / "embedding").exists() else folder
    assert main(["import", str(path), "--sae-id", "odd", "--workspace", str(tmp_path / "w")]) == 2
    said = capsys.readouterr()
    assert said.out == "" and sentence in said.err
    assert len(said.err.splitlines()) == 1 and "Traceback" not in said.err and "\x1b" not in said.err
    assert not (tmp_path / "w" / "saes").exists()
    assert main(["doctor", str(path)]) == 1
    assert capsys.readouterr().out.count("PROBLEM") >= 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_numbers_of_every_width_are_read(tmp_path: Path, capsys: Captured, dtype: torch.dtype) -> None:
    of_tensors(W_enc=lambda t: t.to(dtype), W_dec=lambda t: t.to(dtype))(tmp_path / "sae")
    assert main(["import", str(tmp_path / "sae"), "--sae-id", "one", "--workspace", str(tmp_path / "w")]) == 0
    main(["doctor", str(tmp_path / "sae")])
    assert "not finite" not in capsys.readouterr().out


def test_metadata_that_no_json_can_hold_or_nobody_expects_do_not_stop_an_import(tmp_path: Path) -> None:
    odd = {"x": float("nan"), "y": [float("inf")], "hook_name": {"a": 1}, "model_name": ["x"], "set": [1]}
    of_config(metadata=odd)(tmp_path / "sae")
    assert main(["import", str(tmp_path / "sae"), "--sae-id", "one", "--workspace", str(tmp_path / "w")]) == 0
    metadata = Workspace(tmp_path / "w").sae("one").metadata
    assert (metadata["x"], metadata["y"], metadata["hook_name"]) == (None, [None], "unknown")
    assert (metadata["model_name"], metadata["set"]) == ("unknown", None)


def test_of_two_saes_in_a_folder_the_named_one_is_read(tmp_path: Path, capsys: Captured) -> None:
    write(write(tmp_path / "both", "dictionary_learning"), "gemma_scope", "jumprelu")
    main(["doctor", str(tmp_path / "both/params.npz"), "--json"])
    assert json.loads(capsys.readouterr().out)["format"] == "gemma_scope"


def test_doctor_of_nothing_is_a_mistake_and_no_finding(tmp_path: Path, capsys: Captured) -> None:
    assert main(["doctor", str(tmp_path / "none")]) == 2
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["a file", "a file/inside", "/proc/nowhere/out", "full"])
def test_an_export_that_cannot_be_written_leaves_nothing(
    workspace: Workspace, tmp_path: Path, capsys: Captured, target: str
) -> None:
    (tmp_path / "a file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/kept").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    words = ["export", "tiny-l0", "--format", "sparsify", "--to", str(tmp_path / target)]
    assert main([*words, "--workspace", str(workspace.root)]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "a file").read_text() == "mine"


def test_an_export_that_fails_half_way_leaves_nothing(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FORMATS["sparsify"], "write_json", fail)  # the last file of the export
    words = ["export", "tiny-l0", "--format", "sparsify", "--to", str(tmp_path / "out")]
    assert main([*words, "--workspace", str(workspace.root)]) == 2
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    (tmp_path / "out").mkdir()  # an empty folder is taken
    assert main([*words, "--workspace", str(workspace.root)]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["cfg.json", "loupe.json", "sae.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
