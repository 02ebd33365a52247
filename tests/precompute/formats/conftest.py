"""Random SAEs, and what each format's own formula makes of rows."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from precompute.formats import read_raw
from precompute.formats.raw import fold
from precompute.saes import INFERENCE
from precompute.saes.sae import Sae, decode

D_IN, D_SAE, K = 12, 40, 5


@pytest.fixture(scope="session")
def reference():
    place = Path(__file__).parent.parent / "formats_reference.py"
    spec = importlib.util.spec_from_file_location("formats_reference", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def made():
    """made(architecture): random weights of decoder norms other than 1."""

    def make(architecture):
        generator = torch.Generator().manual_seed(3)

        def normal(*shape):
            return torch.randn(*shape, generator=generator)

        biases = {name: 0.3 * normal(D_SAE) for name in INFERENCE[architecture].BIASES}
        if "threshold" in biases:
            biases["threshold"] = biases["threshold"].abs() + 0.2
        k = K if architecture == "topk" else None
        return Sae(architecture, normal(D_SAE, D_IN) / 3, normal(D_SAE, D_IN) / 3, normal(D_IN), biases, k, {})

    return make


@pytest.fixture(scope="session")
def rows():
    return np.random.default_rng(5).normal(size=(200, D_IN)) * 2


@pytest.fixture(scope="session")
def values():
    """values(directory, rows): the codes and the reconstructions of what Loupe reads there."""

    def compute(directory, rows):
        sae = fold(read_raw(directory))
        active = INFERENCE[sae.architecture].encode_sparse(sae, torch.from_numpy(rows).float())
        codes = torch.zeros(len(rows), sae.d_sae)
        codes[torch.arange(len(rows)).repeat_interleave(active.indptr.diff()), active.indices] = active.values
        return codes.numpy(), decode(sae, active).numpy()

    return compute
