"""The face of Loupe for notebooks: `loupe.open_store("workspace", "minilm-l1@docs")`, `loupe.sae("workspace", "minilm-l1")`."""

from analysis.weights import measure_weights
from loaders.advice import Advice, advice_path, read_advice
from loaders.sae import SaeRecord
from loaders.store import Store
from loaders.weight_facts import WeightFacts
from loaders.workspace import Workspace

__all__ = [
    "Advice",
    "SaeRecord",
    "Store",
    "WeightFacts",
    "Workspace",
    "layer_advice",
    "open_store",
    "sae",
    "weight_facts",
]


def open_store(workspace: str, store_id: str) -> Store:
    """Open one published store of a workspace."""
    return Workspace(workspace).open_store(store_id)


def sae(workspace: str, sae_id: str) -> SaeRecord:
    """Open one SAE of a workspace: `sae("workspace", "minilm-l1").tensor("W_dec")`, `.shapes()`, `.cfg`."""
    return Workspace(workspace).sae(sae_id)


def weight_facts(workspace: str, sae_id: str) -> WeightFacts:
    """Norms, cosines and biases of every feature of an SAE, measured now from its tensors."""
    record = sae(workspace, sae_id)
    return measure_weights(record.id, record.tensors)


def layer_advice(workspace: str, model_id: str, dataset_id: str) -> Advice:
    """What `loupe layers` measured; raises StoreNotFound before it has run."""
    return read_advice(advice_path(Workspace(workspace), model_id, dataset_id))
