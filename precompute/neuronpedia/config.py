"""What an export is called and how much of each feature it shows."""

from dataclasses import dataclass

from catalog.dictionary.neuronpedia import CREATOR_ID


@dataclass(frozen=True)
class Config:
    """Names of the bundle's model, source set and release, and sizes of its lists."""

    model_id: str | None = None
    """The model's id on Neuronpedia (default: its id in the workspace)."""
    set_name: str | None = None
    """Name of the source set, such as res-16k (default: the store's set, or else its SAE)."""
    layer: int | None = None
    """The layer's number (default: the first number in the hook point's name)."""
    suffix: str | None = None
    """Part of the source's id after `__`, to tell SAEs of one layer and set apart."""
    release: str | None = None
    """Id of the release (default: the source set's name)."""
    title: str | None = None
    """What the release is, in words (default: names SAE and dataset)."""
    creator: str = "unknown"
    """Name of the person or lab that the release names."""
    creator_id: str = CREATOR_ID
    """User id that every row carries; the default is that of Neuronpedia's own converter."""
    first: int = 0
    """First feature to write."""
    last: int | None = None
    """Last feature to write (default: the SAE's last)."""
    top: int = 20
    """Strongest contexts of a feature."""
    bands: int = 5
    """Equal-width bands of [0, maximum] that more contexts are drawn from."""
    per_band: int = 5
    """Contexts drawn from each band."""
    bins: int = 50
    """Bars of each histogram."""
    logits: int = 10
    """Promoted and suppressed tokens each."""
    neighbours: int = 10
    """Nearest features by decoder cosine, and by correlation."""
    vectors: bool = True
    """Write each feature's decoder row."""
    labels: bool = True
    """Write the catalog's labels as explanations."""
    model: str | None = None
    """Folder or hub id of the model whose output head gives the logits (default: the store's, where it lies here)."""
