"""A backend over a matrix that is already in memory, for notebooks and tests."""

import numpy as np
from scipy.sparse import csc_matrix, spmatrix

from loaders.errors import FeatureNotFound
from loaders.protocol import FeatureActivations


class MemoryLoader:
    """Serves a scipy sparse matrix [samples, features]; explicit zeros are dropped."""

    def __init__(self, matrix: spmatrix) -> None:
        self._matrix = csc_matrix(matrix, dtype=np.float32)
        self._matrix.eliminate_zeros()
        self._matrix.sort_indices()
        self.features = self._matrix.shape[1]

    @property
    def is_available(self) -> bool:
        return True

    def load(self, feature_id: int) -> FeatureActivations:
        if not 0 <= feature_id < self.features:
            raise FeatureNotFound(feature_id, self.features)
        start, stop = self._matrix.indptr[feature_id], self._matrix.indptr[feature_id + 1]
        return FeatureActivations(self._matrix.indices[start:stop].astype(np.uint32), self._matrix.data[start:stop])
