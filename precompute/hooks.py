"""Capture what modules hand on (or receive) while the model runs; every hook is gone when the context closes."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import nn


class _AllCaptured(Exception):
    """Leaves the forward pass once nothing more is wanted from it."""


@contextmanager
def capture_outputs(
    modules: Mapping[str, nn.Module],
    inputs: bool | Collection[str] = False,
    when_all: Callable[[], None] | None = None,
) -> Iterator[dict[str, torch.Tensor]]:
    """Yield a dict that each forward pass fills with the hidden states of `modules`, by their keys.

    Values are the module's own tensors (batch, position, width), neither copied nor detached. Of a tuple or a model
    output the first tensor is taken; `inputs` captures the first tensor that the module receives instead, of all modules
    or of those with the given keys. A module that hands on no tensor leaves no entry. `when_all` is called each time that
    an entry is made and all are there. The hooks are removed on leaving, after an exception too.
    """
    captured: dict[str, torch.Tensor] = {}

    def keep(name: str, value: Any) -> None:
        tensor = first_tensor(value)
        if tensor is not None:
            captured[name] = tensor
            if when_all is not None and len(captured) == len(modules):
                when_all()

    def add_hook(name: str, module: nn.Module) -> Any:
        if inputs if isinstance(inputs, bool) else name in inputs:
            return module.register_forward_pre_hook(
                lambda _, args, kwargs: keep(name, (*args, *kwargs.values())), with_kwargs=True
            )
        return module.register_forward_hook(lambda _, args, output: keep(name, output))

    with ExitStack() as hooks:
        for name, module in modules.items():
            hooks.callback(add_hook(name, module).remove)
        yield captured


def run_until_captured(
    model: nn.Module, modules: Mapping[str, nn.Module], inputs: bool | Collection[str] = False, **arguments: Any
) -> dict[str, torch.Tensor]:
    """Run `model(**arguments)` only as far as the last of `modules` and return their hidden states, by their keys.

    Of a module that runs several times in a pass, the first call may be the one returned.
    """

    def leave() -> None:
        raise _AllCaptured

    with capture_outputs(modules, inputs, when_all=leave) as captured, suppress(_AllCaptured):
        model(**arguments)
    return captured


def first_tensor(value: Any) -> torch.Tensor | None:
    """The value itself, or the first tensor of a tuple, list or dict-like model output; None when there is none."""
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return None
    return next((part for part in value if isinstance(part, torch.Tensor)), None)
