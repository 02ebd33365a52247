"""Capture what modules hand on (or receive) while the model runs; every hook is gone when the context closes."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def capture_outputs(modules: Mapping[str, nn.Module], inputs: bool = False) -> Iterator[dict[str, torch.Tensor]]:
    """Yield a dict that each forward pass fills with the latest hidden states of `modules`, by their keys.

    Values are the module's own tensors (batch, position, width), neither copied nor detached. Of a tuple or a model
    output the first tensor is taken; `inputs` captures the first argument instead. A module that hands on no tensor
    leaves no entry. The hooks are removed on leaving, after an exception too.
    """
    captured: dict[str, torch.Tensor] = {}

    def keep(name: str, value: Any) -> None:
        tensor = first_tensor(value)
        if tensor is not None:
            captured[name] = tensor

    with ExitStack() as hooks:
        for name, module in modules.items():
            if inputs:
                handle = module.register_forward_pre_hook(
                    lambda _, args, kwargs, name=name: keep(name, (*args, *kwargs.values())), with_kwargs=True
                )
            else:
                handle = module.register_forward_hook(lambda _, args, output, name=name: keep(name, output))
            hooks.callback(handle.remove)
        yield captured


def first_tensor(value: Any) -> torch.Tensor | None:
    """The value itself, or the first tensor of a tuple, list or dict-like model output; None when there is none."""
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return None
    return next((part for part in value if isinstance(part, torch.Tensor)), None)
