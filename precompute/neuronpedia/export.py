"""Write a store as Neuronpedia's import bundle, batch by batch; finished batches are kept when it is run again."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalog.dictionary.neuronpedia import MOMENT, explanation_row, layer_of, source_id
from catalog.labels import Label
from loaders.errors import BadInput
from loaders.manifest import file_sha256
from loaders.store import Store
from loaders.tables import GroupedTable
from loaders.workspace import Workspace
from precompute.neuronpedia.cards import cards
from precompute.neuronpedia.config import Config
from precompute.neuronpedia.directions import Directions, read_directions
from precompute.neuronpedia.fields import (
    ROWS_PER_BATCH,
    hook_name,
    require_name,
)
from precompute.neuronpedia.files import SIDECAR, UNFINISHED, dump, write_lines, write_rows
from precompute.neuronpedia.logits import Head, model_folder, model_here, read_head
from precompute.neuronpedia.rows import activation_rows, choose_batch, correlated, feature_row, read_texts
from precompute.progress import Progress
from precompute.publish import write_json

NOT_CONTENT = ("created_at",)


def export(
    workspace: Workspace, store: Store, labels: dict[int, Label], target: Path, config: Config, progress: Progress
) -> dict[str, Any]:
    """Write `target/{model}/{source}/` and report what was written, what was kept and what could not be known.

    A folder that holds another export, or anything else, is refused with BadInput.
    """
    directions = read_directions(workspace, store)
    head, unknown_logits = read_head(workspace, store, directions.decoder if directions else None, config.model)
    plan = make_plan(store, config, directions, head)
    directory = target / plan["model_id"] / plan["source"]
    plan = _take_up(directory, plan)
    for name, row in cards(plan, store, model_folder(model_here(workspace, store))).items():
        write_rows(directory / f"{name}.jsonl", [row])
    kept = _write_batches(store, directory, plan, directions, head, progress)
    shown = {feature: label for feature, label in labels.items() if plan["first"] <= feature <= plan["last"]}
    explanations = _write_explanations(store, directory, plan, shown if config.labels else {})
    _finish(directory, plan, shown if config.labels else {})
    unknown = [unknown_logits] if unknown_logits else []
    unknown += ["vectors and cosines: the SAE's weights are not here"] if directions is None else []
    unknown += [] if store.has("neighbours") else ["correlated features: the store has no table 'neighbours' yet"]
    return {
        "bundle": str(directory),
        "model": plan["model_id"],
        "source": plan["source"],
        "features": plan["last"] - plan["first"] + 1,
        "batches": len(batches(plan)),
        "kept_batches": kept,
        "explanations": explanations,
        "unknown": [*unknown, "correlated neurons, losses, attributions: the store does not hold them"],
    }


def make_plan(store: Store, config: Config, directions: Directions | None, head: Head | None) -> dict[str, Any]:
    """Everything that decides what the batches hold; raises BadInput for names and numbers that cannot be."""
    layer = layer_of(store.hook) if config.layer is None else config.layer
    if layer is None or layer < 0:
        raise BadInput(f"Hook point '{store.hook}' does not say which layer it is of. Give the number with --layer.")
    last = store.features - 1 if config.last is None else config.last
    if not 0 <= config.first <= last < store.features:
        raise BadInput(
            f"Features {config.first} to {last} were asked for; store '{store.id}' has 0 to {store.features - 1}."
        )
    sizes = {name: getattr(config, name) for name in ("top", "bands", "per_band", "bins", "logits", "neighbours")}
    if wrong := [name for name, size in sizes.items() if not (1 if name == "bins" else 0) <= size <= 1000]:
        raise BadInput(f"--{wrong[0].replace('_', '-')} {sizes[wrong[0]]} cannot be: choose a number up to 1000.")
    set_name = require_name("source set", config.set_name or store.set_id or store.sae_id)
    if config.suffix:
        require_name("suffix", config.suffix)
    for name in ("release", "title", "creator", "creator_id"):
        if len(getattr(config, name) or "") > 1000:
            raise BadInput(f"--{name.replace('_', '-')} may have at most 1,000 characters.")
    return {
        "store": store.id,
        "fingerprints": dict(store.manifest["fingerprints"]),
        "samples": store.samples,
        "contexts": store.dataset.contexts,
        "of_features": store.features,
        "first": config.first,
        "last": last,
        "model_id": require_name("model id", config.model_id or str(store.manifest.get("model_id") or "model")),
        "set_name": set_name,
        "source": source_id(layer, set_name, config.suffix),
        "hook": store.hook,
        "hook_name": hook_name(store.hook) if directions else None,
        "release": require_name("release", config.release or set_name),
        "title": config.title or f"Features of SAE {store.sae_id} over dataset {store.dataset.id}",
        "creator": config.creator,
        "creator_id": config.creator_id,
        **sizes,
        "neighbours_top": _table_top(store),
        "vectors": config.vectors and directions is not None,
        "logits_from": type(head).__name__.lower() if head else None,
        "created_at": datetime.now(UTC).strftime(MOMENT),
    }


def _table_top(store: Store) -> int:
    """How many of the most correlated features the table `neighbours` is sure to hold; 0 without it."""
    if not store.has("neighbours"):
        return 0
    stated = json.loads(GroupedTable(store.directory, "neighbours").metadata.get("settings", "{}"))
    return int(stated.get("top", 1))


def batches(plan: dict[str, Any]) -> list[range]:
    """Features of each batch; batch N of a whole SAE begins at feature 1,024 N."""
    first, stop = plan["first"], plan["last"] + 1
    return [range(at, min(at + ROWS_PER_BATCH, stop)) for at in range(first, stop, ROWS_PER_BATCH)]


def _take_up(directory: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """Begin the folder, or go on with the same export there: then its first date stays. Raises BadInput for another."""
    for name in (SIDECAR, UNFINISHED):
        if not (directory / name).is_file():
            continue
        try:
            old = json.loads((directory / name).read_text())["plan"]
            differing = [
                key for key in plan.keys() | old.keys() if key not in NOT_CONTENT and plan.get(key) != old.get(key)
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"'{directory / name}' cannot be read. Choose another --to, or remove it.") from error
        if differing:
            raise BadInput(
                f"'{directory}' holds another export (it differs in {', '.join(sorted(differing))}): choose another --to, or"
                " remove it."
            )
        plan = {**plan, "created_at": old["created_at"]}
        break
    else:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise BadInput(f"'{directory}' is there already and is no export of Loupe's. Choose another --to.")
        directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / UNFINISHED, {"plan": plan})
    return plan


def _write_batches(
    store: Store,
    directory: Path,
    plan: dict[str, Any],
    directions: Directions | None,
    head: Head | None,
    progress: Progress,
) -> int:
    """Write the batches that are not there and return how many were; features come last, so that they complete a batch."""
    kept = 0
    with progress.step(f"neuronpedia {store.id}", plan["last"] - plan["first"] + 1, "features") as bar:
        for number, features in enumerate(batches(plan)):
            files = [directory / kind / f"batch-{number}.jsonl.gz" for kind in ("activations", "features")]
            if all(path.is_file() for path in files):
                bar.skip(len(features))
                kept += 1
                continue
            chosen = choose_batch(store, features, plan)
            texts = read_texts(store.dataset, chosen)
            with write_lines(files[0]) as file:
                for feature, samples in zip(features, chosen, strict=True):
                    for row in activation_rows(store, feature, samples, texts, plan):
                        dump(file, row)
                    bar.advance()  # the contexts are most of the work
            with write_lines(files[1]) as file:
                for block in _blocks(features, directions, head):
                    for row in _feature_rows(store, block, plan, directions, head):
                        dump(file, row)
    return kept


def _blocks(features: range, directions: Directions | None, head: Head | None) -> list[range]:
    size = min(each.block for each in (directions, head) if each) if directions or head else 256
    size = min(size, 256)
    return [features[at : at + size] for at in range(0, len(features), size)]


def _feature_rows(
    store: Store, block: range, plan: dict[str, Any], directions: Directions | None, head: Head | None
) -> list[dict[str, Any]]:
    first, stop = block.start, block.stop
    known: list[dict[str, Any]] = [{} for _ in block]
    if directions:
        known = directions.fields(first, stop, plan["neighbours"], plan["vectors"])
    if head:
        ends = head.fields(first, stop, plan["logits"], plan["bins"])
        known = [{**of_row, **of_head} for of_row, of_head in zip(known, ends, strict=True)]
    table = GroupedTable(store.directory, "neighbours") if plan["neighbours_top"] else None
    k = min(plan["neighbours"], plan["neighbours_top"])
    rows = []
    for feature, fields in zip(block, known, strict=True):
        alike = correlated(store, feature, store.activations(feature), table, k) if table else {}
        rows.append(feature_row(store, feature, fields, alike, plan))
    return rows


def _write_explanations(store: Store, directory: Path, plan: dict[str, Any], labels: dict[int, Label]) -> int:
    """The newest label of each feature, 1,024 to a file; files of an earlier time are replaced."""
    rows = [_explanation(store, plan, label) for _, label in sorted(labels.items())]
    parts = [rows[at : at + ROWS_PER_BATCH] for at in range(0, len(rows), ROWS_PER_BATCH)]
    for number, part in enumerate(parts):
        write_rows(directory / "explanations" / f"batch-{number}.jsonl.gz", part)
    folder = directory / "explanations"
    for path in folder.glob("batch-*.jsonl.gz") if folder.is_dir() else ():
        if path.name not in {f"batch-{number}.jsonl.gz" for number in range(len(parts))}:
            path.unlink()
    return len(rows)


def _explanation(store: Store, plan: dict[str, Any], label: Label) -> dict[str, Any]:
    return explanation_row(
        plan["model_id"],
        plan["source"],
        label.feature_id,
        label.name,
        label.notes,
        label.created_at,
        plan["creator_id"],
        f"{store.sae_fingerprint} {label.version} {label.created_at.isoformat()}",
    )


def _finish(directory: Path, plan: dict[str, Any], labels: dict[int, Label]) -> None:
    """Write the sidecar last: what the format has no place for, and every file with its size and sha256."""
    authors: dict[str, list[int]] = {}
    for feature, label in sorted(labels.items()):
        authors.setdefault(label.author, []).append(feature)
    files = {}
    for path in sorted(directory.rglob("*.jsonl*")):
        if path.name.endswith(".tmp"):
            path.unlink()  # of a run that was stopped
        elif path.is_file():
            name = path.relative_to(directory).as_posix()
            files[name] = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
    write_json(directory / SIDECAR, {"kind": "neuronpedia", "plan": plan, "authors": authors, "files": files})
    (directory / UNFINISHED).unlink(missing_ok=True)
