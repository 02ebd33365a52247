"""What sparsify's cfg.json may say besides an SAE's sizes."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from loaders.errors import BadInput
from precompute.formats import read_raw, sparsify
from precompute.formats.raw import fold


def change(directory, **fields):
    path = directory / "cfg.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_the_folder_names_the_hook_point_also_where_a_run_has_several_seeds(made, tmp_path):
    for folder in ("layers.3", "layers.4/seed12"):
        (tmp_path / folder).mkdir(parents=True)
        sparsify.write(tmp_path / folder, made("topk"))
    assert read_raw(tmp_path / "layers.3").metadata["hook_name"] == "layers.3"
    assert read_raw(tmp_path / "layers.4/seed12").metadata["hook_name"] == "layers.4"


def test_multi_topk_is_refused_with_the_choice_that_it_leaves(made, tmp_path):
    sparsify.write(tmp_path, made("topk"))
    change(tmp_path, multi_topk=True)
    with pytest.raises(BadInput, match="encode keeps k latents and its forward pass 4 k"):
        read_raw(tmp_path)


def test_latents_counted_by_the_expansion_factor_need_no_number(made, tmp_path):
    sparsify.write(tmp_path, made("topk"))
    change(tmp_path, num_latents=0)
    assert read_raw(tmp_path).disagreement() is None


def test_tensors_that_the_formula_does_not_read_are_named(made, tmp_path):
    sparsify.write(tmp_path, made("topk"))
    path = tmp_path / sparsify.WEIGHTS
    save_file(load_file(path) | {"momentum": torch.zeros(3)}, path)
    assert read_raw(tmp_path).unused == ("momentum",)


@pytest.mark.parametrize("k", [True, "5", 2.5, None, [5]])
def test_a_k_that_is_no_whole_number_is_refused(k, made, tmp_path):
    sparsify.write(tmp_path, made("topk"))
    change(tmp_path, k=k)
    with pytest.raises(BadInput, match="needs k"):
        fold(read_raw(tmp_path))
