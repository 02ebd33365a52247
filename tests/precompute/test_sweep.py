import pytest

from loaders.errors import BadInput
from precompute.progress import Progress
from precompute.sae_files import load_sae
from precompute.sweep import Config, plan, run

CONFIG = Config("try", "planted", "words", ("hidden",), ("topk", "standard"), ks=(2, 3), sparsities=(0.5, 1.0))


def test_a_sweep_has_one_run_for_each_setting_that_matters_to_its_architecture():
    assert [config.sae_id for config in plan(CONFIG)] == [
        "try-topk-k2",
        "try-topk-k3",
        "try-standard-s0.5",
        "try-standard-s1",
    ]
    assert {config.k for config in plan(CONFIG) if config.architecture == "topk"} == {2, 3}


def test_every_sae_of_a_sweep_is_trained_and_finished_ones_are_left_alone(planted):
    config = Config(
        "try", "planted", "words", ("hidden",), ("topk",), ks=(2, 3), expansions=(2,), steps=20, batch=128, threads=1
    )
    run(config, planted.workspace, Progress())
    assert [load_sae(planted.workspace.sae_dir(f"try-topk-k{k}"))[0].k for k in (2, 3)] == [2, 3]
    before = (planted.workspace.sae_dir("try-topk-k2") / "cfg.json").stat().st_mtime_ns
    run(config, planted.workspace, Progress())
    assert (planted.workspace.sae_dir("try-topk-k2") / "cfg.json").stat().st_mtime_ns == before


def test_a_sweep_of_nothing_is_refused():
    with pytest.raises(BadInput, match="The sweep has 0 SAEs"):
        plan(Config("try", "planted", "words", ()))
