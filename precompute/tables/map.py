"""Table `map`: every feature's place in the plane, near the features whose decoder rows point the same way."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from openTSNE import TSNE

from analysis.coactivation import unit_rows
from loaders.workspace import Workspace
from precompute.progress import Progress, Step
from precompute.tables.writer import kept_table, write_parquet
from precompute.weights import require_weights

FEWEST = 8  # below, a t-SNE has no neighbourhoods to speak of
STEPS_SHOWN = 25  # steps between two signs of life
INITIAL_SPREAD = 1e-4  # standard deviation of the first axis before the optimisation, as t-SNE wants it


@dataclass(frozen=True)
class Config:
    store: str
    """Id of the store, `<sae>@<dataset>`."""
    perplexity: float = 30.0
    """Effective number of neighbours; at most a third of the features."""
    exaggerated_steps: int = 125
    """Steps with exaggerated attraction, which form the clusters."""
    steps: int = 250
    """Steps after those."""
    seed: int = 0
    """Seed of the optimisation; the same seed gives the same bytes."""
    jobs: int = 1
    """Threads; the same bytes whatever their number. More than one pays on idle cores only: waiting threads spin."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Write the table and return its path; kept when it is there. Dead features have decoder rows, so places, too.

    Raises BadInput where the SAE's weights are not in the workspace.

    t-SNE (van der Maaten 2014, Barnes-Hut) on the cosine distance of decoder rows with exact nearest neighbours, begun at
    the two principal components. Only near neighbours mean something on the map; distances between clusters do not.
    """
    store_dir = workspace.store_dir(config.store)
    if path := kept_table(store_dir, "map", config):
        return path
    record = workspace.sae(config.store.partition("@")[0])
    require_weights(record, "map")
    directions = unit_rows(record.decoder())
    with progress.step(f"map {config.store}", config.exaggerated_steps + config.steps, "steps") as bar:
        start = principal_coordinates(directions)
        places = start if len(directions) < FEWEST else _embed(config, directions, start, bar)
        columns = {"feature_id": np.arange(len(places)), "x": places[:, 0], "y": places[:, 1]}
        return write_parquet(store_dir, "map", pa.table(columns), config)


def _embed(
    config: Config, directions: npt.NDArray[np.float32], start: npt.NDArray[np.float64], bar: Step
) -> npt.NDArray[np.float64]:
    def show(iteration: int, divergence: float, embedding: object) -> None:
        bar.advance(STEPS_SHOWN, f"divergence {divergence:.3f}")

    layout = TSNE(
        perplexity=min(config.perplexity, (len(directions) - 1) / 3),
        metric="cosine",
        neighbors="exact",
        negative_gradient_method="bh",
        initialization=start * (INITIAL_SPREAD / max(start[:, 0].std(), 1e-12)),
        early_exaggeration_iter=config.exaggerated_steps,
        n_iter=config.steps,
        n_jobs=config.jobs,
        random_state=config.seed,
        callbacks=show,
        callbacks_every_iters=STEPS_SHOWN,
    )
    return np.asarray(layout.fit(directions))


def principal_coordinates(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """First two principal components [rows, 2] of `rows` [rows, width]; each axis points where its largest entry is positive."""
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    places = np.zeros((len(rows), 2))
    leading = axes[:, ::-1][:, :2]  # (width, up to 2), largest variance first
    leading = leading * np.sign(leading[np.abs(leading).argmax(axis=0), np.arange(leading.shape[1])])
    places[:, : leading.shape[1]] = centred @ leading
    return places
