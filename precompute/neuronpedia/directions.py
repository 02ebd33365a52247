"""What a feature's decoder row says: its vector, the features nearest to it, and the dimensions that it lies along."""

from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.coactivation import unit_rows
from analysis.ranking import top_per_row
from loaders.errors import BadInput, StoreNotFound
from loaders.sae import SaeRecord
from loaders.store import Store
from loaders.workspace import Workspace
from precompute.neuronpedia.fields import short
from precompute.weights import has_weights

BLOCK_CELLS = 1 << 23
ALIGNED = 3


class Directions:
    """The decoder rows of an SAE, float32 [features, width]."""

    def __init__(self, decoder: npt.NDArray[np.float32]) -> None:
        self.decoder = decoder
        self._unit = unit_rows(decoder)
        self.block = max(BLOCK_CELLS // max(len(decoder), 1), 1)

    def nearest(self, first: int, stop: int, k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Other features with the largest decoder cosine, over ALL features, and the cosines: [stop - first, k] each."""
        cosines = self._unit[first:stop] @ self._unit.T  # (features of the block, all features)
        cosines[np.arange(stop - first), np.arange(first, stop)] = -np.inf
        chosen = top_per_row(cosines, min(k, len(self.decoder) - 1))
        return chosen, np.clip(np.take_along_axis(cosines, chosen, axis=1), -1, 1)

    def cosine(self, feature: int, others: list[int]) -> npt.NDArray[np.float32]:
        """Decoder cosines of one feature with others, [others]."""
        return np.clip(self._unit[others] @ self._unit[feature], -1, 1)

    def fields(self, first: int, stop: int, neighbours: int, vectors: bool) -> list[dict[str, Any]]:
        """The fields of a feature's row that its decoder row gives.

        `neuron_alignment_*`: the largest entries of the decoder row, and each as a share of the row's L1 norm.
        """
        indices, cosines = self.nearest(first, stop, neighbours)
        return [
            {
                "hasVector": vectors,
                "vector": [short(value) for value in row.tolist()] if vectors else [],
                "topkCosSimIndices": near.tolist(),
                "topkCosSimValues": [short(value) for value in cosine.tolist()],
                **_alignment(row),
            }
            for row, near, cosine in zip(self.decoder[first:stop], indices, cosines, strict=True)
        ]


def _alignment(row: npt.NDArray[np.float32]) -> dict[str, Any]:
    order = np.argsort(-row, kind="stable")[:ALIGNED]
    norm = float(np.abs(row.astype(np.float64)).sum())
    return {
        "neuron_alignment_indices": order.tolist(),
        "neuron_alignment_values": [short(value) for value in row[order].tolist()],
        "neuron_alignment_l1": [short(abs(value) / norm) if norm else 0.0 for value in row[order].tolist()],
    }


def read_directions(workspace: Workspace, store: Store) -> Directions | None:
    """The decoder of the store's SAE, or None where its weights are not in the workspace.

    Raises BadInput when the SAE there is another one.
    """
    try:
        record = workspace.sae(store.sae_id)
    except StoreNotFound:
        return None
    if not has_weights(record):
        return None
    require_same_sae(record, store.sae_fingerprint, f"store '{store.id}'")
    decoder = record.decoder()
    if len(decoder) != store.features:
        raise BadInput(f"Store '{store.id}' has {store.features} features, its SAE {len(decoder)}. Harvest it again.")
    return Directions(decoder)


def require_same_sae(record: SaeRecord, fingerprint: object, what: str) -> None:
    """Raise BadInput when an SAE is not the one that `what` was made from."""
    if fingerprint_of(record) != fingerprint:
        raise BadInput(
            f"SAE '{record.id}' is not the one that {what} was made from: their fingerprints differ. Name the right one."
        )


def fingerprint_of(record: SaeRecord) -> str:
    """The fingerprint that labels are kept under; raises BadInput for an SAE that states none."""
    stated = record.metadata.get("fingerprints")
    found = stated.get("sae") if isinstance(stated, dict) else None
    if not isinstance(found, str) or not found:
        raise BadInput(f"SAE '{record.id}' states no fingerprint to keep labels under. Import it again.")
    return found
