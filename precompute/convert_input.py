"""What a conversion starts from: its files, the dataset that they belong to, and that the two have as many rows."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from loaders.dataset import Dataset
from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute import foreign
from precompute.convert_config import Config
from precompute.foreign_sae import Origin
from precompute.sources import delphi
from precompute.sources.frame import Frame
from precompute.sources.part import Options, require_no_name
from precompute.sources.source import Source, describe_files, find_files

MOST_SAMPLES = 2**32  # as the transposed store can count
MOST_FEATURES = 2**24  # whose counts every step holds in memory


class Input(NamedTuple):
    """What was found, before anything is written; `dataset` is None while it has to be made."""

    source: Source
    kind: str
    dataset: Dataset | None
    frame: Frame | None
    tokens: foreign.Tokens | None
    origin: Origin


def open_input(config: Config, workspace: Workspace) -> Input:
    """Describe the files and open the dataset that is there; raises BadInput where anything does not fit."""
    files = find_files(config.source)
    frame = Frame(config.metadata) if config.metadata else None
    origin = Origin(config.model, config.hook, config.set_id, config.layer_index)
    if files[0].suffix == ".safetensors" and delphi.is_shard(files[0]):
        return _open_delphi(config, workspace, files, frame, origin)
    parts = describe_files(files, Options(config.array, config.trust_pickle))
    dataset = foreign.existing_dataset(workspace, config.dataset_id, frame, None)
    return Input(Source(parts), files[0].suffix[1:] or "zarr", dataset, frame, None, origin)


def _open_delphi(config: Config, workspace: Workspace, files: list[Path], frame: Frame | None, origin: Origin) -> Input:
    require_no_name(files[0].parent, config.array)
    shards = delphi.open_shards(files)
    ids = delphi.tokens_of(shards)
    tokens = None if ids is None else foreign.Tokens(ids, config.tokenizer)
    dataset = foreign.existing_dataset(workspace, config.dataset_id, frame, tokens)
    if dataset is not None:
        samples = len(dataset.samples)
        locate = delphi.ragged(np.asarray(dataset.offsets), np.asarray(dataset.samples))
    elif tokens is not None:
        samples, locate = tokens.ids.size, delphi.grid(*tokens.shape)
    else:
        raise BadInput(
            f"The shards in '{files[0].parent}' hold no tokens, so it is not known how long their contexts are. Cache them"
            " with tokens, or name a dataset that is in the workspace."
        )
    origin = origin._replace(model=origin.model or delphi.model_name(shards))
    return Input(Source([delphi.describe(shards, samples, locate)]), "delphi", dataset, frame, tokens, origin)


def require_rows(config: Config, found: Input) -> None:
    """Raise BadInput unless there is one sample for each row of the metadata, or of the dataset."""
    source = found.source
    if not source.samples or not source.features:
        raise BadInput(f"The source holds {source.samples} samples of {source.features} features. Check the files.")
    if source.samples >= MOST_SAMPLES:
        raise BadInput(
            f"The source has {source.samples:,} samples; a store holds fewer than {MOST_SAMPLES:,}. Split it."
        )
    if source.features > MOST_FEATURES:
        raise BadInput(
            f"The source has {source.features:,} features; a store holds at most {MOST_FEATURES:,}. Split it."
        )
    if found.dataset is not None:
        _require_equal(source, len(found.dataset.samples), f"dataset '{config.dataset_id}' has")
    elif found.tokens is not None:
        contexts = found.tokens.shape[0]
        if found.frame is not None and found.frame.rows != contexts:
            raise BadInput(
                f"The tokens form {contexts:,} contexts, but '{found.frame.path}' has {found.frame.rows:,} rows. Give one row"
                " per context, in the order of the cache."
            )
    elif found.frame is None:
        raise BadInput(
            f"There is no dataset '{config.dataset_id}' in the workspace to attach the samples to. Give --metadata with a row"
            " per sample, or name a dataset that is there."
        )
    else:
        _require_equal(source, found.frame.rows, f"'{found.frame.path}' has")


def _require_equal(source: Source, rows: int, owner: str) -> None:
    if source.samples == rows:
        return
    tall = {part.samples for part in source.parts}
    is_swapped = len(tall) == 1 and rows == source.features * len(source.parts)
    if is_swapped:
        why = (
            f"The activations are [{tall.pop():,}, {source.features:,}] in each of {len(source.parts)} files and {owner}"
            f" {rows:,} rows: samples and features look swapped. Save each array transposed, a row per sample."
        )
    else:
        why = (
            f"The activations have {source.samples:,} rows in {len(source.parts)} files, but {owner} {rows:,} samples. There"
            " must be exactly one row for each, in the same order."
        )
    raise BadInput(why)
