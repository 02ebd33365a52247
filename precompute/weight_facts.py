"""Measure an SAE's weights once and keep the result beside them, so that pages show it at once."""

from typing import NamedTuple

from analysis.weights import cosine_blocks, measure_weights
from loaders.errors import BadInput
from loaders.sae import SaeRecord
from loaders.weight_facts import FILE, WeightFacts, pack_facts, read_facts, weights_fingerprint
from loaders.workspace import Workspace
from precompute.disk import write_whole
from precompute.progress import Progress
from precompute.weights import has_weights


class Measured(NamedTuple):
    """The facts, and whether they lie beside the SAE now."""

    facts: WeightFacts
    is_kept: bool


def measure_sae(record: SaeRecord, workspace: Workspace, progress: Progress) -> Measured:
    """The facts of an SAE: those kept beside it where they are of these weights, else measured and kept.

    In a workspace that cannot be written they are only measured. Raises BadInput for an SAE without weights here.
    """
    if not has_weights(record):
        raise BadInput(f"SAE '{record.id}' has no weights in this workspace. Import or train it first.")
    fingerprint = weights_fingerprint(record)
    path = workspace.file(f"saes/{record.id}/{FILE}")
    if (kept := read_facts(path, fingerprint)) is not None:
        return Measured(kept, True)
    tensors = record.tensors
    features = len(tensors["W_dec"]) if "W_dec" in tensors else 0
    with progress.step(f"weights {record.id}", cosine_blocks(features), "blocks of cosines") as bar:
        facts = measure_weights(record.id, tensors, bar.advance)
    try:
        write_whole(path, pack_facts(facts, fingerprint))
    except OSError:  # a workspace that may only be read
        return Measured(facts, False)
    return Measured(facts, True)
