"""Where a model runs and in which numbers: names as a person gives them, checked against this machine."""

import re

import torch

from loaders.errors import BadInput

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DEVICE = re.compile(r"(cpu|cuda|mps)|cuda:([0-9]{1,4})")


def choose_device(name: str) -> torch.device:
    """The device `cpu`, `cuda`, `cuda:<number>`, `mps`, or the fastest of this machine for `auto`.

    Raises BadInput for any other name and for a device that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    matched = DEVICE.fullmatch(name)
    if matched is None:
        raise BadInput(f"Device '{name}' is unknown. Choose cpu, cuda, cuda:<number>, mps or auto.")
    kind = name.partition(":")[0]
    found = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
    if int(matched[2] or 0) >= found:
        there = f"only {found} {kind} device{'s' if found > 1 else ''}" if found else f"no {kind} device"
        raise BadInput(f"Device '{name}' was asked for; this machine has {there}. Choose another, e.g. cpu or auto.")
    return torch.device(name)


def choose_dtype(name: str) -> torch.dtype:
    """The torch dtype of `float32`, `bfloat16` or `float16`; raises BadInput for any other name."""
    if name not in DTYPES:
        raise BadInput(f"Dtype '{name}' is unknown. Choose {', '.join(DTYPES)}.")
    return DTYPES[name]


def product_dtype(name: str, device: torch.device) -> torch.dtype:
    """Numbers for a product that bears rounding: `auto` is bfloat16 where the processor multiplies it natively, else float32.

    Raises BadInput for any other name than auto, float32 and bfloat16.
    """
    if name == "auto":
        on_cuda = device.type == "cuda" and torch.cuda.is_bf16_supported()
        on_cpu = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
        return torch.bfloat16 if on_cuda or on_cpu else torch.float32
    if name not in ("float32", "bfloat16"):
        raise BadInput(f"Products are taken in float32, bfloat16 or auto, not in '{name}'.")
    return choose_dtype(name)


def dtype_name(dtype: torch.dtype) -> str:
    """Such as `float32`."""
    return str(dtype).removeprefix("torch.")
