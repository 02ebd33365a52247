"""What the Home page lists: every SAE of the workspace, whichever step of the pipeline it has reached."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from catalog.runs import Run
from dashboard.model_name import model_name
from dashboard.weights import expected_tables
from loaders.errors import LoupeError
from loaders.store import Store
from loaders.workspace import Workspace


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
    """SAEs that belong together, in layer order, and what they were made from; or those of one model and dataset that
    stand alone, under no id."""

    id: str | None
    model: str
    dataset: str
    rows: list[SaeRow]


class _Found(NamedTuple):
    """A row with the set that it belongs to and its place in it."""

    set_id: str | None
    model: str
    dataset: str
    layer: int
    row: SaeRow


def collect_sets(workspace: Workspace, runs: Sequence[Run]) -> list[SaeSet]:
    """All SAEs by set: those with a store, those only trained, those in training; the oldest set first."""
    found: dict[str, _Found] = {}
    for one in [*_with_store(workspace), *_trained(workspace), *_in_training(runs)]:
        found.setdefault(one.row.sae, one)  # the furthest step that an SAE has reached comes first
    sets: dict[tuple[str | None, ...], list[_Found]] = {}
    for one in found.values():
        alone = () if one.set_id else (model_name(one.model), one.dataset)
        sets.setdefault((one.set_id, *alone), []).append(one)
    return [
        SaeSet(
            key[0], model_name(members[0].model), members[0].dataset, [one.row for one in sorted(members, key=_order)]
        )
        for key, members in sets.items()
    ]


def _order(one: _Found) -> tuple[int, str]:
    return one.layer, one.row.sae


def _with_store(workspace: Workspace) -> list[_Found]:
    manifests = workspace.manifests()
    oldest_first = sorted(
        workspace.store_ids(), key=lambda store: (manifests.get(store, {}).get("created_at", ""), store)
    )
    return [_open_or_say(workspace, store_id, manifests.get(store_id, {})) for store_id in oldest_first]


def _open_or_say(workspace: Workspace, store_id: str, manifest: dict[str, Any]) -> _Found:
    try:
        return _of_store(workspace.open_store(store_id))
    except LoupeError as error:
        sae, _, dataset = store_id.partition("@")
        row = SaeRow(sae, None, str(manifest.get("hook", "")), str(error), False, {}, None, None)
        layer = int(manifest.get("layer_index") or 0)
        return _Found(manifest.get("set") or None, str(manifest.get("model", "")), dataset, layer, row)


def _of_store(store: Store) -> _Found:
    tables = expected_tables(store)
    missing = [table for table in tables if not store.has(table)]
    state = "ready" if not missing else f"open, {len(tables) - len(missing)} of {len(tables)} tables ready"
    manifest = store.manifest
    quality = manifest.get("quality", {})
    row = SaeRow(store.sae_id, store.id, store.hook, state, not missing, quality, store.features, store.samples)
    layer = int(manifest.get("layer_index") or 0)
    return _Found(store.set_id or None, str(manifest["model"]), store.dataset.id, layer, row)


def _trained(workspace: Workspace) -> list[_Found]:
    found = []
    for sae_id in workspace.sae_ids():
        record = workspace.sae(sae_id)
        meta, state = record.metadata, "trained, features not read out yet"
        quality, hook = meta.get("quality", {}), str(meta.get("hook_name", ""))
        row = SaeRow(sae_id, None, hook, state, False, quality, record.cfg.get("d_sae"), None)
        set_id, layer = meta.get("set") or None, int(meta.get("layer_index") or 0)
        found.append(_Found(set_id, str(meta.get("model_name", "")), str(meta.get("dataset", "")), layer, row))
    return found


def _in_training(runs: Sequence[Run]) -> list[_Found]:
    found = []
    for run in runs:
        if run.status != "running":
            continue
        config = run.config
        state = f"training, step {run.step:,} of {run.total_steps:,}" if run.total_steps else "training"
        row = SaeRow(run.sae_id, None, str(config.get("hook", "")), state, False, {}, None, None)
        set_id, layer = config.get("set_id") or None, int(config.get("layer_index") or 0)
        model, dataset = str(config.get("model_id", "")), str(config.get("dataset_id", ""))
        found.append(_Found(set_id, model, dataset, layer, row))
    return found
