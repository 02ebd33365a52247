"""Loss recovered is what an explicit computation, one context at a time, makes of the same definition."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from loaders.dataset import Dataset
from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute import grammar_dataset, grammar_model
from precompute.loss_recovered import (
    NAME,
    LossRecovered,
    held_out_contexts,
    keep,
    measure_loss_recovered,
    reconstruct,
)
from precompute.models import LoadedModel
from precompute.progress import Progress
from precompute.saes.sae import Sae
from precompute.splice import find_hook, spliced

WIDTH = 32
HOOK = "transformer.h.0"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    workspace = Workspace(tmp_path_factory.mktemp("grammar"))
    grammar_dataset.run(grammar_dataset.Config(tokens=6_000, held_out=0.3), workspace, Progress())
    return workspace.dataset("grammar")


@pytest.fixture(scope="module")
def loaded(dataset: Dataset) -> LoadedModel:
    """A causal model of two layers, trained for a moment on the contexts that are not held out."""
    model = grammar_model.build_model(grammar_model.Config(layers=2, width=WIDTH, heads=2))
    contexts = [part for part, is_out in zip(tokens_of(dataset), dataset.held_out, strict=True) if not is_out]
    length = max(map(len, contexts))
    padded = torch.stack([torch.cat([part, part.new_full((length - len(part),), -100)]) for part in contexts])
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(40):
        rows = padded[torch.arange(step * 32, step * 32 + 32) % len(padded)]
        model(input_ids=rows.clamp(min=0), labels=rows).loss.backward()
        adam.step()
        adam.zero_grad()
    return LoadedModel(model.eval().requires_grad_(False), None, "tiny", "tiny", "m" * 64, 64, "causal", True)


def tokens_of(dataset: Dataset) -> list[Tensor]:
    bounds = np.asarray(dataset.offsets)
    tokens = np.asarray(dataset.tokens).astype(np.int64)
    return [torch.from_numpy(tokens[bounds[i] : bounds[i + 1]]) for i in range(dataset.contexts)]


def relu_sae(w_enc: Tensor, w_dec: Tensor, b_dec: Tensor) -> Sae:
    return Sae("standard", w_enc, w_dec, b_dec, {"b_enc": torch.zeros(len(w_enc))})


def identity_sae() -> Sae:
    """A pair of latents for each dimension, one for each sign."""
    both = torch.cat([torch.eye(WIDTH), -torch.eye(WIDTH)])
    return relu_sae(both, both.clone(), torch.zeros(WIDTH))


def random_sae() -> Sae:
    generator = torch.Generator().manual_seed(3)
    w_enc = torch.randn(64, WIDTH, generator=generator) / WIDTH**0.5
    return relu_sae(w_enc, w_enc / 2, torch.randn(WIDTH, generator=generator) / 10)


def slow(loaded: LoadedModel, dataset: Dataset, sae: Sae, contexts: list[int], hook: str = HOOK) -> dict[str, float]:
    """Every figure by its definition: contexts one by one, no padding, float64."""
    module: nn.Module = loaded.model.get_submodule(hook)
    positions = {i: set(np.asarray(dataset.samples) - int(dataset.offsets[i])) for i in contexts}
    seen: list[Tensor] = []
    change = None

    def step_in(_: nn.Module, args: object, output: object) -> object:
        hidden = output[0] if isinstance(output, tuple) else output
        assert isinstance(hidden, Tensor)
        hidden = hidden.clone()
        for position in range(hidden.shape[1]):
            if position in positions[current]:
                if change is None:
                    seen.append(hidden[0, position].double())
                else:
                    hidden[0, position] = change(hidden[0, position])
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    sums, counted, current = dict.fromkeys(("clean", "zero", "mean", "spliced"), 0.0), 0, 0
    handle = module.register_forward_hook(step_in)
    texts = tokens_of(dataset)
    for name in sums:
        mean = torch.stack(seen).mean(0) if seen else None
        ways = {
            "zero": torch.zeros_like,
            "mean": lambda row, mean=mean: mean.to(row),
            "spliced": lambda row: reconstruct(sae, row[None])[0],
        }
        change = ways.get(name)
        counted = 0
        for current in contexts:
            with torch.inference_mode():
                logits = loaded.model(input_ids=texts[current][None]).logits[0].double().log_softmax(-1)
            for position in sorted(positions[current]):
                if 0 <= position < len(texts[current]) - 1:
                    sums[name] -= float(logits[position, texts[current][position + 1]])
                    counted += 1
    handle.remove()
    ce = {name: value / counted for name, value in sums.items()}
    zero = (ce["zero"] - ce["spliced"]) / (ce["zero"] - ce["clean"])
    mean_ablated = (ce["mean"] - ce["spliced"]) / (ce["mean"] - ce["clean"])
    return {**ce, "zero_share": zero, "mean_share": mean_ablated, "tokens": counted}


def measure(loaded: LoadedModel, dataset: Dataset, sae: Sae, **more: object) -> LossRecovered:
    found = measure_loss_recovered(loaded, HOOK, sae, dataset, **more)  # type: ignore[arg-type]
    assert found is not None
    return found


def hooks_left(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_every_figure_is_that_of_an_explicit_computation(loaded: LoadedModel, dataset: Dataset) -> None:
    contexts = held_out_contexts(dataset, 12)
    found = measure(loaded, dataset, random_sae(), contexts=contexts, batch_tokens=100)
    wanted = slow(loaded, dataset, random_sae(), contexts.tolist())
    assert found.tokens == wanted["tokens"] and found.contexts == 12
    assert wanted["clean"] < 3 < wanted["zero"]  # the model has learned something, and needs the hook point
    for name in ("clean", "zero", "mean", "spliced"):
        assert getattr(found, f"ce_{name}") == pytest.approx(wanted[name], abs=1e-5)
    assert found.loss_recovered == pytest.approx(wanted["zero_share"], abs=1e-4)
    assert found.loss_recovered_mean == pytest.approx(wanted["mean_share"], abs=1e-4)


def test_an_sae_that_changes_nothing_recovers_all_of_the_loss(loaded: LoadedModel, dataset: Dataset) -> None:
    found = measure(loaded, dataset, identity_sae())
    assert found.loss_recovered == pytest.approx(1, abs=1e-6) and found.loss_recovered_mean == pytest.approx(
        1, abs=1e-6
    )
    assert found.contexts == dataset.held_out.sum() and found.ce_spliced == pytest.approx(found.ce_clean, abs=1e-6)


def test_an_sae_of_zeros_recovers_nothing(loaded: LoadedModel, dataset: Dataset) -> None:
    nothing = relu_sae(torch.zeros(4, WIDTH), torch.zeros(4, WIDTH), torch.zeros(WIDTH))
    found = measure(loaded, dataset, nothing)
    assert found.loss_recovered == 0 and found.ce_spliced == found.ce_zero


def test_figures_do_not_depend_on_how_contexts_are_batched(loaded: LoadedModel, dataset: Dataset) -> None:
    one, other = (measure(loaded, dataset, random_sae(), batch_tokens=most) for most in (1, 4096))
    assert one.tokens == other.tokens and one == pytest.approx(other, rel=1e-5)


def test_special_and_padding_tokens_are_left_untouched(loaded: LoadedModel, dataset: Dataset) -> None:
    """What the next layer receives at the first token, which is special, is the same in every run of the model."""
    received = []
    handle = loaded.model.get_submodule("transformer.h.1").register_forward_pre_hook(
        lambda _, args, kwargs: received.append((*args, *kwargs.values())[0][:, 0].clone()), with_kwargs=True
    )
    measure(loaded, dataset, random_sae(), contexts=held_out_contexts(dataset, 4), batch_tokens=4096)
    handle.remove()
    assert len(received) == 4 and all(torch.equal(received[0], each) for each in received)


def test_inputs_of_modules_are_spliced_too(loaded: LoadedModel, dataset: Dataset) -> None:
    """The input of layer 1 is the output of layer 0."""
    contexts = held_out_contexts(dataset, 6)
    at_input = measure_loss_recovered(loaded, "transformer.h.1.input", random_sae(), dataset, contexts)
    assert at_input == pytest.approx(measure(loaded, dataset, random_sae(), contexts=contexts), rel=1e-6)


def test_a_model_without_a_head_has_no_loss(loaded: LoadedModel, dataset: Dataset) -> None:
    assert measure_loss_recovered(loaded._replace(has_unembedding=False), HOOK, random_sae(), dataset) is None


def test_hooks_are_gone_afterwards_and_after_an_error(loaded: LoadedModel, dataset: Dataset) -> None:
    measure(loaded, dataset, random_sae(), contexts=held_out_contexts(dataset, 2))
    assert hooks_left(loaded.model) == 0
    narrow = relu_sae(torch.zeros(4, 7), torch.zeros(4, 7), torch.zeros(7))
    with pytest.raises(BadInput, match=r"reads rows of 7; hook point 'transformer.h.0' hands on \("):
        measure(loaded, dataset, narrow)
    module, _ = find_hook(loaded.model, HOOK)
    with pytest.raises(ZeroDivisionError), spliced(module, lambda hidden: hidden / (1 // 0)):
        loaded.model(input_ids=torch.zeros((1, 3), dtype=torch.long))
    assert hooks_left(loaded.model) == 0


def test_an_ablation_that_does_not_hurt_gives_no_share(loaded: LoadedModel, dataset: Dataset) -> None:
    last = loaded.model.get_submodule("transformer.h.1.mlp.c_proj")
    assert isinstance(last.weight, Tensor) and isinstance(last.bias, Tensor)
    kept = last.weight.detach().clone(), last.bias.detach().clone()
    last.weight.zero_(), last.bias.zero_()
    found = measure_loss_recovered(loaded, "transformer.h.1.mlp.c_proj", random_sae(), dataset)
    last.weight.copy_(kept[0]), last.bias.copy_(kept[1])
    assert found is not None and math.isnan(found.loss_recovered) and found.ce_zero == found.ce_clean


def test_contexts_are_spread_evenly_and_refused_where_there_are_none(dataset: Dataset) -> None:
    everything = held_out_contexts(dataset)
    some = held_out_contexts(dataset, 5)
    assert len(some) == 5 and some[0] == everything[0] and some[-1] == everything[-1] and set(some) <= set(everything)
    assert dataset.held_out[everything].all() and len(everything) == dataset.held_out.sum()
    with pytest.raises(BadInput, match="is 0; it must be at least 1"):
        held_out_contexts(dataset, 0)


def test_a_measurement_is_kept_beside_the_sae(tmp_path: Path) -> None:
    found = LossRecovered(0.9, math.nan, 1.0, 1.1, 2.0, 1.0, 10, 2)
    keep(tmp_path, found, {"dataset": "grammar"})
    kept = json.loads((tmp_path / NAME).read_text())
    assert kept["loss_recovered"] == 0.9 and kept["loss_recovered_mean"] is None and kept["dataset"] == "grammar"
