import pytest
import torch
from torch import nn

from precompute.hooks import capture_outputs, first_tensor, run_until_captured


class Block(nn.Module):
    """Adds a constant and hands on a tuple, as transformer blocks do."""

    def __init__(self, constant: float, fails: bool = False) -> None:
        super().__init__()
        self.constant, self.fails, self.runs = constant, fails, 0

    def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, str]:
        self.runs += 1
        if self.fails:
            raise RuntimeError("the block failed")
        return hidden + self.constant, "attention"


class Model(nn.Module):
    def __init__(self, last_fails: bool = False) -> None:
        super().__init__()
        self.first, self.second, self.third = Block(1), Block(10), Block(100, fails=last_fails)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        for block in (self.first, self.second, self.third):
            hidden = block(hidden=hidden)[0]
        return hidden


def hooks_left(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_outputs_of_several_modules_are_captured_in_one_pass():
    model = Model()
    with capture_outputs({"a": model.first, "c": model.third}) as captured:
        model(torch.zeros(1, 2, 3))
    assert {name: value[0, 0, 0].item() for name, value in captured.items()} == {"a": 1, "c": 111}


def test_inputs_are_what_a_module_receives_by_position_or_by_name():
    model = Model()
    with capture_outputs({"c": model.third}, inputs=True) as captured:
        model(torch.zeros(1, 2, 3))
        assert captured["c"][0, 0, 0].item() == 11
        model.third(torch.full((1, 2, 3), 5.0))
        assert captured["c"][0, 0, 0].item() == 5


def test_hooks_are_gone_afterwards():
    model = Model()
    with capture_outputs({"a": model.first}) as captured:
        assert hooks_left(model) == 1
    model(torch.zeros(1, 2, 3))
    assert hooks_left(model) == 0 and captured == {}


def test_hooks_are_gone_after_an_exception_in_the_model():
    model = Model(last_fails=True)
    with (
        pytest.raises(RuntimeError, match="the block failed"),
        capture_outputs({"a": model.first, "c": model.third}, inputs=True),
    ):
        model(torch.zeros(1, 2, 3))
    assert hooks_left(model) == 0


def test_a_pass_goes_no_further_than_the_last_module_wanted():
    model = Model()
    captured = run_until_captured(model, {"b": model.second, "a": model.first}, hidden=torch.zeros(1, 2, 3))
    assert captured["b"][0, 0, 0].item() == 11
    assert (model.first.runs, model.second.runs, model.third.runs) == (1, 1, 0)
    assert hooks_left(model) == 0


def test_a_stopped_pass_does_not_hide_the_models_own_errors():
    model = Model(last_fails=True)
    with pytest.raises(RuntimeError, match="the block failed"):
        run_until_captured(model, {"c": model.third}, hidden=torch.zeros(1, 2, 3))


@pytest.mark.parametrize("value", [None, "text", (), {"a": 1}, [None, "b"]])
def test_an_output_without_a_tensor_has_no_first_tensor(value: object):
    assert first_tensor(value) is None


def test_the_first_tensor_is_found_in_tuples_and_model_outputs():
    tensor = torch.zeros(1)
    assert first_tensor(("x", tensor)) is tensor
    assert first_tensor({"mask": None, "hidden": tensor}) is tensor
