"""Settings of the step `convert`; its command line as well."""

from dataclasses import dataclass

from precompute.parallel import Distributed


@dataclass(frozen=True)
class Config(Distributed):
    """Where the activations are and what they belong to."""

    source: tuple[str, ...]
    """Files of one kind, or a directory of them, read in the order of their names (2 before 10): .npy, .npz, .h5, .hdf5,
    .h5ad, .zarr, .safetensors (delphi's shards of latents included), .joblib, .pkl. Rows are samples, columns features."""
    sae_id: str
    """Id of the SAE; one that is not in the workspace is recorded there, without weights."""
    dataset_id: str
    """Id of the dataset; one that is not in the workspace is made of the metadata, or of delphi's tokens."""
    metadata: str | None = None
    """Parquet or CSV file with a row per sample: `context`, `token` and `text` where there are any, the rest is metadata.
    With delphi's tokens a row per context."""
    array: str | None = None
    """Name of the array in an HDF5, Zarr, .npz or safetensors file that holds several."""
    threshold: float = 0.0
    """Values up to this one become zero; it is recorded."""
    trust_pickle: bool = False
    """Load pickles (.joblib, .pkl, .npy of objects), which runs whatever code was put into them."""
    tokenizer: str | None = None
    """Model whose tokenizer made delphi's tokens (`minilm`, a folder or a hub id); without it tokens are shown as ids."""
    model: str | None = None
    """Name of the model, for a new SAE; SAEs of one name can be matched across layers."""
    hook: str | None = None
    """Hook point, for a new SAE."""
    set_id: str | None = None
    """Set that a new SAE belongs to."""
    layer_index: int | None = None
    """Place of a new SAE in its set, from 0."""
