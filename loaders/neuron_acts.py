"""The backend for npy pairs: `neuron_acts/neuron_0000/{acts,idxs}.npy`, as Loupe or SplatNLP wrote them."""

import json
import re
from pathlib import Path

import numpy as np

from loaders.errors import FeatureNotFound, StoreDamaged
from loaders.protocol import FeatureActivations

MOST_SAMPLES = 2**32
DIRECTORY = re.compile(r"neuron_(\d{4,9})")


class NeuronActsLoader:
    """Reads `acts.npy` float32 [n] and `idxs.npy` int64 [n] of each feature; a feature is named by its directory.

    `layout.json` states the shape where Loupe wrote the pairs; otherwise the highest directory counts the features.
    """

    def __init__(self, store_dir: Path) -> None:
        self._root = store_dir / "neuron_acts"
        self.samples = MOST_SAMPLES
        if not self.is_available:
            return
        layout = self._root / "layout.json"
        if layout.exists():
            try:
                stated = json.loads(layout.read_text())
                self.features, self.samples = int(stated["features"]), int(stated["samples"])
            except (ValueError, KeyError, TypeError) as error:
                raise StoreDamaged(f"'{layout}' states no shape. Run `loupe transpose --per-feature` again.") from error
        else:
            found = (DIRECTORY.fullmatch(path.name) for path in self._root.iterdir())
            self.features = max((int(match[1]) for match in found if match), default=-1) + 1

    @property
    def is_available(self) -> bool:
        return self._root.is_dir()

    def load(self, feature_id: int) -> FeatureActivations:
        """Raises StoreDamaged for files that are missing, torn, of other dtypes or lengths, or that are no activations."""
        if not 0 <= feature_id < self.features:
            raise FeatureNotFound(feature_id, self.features)
        pair = self._root / f"neuron_{feature_id:04d}"
        activations, indices = _read(pair / "acts.npy", np.float32), _read(pair / "idxs.npy", np.int64)
        if len(activations) != len(indices):
            raise StoreDamaged(
                f"'{pair}' holds {len(activations):,} activations for {len(indices):,} samples. Write the pair again."
            )
        if len(indices) and not (indices[0] >= 0 and indices[-1] < self.samples and (np.diff(indices) > 0).all()):
            raise StoreDamaged(f"The samples in '{pair}' do not ascend below {self.samples:,}. Write the pair again.")
        if not np.isfinite(activations).all():
            raise StoreDamaged(f"'{pair}' holds NaN or infinity. Write the pair again.")
        fires = slice(None) if activations.all() else activations != 0
        return FeatureActivations(indices[fires].astype(np.uint32), activations[fires])


def _read(path: Path, dtype: type[np.generic]) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StoreDamaged(f"'{path}' cannot be read ({error}). Run `loupe transpose --per-feature` again.") from error
    if not isinstance(values, np.ndarray) or values.dtype != dtype or values.ndim != 1:
        found = f"{values.dtype} of shape {values.shape}" if isinstance(values, np.ndarray) else "no array"
        raise StoreDamaged(f"'{path}' holds {found}; wanted {np.dtype(dtype).name} [n]. Write the pair again.")
    return values
