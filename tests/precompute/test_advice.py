"""Recommendations over a small encoder whose layers were replaced by what is known: shifts, tokens, outliers, overflow."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from analysis.advice_moments import Moments
from loaders.advice import Advice, AdvisedHook, read_advice
from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute import advice
from precompute.activations import Activations
from precompute.models import LoadedModel, load_model
from precompute.progress import Progress


class Planted(nn.Module):
    """A layer that hands on what `change` makes of its input."""

    def __init__(self, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.change = change

    def forward(self, hidden: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return self.change(hidden)


@pytest.fixture
def loaded(workspace: Workspace) -> LoadedModel:
    return load_model(workspace.models_dir() / "tiny")


@pytest.fixture
def own(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A workspace of the test's own over the shared dataset."""
    (tmp_path / "datasets").symlink_to(workspace.root / "datasets")
    return Workspace(tmp_path)


def measure(own: Workspace, loaded: LoadedModel, **settings: object) -> Advice:
    config = advice.Config("tiny", "texts", **settings)
    return read_advice(advice.run(config, own, Progress(), loaded))


def by_hook(found: Advice) -> dict[str, AdvisedHook]:
    return {each.hook: each for each in found.hooks}


def reasons(found: AdvisedHook) -> str:
    return "; ".join(reason.text for reason in found.reasons)


def test_blocks_are_measured_as_their_captured_activations_are(workspace: Workspace, own: Workspace, loaded) -> None:
    found = measure(own, loaded, tokens=10**6)
    assert [each.hook for each in found.hooks] == ["encoder.layer.0", "encoder.layer.1"]
    dataset = workspace.dataset("texts")
    assert found.sample["samples"] == found.sample["of_samples"] == len(dataset.samples)
    for each in found.hooks:
        rows = Activations.open(workspace.activations_dir("tiny", "texts", each.hook)).load().astype(np.float32)
        contexts, _ = dataset.locate(np.arange(len(rows)))
        tokens = np.unique(dataset.sample_tokens(np.arange(len(rows))), return_inverse=True)[1]
        moments = Moments(each.width, int(tokens.max()) + 1)
        moments.add(rows, tokens, contexts)
        expected = moments.measure(None)
        for name in ("variance", "top_share", "participation", "token_eta2", "context_eta2", "mean_share", "kurtosis"):
            assert each.measures[name] == pytest.approx(getattr(expected, name), rel=2e-3), name  # kept as float16


def test_a_layer_that_is_a_constant_shift_is_named_and_ranked_last(own: Workspace, loaded: LoadedModel) -> None:
    loaded.model.encoder.layer[1] = Planted(lambda hidden: hidden + torch.linspace(-3, 3, 32))
    first, second = measure(own, loaded).hooks
    assert "hands on encoder.layer.0 unchanged, at most scaled and shifted by a constant" in reasons(second)
    assert (first.rank, second.rank) == (1, 2) and second.score < 0.1 < first.score
    assert second.measures["kept"] == pytest.approx(1, abs=1e-6) and second.measures["update"] > 0.5


def test_a_layer_that_is_one_direction_is_named(own: Workspace, loaded: LoadedModel) -> None:
    loaded.model.encoder.layer[1] = Planted(lambda hidden: hidden * torch.tensor([30.0] + [1.0] * 31))
    found = by_hook(measure(own, loaded))["encoder.layer.1"]
    assert "most of its variance is one direction" in reasons(found)
    assert "dimension 0 has" in reasons(found) and found.rank == 2


def test_a_hook_point_that_knows_only_the_token_is_named(own: Workspace, loaded: LoadedModel) -> None:
    found = measure(own, loaded, hooks=("embeddings.word_embeddings",)).hooks[0]
    assert found.measures["token_eta2"] == pytest.approx(1, abs=1e-6)
    assert "still determined by the current token (eta² 1.00)" in reasons(found)


def test_noise_is_not_mistaken_for_what_the_token_says(own: Workspace, loaded: LoadedModel) -> None:
    torch.manual_seed(0)
    loaded.model.encoder.layer[1] = Planted(torch.randn_like)
    found = by_hook(measure(own, loaded))["encoder.layer.1"]
    assert found.measures["token_eta2"] < 0.05 and found.measures["context_eta2"] < 0.05
    assert "says more than which token it is" in reasons(found)


@pytest.mark.parametrize(
    ("change", "words"),
    [(lambda hidden: hidden * 1e6, "float16 ends at 65,504"), (lambda hidden: hidden / 0, "not finite")],
)
def test_activations_that_cannot_be_kept_score_nothing(own: Workspace, loaded, change, words: str) -> None:
    loaded.model.encoder.layer[1] = Planted(change)
    found = by_hook(measure(own, loaded))["encoder.layer.1"]
    assert (found.score, found.rank) == (0, 2) and words in reasons(found)


def test_a_sample_holds_whole_contexts_and_is_the_same_for_the_same_seed(own: Workspace, loaded: LoadedModel) -> None:
    path = advice.run(advice.Config("tiny", "texts", tokens=500), own, Progress(), loaded)
    before = path.read_bytes()
    found = read_advice(path)
    assert 500 <= found.sample["samples"] < 500 + 48 and found.sample["contexts"] > 10
    path.unlink()
    assert advice.run(advice.Config("tiny", "texts", tokens=500), own, Progress(), loaded).read_bytes() == before
    other = measure(own, loaded, tokens=500, seed=1)
    assert other.hooks[0].measures["variance"] != found.hooks[0].measures["variance"]


def test_what_is_there_is_kept_until_settings_or_weights_differ(own: Workspace, loaded: LoadedModel) -> None:
    path = advice.run(advice.Config("tiny", "texts", tokens=300), own, Progress(), loaded)
    text = path.read_text()
    marked = json.loads(text)
    marked["sample"]["contexts"] = 12345
    path.write_text(json.dumps(marked))
    assert measure(own, loaded, tokens=300).sample["contexts"] == 12345
    assert measure(own, loaded._replace(fingerprint="another"), tokens=300).sample["contexts"] != 12345
    path.write_text("{")
    assert measure(own, loaded, tokens=300).as_json() == json.loads(text)


def test_rare_tokens_are_left_out_where_memory_is_short(own: Workspace, loaded: LoadedModel) -> None:
    few, all_ = measure(own, loaded, memory="24KiB"), measure(own, loaded)
    assert few.hooks[0].measures["token_groups"] == (24 * 1024 - 2 * 8 * 32**2) // (2 * 8 * 32) == 16
    assert all_.hooks[0].measures["token_groups"] > 100
    assert few.hooks[0].measures["variance"] == all_.hooks[0].measures["variance"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"memory": "1KiB"}, "2 hook points need"),
        ({"hooks": ("encoder.layer.7",)}, "encoder.layer.7"),
        ({"hooks": ("pooler",)}, "no hidden states"),
        ({"tokens": 1}, "at least 2"),
    ],
)
def test_what_cannot_be_measured_is_said_before_the_pass(own: Workspace, loaded, settings, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        measure(own, loaded, **settings)
    assert not (own.root / "advice").exists()


def test_what_a_module_receives_is_what_the_one_before_hands_on(own: Workspace, loaded: LoadedModel) -> None:
    hooks = ("encoder.layer.1.input", "encoder.layer.0", "encoder.layer.1")
    before, received, after = measure(own, loaded, hooks=hooks, tokens=300).hooks
    assert [each.hook for each in (before, received, after)] == [
        "encoder.layer.0",
        "encoder.layer.1.input",
        "encoder.layer.1",
    ]
    assert received.measures["variance"] == before.measures["variance"] and received.score < before.score
    assert "hands on encoder.layer.0 unchanged" in reasons(received)


def test_named_hook_points_come_in_the_models_order(own: Workspace, loaded: LoadedModel) -> None:
    found = measure(own, loaded, hooks=("encoder.layer.1", "embeddings"), tokens=300)
    assert [each.hook for each in found.hooks] == ["embeddings", "encoder.layer.1"]
    assert found.hooks[0].parts["new"] is None and found.hooks[1].parts["new"] is not None
