"""What the Home page lists: every SAE of the workspace, whichever step of the pipeline it has reached."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from catalog.runs import Run
from loaders.schema import GROUPED_TABLES, PARQUET_TABLES
from loaders.store import Store
from loaders.workspace import Workspace

TABLES = (*PARQUET_TABLES, *GROUPED_TABLES)


class SaeRow(NamedTuple):
    """One SAE: `quality` of its store or, before that, of its training; sizes are None until they are known."""

    sae: str
    store: str | None
    hook: str
    state: str  # in words
    is_ready: bool
    quality: dict[str, Any]
    features: int | None
    samples: int | None


class SaeSet(NamedTuple):
    """SAEs that belong together, in layer order, and what they were made from."""

    id: str
    model: str
    dataset: str
    rows: list[SaeRow]


def collect_sets(workspace: Workspace, runs: Sequence[Run]) -> list[SaeSet]:
    """All SAEs by set: those with a store, those only trained, those in training; the first set is the oldest."""
    sets: dict[str, SaeSet] = {}
    stores = {store: workspace.open_store(store) for members in workspace.sets().values() for store in members}
    ordered = sorted(stores.values(), key=lambda store: (store.manifest["created_at"], store.id))
    ranks: dict[str, list[tuple[int, str, SaeRow]]] = {}
    for store in ordered:
        set_id = store.set_id or store.sae_id
        sets.setdefault(set_id, SaeSet(set_id, str(store.manifest["model"]), store.dataset.id, []))
        ranks.setdefault(set_id, []).append(
            (int(store.manifest.get("layer_index") or 0), store.sae_id, _of_store(store))
        )
    shown = {store.sae_id for store in ordered}
    for sae_id in workspace.sae_ids():
        if sae_id in shown:
            continue
        record = workspace.sae(sae_id)
        meta, quality = record.metadata, record.metadata.get("quality", {})
        set_id = meta.get("set") or sae_id
        sets.setdefault(set_id, SaeSet(set_id, str(meta.get("model_name", "")), str(meta.get("dataset", "")), []))
        hook = str(meta.get("hook_name", ""))
        row = SaeRow(
            sae_id, None, hook, "trained, features not read out yet", False, quality, record.cfg.get("d_sae"), None
        )
        ranks.setdefault(set_id, []).append((int(meta.get("layer_index") or 0), sae_id, row))
        shown.add(sae_id)
    for run in runs:
        if run.sae_id in shown or run.status != "running":
            continue
        config = run.config
        set_id = config.get("set_id") or run.sae_id
        sets.setdefault(set_id, SaeSet(set_id, str(config.get("model_id", "")), str(config.get("dataset_id", "")), []))
        state = f"training, step {run.step:,} of {run.total_steps:,}" if run.total_steps else "training"
        row = SaeRow(run.sae_id, None, str(config.get("hook", "")), state, False, {}, None, None)
        ranks.setdefault(set_id, []).append((int(config.get("layer_index") or 0), run.sae_id, row))
        shown.add(run.sae_id)
    return [found._replace(rows=[row for *_, row in sorted(ranks[set_id])]) for set_id, found in sets.items()]


def _of_store(store: Store) -> SaeRow:
    missing = [table for table in TABLES if not store.has(table)]
    state = "ready" if not missing else f"open, {len(TABLES) - len(missing)} of {len(TABLES)} tables ready"
    quality = store.manifest.get("quality", {})
    return SaeRow(store.sae_id, store.id, store.hook, state, not missing, quality, store.features, store.samples)
