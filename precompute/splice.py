"""Put other hidden states in the place of a module's while the model runs; the hook is gone when the context closes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from typing import Any

import torch
from torch import nn

from loaders.errors import BadInput
from precompute.models import resolve_hook

INPUT = ".input"
"""Ends the name of a hook point at which a module's input was captured."""


def find_hook(model: nn.Module, name: str) -> tuple[nn.Module, bool]:
    """The module of a hook point as an SAE names it, and whether its input is meant; raises BadInput for none."""
    is_input = name.endswith(INPUT) and name not in dict(model.named_modules())
    return resolve_hook(model, name.removesuffix(INPUT) if is_input else name), is_input


@contextmanager
def spliced(module: nn.Module, replace: Callable[[torch.Tensor], torch.Tensor], inputs: bool = False) -> Iterator[None]:
    """While open, the module hands on `replace(hidden)` for the hidden states (batch, position, width) that it computed.

    Of a tuple or a model output the first tensor is replaced; with `inputs` the first tensor that the module receives. The
    hook is removed on leaving, after an exception too.
    """

    def of_output(_: nn.Module, args: Any, output: Any) -> Any:
        return _with_first(output, replace)[0]

    def of_input(_: nn.Module, args: Any, kwargs: Any) -> Any:
        new, is_done = _with_first(args, replace)
        return new, kwargs if is_done else _with_first(kwargs, replace)[0]

    handle = (
        module.register_forward_pre_hook(of_input, with_kwargs=True)
        if inputs
        else module.register_forward_hook(of_output)
    )
    try:
        yield
    finally:
        handle.remove()


def _with_first(value: Any, replace: Callable[[torch.Tensor], torch.Tensor]) -> tuple[Any, bool]:
    """The value with its first tensor replaced, and whether there was one."""
    if isinstance(value, torch.Tensor):
        return replace(value), True
    if isinstance(value, Mapping):
        for key, part in value.items():
            if isinstance(part, torch.Tensor):
                new: Any = copy(value)
                new[key] = replace(part)
                return new, True
    elif isinstance(value, tuple | list):
        for number, part in enumerate(value):
            if isinstance(part, torch.Tensor):
                return (*value[:number], replace(part), *value[number + 1 :]), True
    return value, False


def require_width(hidden: torch.Tensor, width: int, hook: str) -> None:
    """Raise BadInput unless the hidden states are (batch, position, width)."""
    if hidden.ndim != 3 or hidden.shape[-1] != width:
        raise BadInput(
            f"The SAE reads rows of {width}; hook point '{hook}' hands on {tuple(hidden.shape)}. Name the hook point that"
            " the SAE was trained on."
        )
