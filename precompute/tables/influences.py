"""Table `influences`: the tokens that each feature's decoder row promotes and suppresses, or lies next to."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analysis.coactivation import unit_rows
from analysis.ranking import top_per_row
from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute.parallel import Distributed, in_order
from precompute.progress import Progress
from precompute.readout import NEAREST, read_readout
from precompute.tables.writer import kept_table, write_grouped
from precompute.weights import require_weights

BLOCK_FEATURES = 256


@dataclass(frozen=True)
class Config(Distributed):
    store: str
    """Id of the store, `<sae>@<dataset>`."""
    model: str
    """Folder or hub id of the model whose residual stream the SAE reads."""
    top: int = 30
    """Tokens kept at each end: promoted and suppressed, or the nearest ones alone."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Write the table (formula and source: `precompute.readout.read_readout`) and return its path; kept when it is there.

    Its schema's metadata says which `kind` it is. Raises BadInput when the decoder's rows do not live in the model's
    residual stream, or are not in the workspace.
    """
    store_dir = workspace.store_dir(config.store)
    if path := kept_table(store_dir, "influences", config):
        return path
    record = workspace.sae(config.store.partition("@")[0])
    require_weights(record, "influences")
    decoder = record.decoder()
    kind, weights = read_readout(config.model)
    weights = weights[: len(workspace.dataset(config.store.partition("@")[2]).vocab)]  # some heads are padded
    if decoder.shape[1] != weights.shape[1]:
        raise BadInput(
            f"The decoder rows of '{config.store}' have {decoder.shape[1]} dimensions, the model's residual stream has"
            f" {weights.shape[1]}. Influences exist only for hook points that write into the residual stream."
        )
    if kind == NEAREST:
        decoder = unit_rows(decoder)
    with progress.step(f"influences {config.store}", len(decoder), "features") as bar:
        starts = range(0, len(decoder), BLOCK_FEATURES)
        blocks = [decoder[first : first + BLOCK_FEATURES] for first in starts]
        tasks = [(first, rows, weights, config.top, kind) for first, rows in zip(starts, blocks, strict=True)]
        parts = []
        for rows, part in zip(blocks, in_order(_extremes, tasks, config.jobs, config.backend), strict=True):
            parts.append(part)
            bar.advance(len(rows))
        table = pa.concat_tables(parts).replace_schema_metadata({"kind": kind})
        return write_grouped(store_dir, "influences", table, len(decoder), config)


def _extremes(
    first: int, rows: npt.NDArray[np.float32], weights: npt.NDArray[np.float32], top: int, kind: str
) -> pa.Table:
    """Rows of the features first..: the `top` largest of decoder rows [features, width] times readout [tokens, width],
    and the smallest where they mean something, descending."""
    values, both_ends = rows @ weights.T, kind != NEAREST
    features, tokens = values.shape
    k = min(top, tokens // 2) if both_ends else min(top, tokens)
    chosen = top_per_row(values, k)
    if both_ends:
        chosen = np.hstack([chosen, top_per_row(-values, k)[:, ::-1]])  # (features, 2 k)
    columns = {
        "feature_id": np.repeat(np.arange(first, first + features), chosen.shape[1]),
        "token_id": chosen.reshape(-1),
        "value": np.take_along_axis(values, chosen, axis=1).reshape(-1),
    }
    return pa.table(columns)
