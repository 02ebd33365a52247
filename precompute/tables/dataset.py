"""The dataset behind a store, known from the store's id before its manifest is written."""

from loaders.dataset import Dataset
from loaders.errors import StoreDamaged
from loaders.workspace import Workspace
from precompute.feature_blocks import FeatureBlocks


def dataset_of(store_id: str, workspace: Workspace) -> Dataset:
    """Open the dataset of `<sae>@<dataset>`; raises StoreDamaged when its samples are not those of the activations."""
    dataset = workspace.dataset(store_id.partition("@")[2])
    samples = FeatureBlocks.open(workspace.store_dir(store_id)).samples
    if samples != len(dataset.samples):
        raise StoreDamaged(
            f"Store '{store_id}' holds {samples:,} samples, its dataset has {len(dataset.samples):,}."
            " Finish `loupe harvest`, or delete the store when the dataset was made anew."
        )
    return dataset
