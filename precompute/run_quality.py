"""A checklist of a finished SAE: each check passes or fails with its figure and its bound, or says why it cannot tell."""

import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from catalog.catalog import Catalog
from catalog.runs import repair_stale
from loaders.errors import BadInput, LoupeError, StoreNotFound, TableMissing
from loaders.faults import FOREIGN
from loaders.sae import SaeRecord
from loaders.snapshots import open_snapshot, snapshot_steps
from loaders.workspace import Workspace
from precompute.activations import Activations
from precompute.export_sae import export_sae
from precompute.formats import read_raw
from precompute.formats.raw import fold
from precompute.loss_recovered import NAME as LOSS_RECOVERED
from precompute.loss_recovered import reconstruct
from precompute.row_stages import RowStages
from precompute.run_bounds import Bounds
from precompute.sae_files import load_sae

COMPARED_ROWS = 2_048
TOLERANCE = 1e-5
"""Largest difference of two reconstructions, relative to the largest entry of the rows."""
RARE = 1e-5
FREQUENT = {"frequent": 0.01, "dense": 0.1}
NOT_RARE = 5
"""A density is notable where it is at least so many times the mean density."""


class Check(NamedTuple):
    """`passed` is None where it cannot be told, and `detail` says why; else what the figure was counted on."""

    name: str
    passed: bool | None
    figure: float | None
    bound: float
    is_upper: bool
    detail: str


class Report(NamedTuple):
    """The checks of one SAE, and the runs whose stale "running" rows were closed in the catalog."""

    sae: str
    checks: list[Check]
    repaired: list[str]

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if check.passed is False]


def check_run(workspace: Workspace, sae_id: str, bounds: Bounds | None = None) -> Report:
    """Run every check on a finished SAE; raises StoreNotFound for one that is not there or not finished."""
    bounds = bounds or Bounds()
    record = SaeRecord.open(workspace.sae_dir(sae_id))
    quality = record.metadata.get("quality") or {}
    store = _store_manifest(workspace, record)
    measured = (store or {}).get("quality") or {}
    checks = [
        _fvu({**measured, **quality}, bounds),
        _dead_share({**quality, **{key: value for key, value in measured.items() if "dead" in key}}, bounds),
        *_densities(workspace, record, store, bounds),
        _firings(record, quality, bounds),
        _loss_recovered(record, quality, bounds),
        *_export(workspace, record),
    ]
    return Report(record.id, checks, repair_catalog(workspace))


def repair_catalog(workspace: Workspace) -> list[str]:
    """Close the runs of the workspace's catalog that say they run and do not; their ids. No catalog is made for it."""
    url = workspace.catalog_url
    if url == f"sqlite:///{workspace.root / 'catalog.sqlite'}" and not (workspace.root / "catalog.sqlite").exists():
        return []
    catalog = Catalog(url)
    try:
        return repair_stale(catalog)
    finally:
        catalog.close()


def _fvu(quality: dict[str, Any], bounds: Bounds) -> Check:
    for key, rows in (("fvu", "held_out_samples"), ("fvu_held_out", ""), ("fvu_all", "")):
        if _is_number(quality.get(key)):
            counted = f"{quality[rows]:,} held-out rows" if quality.get(rows) else key.replace("_", " ")
            return _at_most("fvu", quality[key], bounds.max_fvu, counted)
    return _unknown("fvu", bounds.max_fvu, True, "neither training nor harvest measured it")


def _dead_share(quality: dict[str, Any], bounds: Bounds) -> Check:
    if not _is_number(quality.get("dead_share")):
        return _unknown("dead_share", bounds.max_dead_share, True, "neither training nor harvest counted it")
    counted = f"{quality['dead_share_samples']:,} rows" if quality.get("dead_share_samples") else "the dataset"
    return _at_most("dead_share", quality["dead_share"], bounds.max_dead_share, counted)


def _densities(
    workspace: Workspace, record: SaeRecord, store: dict[str, Any] | None, bounds: Bounds
) -> Iterator[Check]:
    limits = {"frequent": bounds.max_frequent_share, "dense": bounds.max_dense_share, "rare": bounds.max_rare_share}
    found = _find_density(workspace, record, store)
    if found is None:
        for name, limit in limits.items():
            yield _unknown(
                f"{name}_share", limit, True, "no store with the table 'stats' and no snapshot: run `loupe stats`"
            )
        return
    density, rows, counted = found
    mean = float(density.mean())
    for name, threshold in FREQUENT.items():
        if threshold < NOT_RARE * mean:
            why = f"the mean density is {mean:.2%}: more than {threshold:.0%} is nothing unusual"
            yield _unknown(f"{name}_share", limits[name], True, why)
        else:
            share = float((density > threshold).mean())
            yield _at_most(f"{name}_share", share, limits[name], f"density above {threshold:.0%}, {counted}")
    share = float((density < RARE).mean())
    if rows * RARE < 1 and share > limits["rare"]:  # rows without a firing are no proof: too few were looked at
        yield Check("rare_share", None, share, limits["rare"], True, f"never firing, but {counted} are too few to tell")
    else:
        yield _at_most("rare_share", share, limits["rare"], f"density below {RARE:g}, {counted}")


def _find_density(
    workspace: Workspace, record: SaeRecord, store: dict[str, Any] | None
) -> tuple[npt.NDArray[np.floating], int, str] | None:
    """Density of every feature, the rows that it was counted on, and their name: the store's, else the last snapshot's."""
    if store is not None:
        try:
            stats = workspace.open_store(store["id"]).stats()
            return (
                stats["density"].to_numpy(),
                int(store["samples"]),
                f"{store['samples']:,} samples of {store['dataset']}",
            )
        except TableMissing:
            pass
    steps = snapshot_steps(record.directory)
    if not steps:
        return None
    snapshot = open_snapshot(record.directory, steps[-1])
    return snapshot.density, snapshot.rows, f"{snapshot.rows:,} held-out rows at step {snapshot.step:,}"


def _store_manifest(workspace: Workspace, record: SaeRecord) -> dict[str, Any] | None:
    """The manifest of the SAE's store: over the dataset that it was trained on, else over another."""
    found = [manifest for manifest in workspace.manifests().values() if manifest.get("sae") == record.id]
    own = [manifest for manifest in found if manifest.get("dataset") == record.metadata.get("dataset")]
    return next(iter([*own, *found]), None)


def _firings(record: SaeRecord, quality: dict[str, Any], bounds: Bounds) -> Check:
    training = record.metadata.get("training") or {}
    parts: tuple[Any, ...] = (training.get("steps"), training.get("batch"), quality.get("l0"), record.cfg.get("d_sae"))
    if not all(_is_number(part) and part > 0 for part in parts):
        return _unknown("firings", bounds.min_firings, False, "its training is not recorded")
    rows = parts[0] * parts[1]
    figure = rows * parts[2] / parts[3]
    detail = f"{rows:,} rows, {parts[2]:.4g} active features each, {parts[3]:,} features"
    return Check("firings", figure >= bounds.min_firings, figure, bounds.min_firings, False, detail)


def _loss_recovered(record: SaeRecord, quality: dict[str, Any], bounds: Bounds) -> Check:
    limit, found = bounds.min_loss_recovered, quality
    path = record.directory / LOSS_RECOVERED
    if path.is_file():
        try:
            kept = json.loads(path.read_text())
            if kept["fingerprints"]["sae"] == record.metadata["fingerprints"]["sae"]:
                found = kept
        except (ValueError, KeyError, TypeError):
            return _unknown("loss_recovered", limit, False, f"'{path.name}' cannot be read: measure it again")
    if not _is_number(found.get("loss_recovered")):
        return _unknown("loss_recovered", limit, False, "not measured: run `loupe loss-recovered` (models with a head)")
    figure = float(found["loss_recovered"])
    counted = f"{found['tokens']:,} tokens" if found.get("tokens") else "in training"
    return Check("loss_recovered", figure >= limit, figure, limit, False, counted)


def _export(workspace: Workspace, record: SaeRecord) -> Iterator[Check]:
    """Whether the weights are those that were written, and an exported copy reconstructs what they do."""
    if record.cfg.get("architecture") == FOREIGN:
        yield _unknown("export", TOLERANCE, True, "only its activations are known, no weights")
        return
    try:
        found = record.fingerprint()
        sae, _ = load_sae(record.directory)
        with tempfile.TemporaryDirectory(prefix="loupe-export-") as folder:
            again = fold(read_raw(export_sae(workspace, record.id, "saelens", Path(folder) / "sae")))
            rows, kind = _rows(workspace, record, sae.d_in)
            one, other = (reconstruct(one, rows, RowStages.of(one.extra)) for one in (sae, again))
    except LoupeError as error:
        yield Check("export", False, None, TOLERANCE, True, str(error))
        return
    wanted = (record.metadata.get("fingerprints") or {}).get("sae")
    is_same = found == wanted
    detail = "they are those that were written" if is_same else "they are others than cfg.json was written for"
    yield Check("weights", is_same, float(not is_same), 0.0, True, detail)
    difference = float((one - other).abs().max() / rows.abs().max())
    passed = math.isfinite(difference) and difference <= TOLERANCE
    detail = f"an exported copy against the SAE on {len(rows):,} {kind}"
    yield Check("export", passed, difference if math.isfinite(difference) else None, TOLERANCE, True, detail)


def _rows(workspace: Workspace, record: SaeRecord, width: int) -> tuple[torch.Tensor, str]:
    """Rows to reconstruct: captured ones, spread over the dataset, where they are still there; else drawn ones."""
    about = record.metadata
    try:
        names = [str(about[key]) for key in ("model_id", "dataset", "hook_name")]
        found = Activations.open(workspace.activations_dir(names[0], names[1], names[2]))
        if found.width == width and found.rows:
            chosen = np.linspace(0, found.rows - 1, min(found.rows, COMPARED_ROWS)).astype(np.int64)
            return torch.from_numpy(found.take(chosen)), "captured rows"
    except (KeyError, StoreNotFound, BadInput):
        pass
    return torch.randn(COMPARED_ROWS, width, generator=torch.Generator().manual_seed(0)), "normally distributed rows"


def _at_most(name: str, figure: Any, bound: float, detail: str) -> Check:
    return Check(name, float(figure) <= bound, float(figure), bound, True, detail)


def _unknown(name: str, bound: float, is_upper: bool, why: str) -> Check:
    return Check(name, None, None, bound, is_upper, why)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
