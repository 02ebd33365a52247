"""What every backend offers: all non-zero activations of one feature."""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt


class FeatureActivations(NamedTuple):
    """Non-zero activations of one feature: `indices` [n] ascending sample indices, `activations` [n] float32."""

    indices: npt.NDArray[np.integer]
    activations: npt.NDArray[np.float32]


class ActivationLoader(Protocol):
    """Serves all non-zero activations of one feature, in O(nnz of that feature)."""

    @property
    def is_available(self) -> bool:
        """True when the files that this backend reads are there."""
        ...

    def load(self, feature_id: int) -> FeatureActivations:
        """Return the feature's activations; raises FeatureNotFound for an id outside of the SAE."""
        ...
