"""What the Training page knows of every run: status, duration, configuration, curves, final figures and its look."""

import math
from datetime import UTC, datetime
from typing import Any, NamedTuple

from catalog.catalog import Catalog
from catalog.runs import Run, runs
from dashboard.figures.theme import colour
from dashboard.model_name import model_name
from dashboard.training_metrics import Curves, read_all
from loaders.errors import StoreDamaged
from loaders.sae import SaeRecord
from loaders.workspace import Workspace

DASHES = ("solid", "dash", "dot")
MOST_CHOSEN = 7  # so many colours tell runs apart; without a choice in the URL no more are drawn
NOTHING = "none"  # in the URL: every run was unticked
STATUS_WORDS = {"running": "running", "done": "finished", "failed": "failed", "stopped": "stopped"}


class Look(NamedTuple):
    """Colour of the layer, as on every page; the line pattern tells sets with the same layers apart."""

    colour: str
    dash: str


class Quality(NamedTuple):
    """Figures of a finished SAE on held-out rows; None where they were not measured."""

    fvu: float | None
    l0: float | None
    dead_share: float | None
    rows: int | None  # held-out samples


class TrainingRun(NamedTuple):
    """The latest run of one SAE; `status` is running, finished, failed or stopped."""

    sae_id: str
    status: str
    error: str | None
    started: float  # seconds since the epoch; 0 where no start was recorded
    total_steps: int | None
    duration: float | None  # seconds
    config: dict[str, Any]
    curves: Curves
    quality: Quality
    features: int | None
    architecture: str
    subject: str  # what it reconstructs: model, hook point and dataset; only SAEs of one subject are comparable
    look: Look = Look(colour(0), DASHES[0])
    store_id: str | None = None


def collect(workspace: Workspace, catalog: Catalog, now: datetime | None = None) -> list[TrainingRun]:
    """Every run of the catalog (the latest of each SAE) and every SAE in the workspace that has none: the set that was
    trained last comes first, in the order of its layers."""
    latest: dict[str, Run] = {}
    for run in runs(catalog, now):
        latest.setdefault(run.sae_id, run)
    manifests = workspace.manifests()
    stores = {manifest["sae"]: store for store, manifest in reversed(manifests.items())}
    finished = set(workspace.sae_ids())
    known = {sae_id: manifests.get(stores.get(sae_id, ""), {}) for sae_id in {*latest, *finished}}
    places = {sae_id: _place(latest.get(sae_id), manifest) for sae_id, manifest in known.items()}
    ids, looks = newest_first(places), assign_looks(places)
    curves = read_all(workspace.sae_dir(sae_id) / "metrics.jsonl" for sae_id in ids)
    found = []
    for sae_id, curve in zip(ids, curves, strict=True):
        record, error = _record(workspace, sae_id) if sae_id in finished else (None, None)
        run = _describe(sae_id, latest.get(sae_id), known[sae_id], record, curve, now)
        found.append(run._replace(look=looks[sae_id], store_id=stores.get(sae_id), error=run.error or error))
    return found


def _record(workspace: Workspace, sae_id: str) -> tuple[SaeRecord | None, str | None]:
    """A finished SAE, or the sentence that says why it cannot be read; the other runs are not its hostages."""
    try:
        return workspace.sae(sae_id), None
    except StoreDamaged as error:
        return None, str(error)


def choose(found: list[TrainingRun], wanted: str | None) -> tuple[list[TrainingRun], list[str]]:
    """The runs that a URL names (all of them, up to seven, where it names none) and the names that are no runs."""
    if wanted == NOTHING:
        return [], []
    if wanted:
        names = [name for name in wanted.split(",") if name]
        known = {run.sae_id for run in found}
        return [run for run in found if run.sae_id in names], [name for name in names if name not in known]
    if len(found) <= MOST_CHOSEN:
        return found, []
    newest = sorted(found, key=lambda run: (run.status != "running", -run.started))[:MOST_CHOSEN]
    return [run for run in found if run in newest], []


class Place(NamedTuple):
    """Where an SAE stands: its set ("" alone), its layer in the set, and when it was trained (seconds, or infinity)."""

    set_id: str
    layer_index: int
    started: float


def _place(run: Run | None, manifest: dict[str, Any]) -> Place:
    config = run.config if run else {}
    set_id = manifest.get("set") or config.get("set_id") or ""
    layer = manifest.get("layer_index") if manifest else config.get("layer_index")
    return Place(str(set_id), int(layer or 0), run.started_at.timestamp() if run else math.inf)


def newest_first(places: dict[str, Place]) -> list[str]:
    """Ids in the order of the page: sets by when they were last trained, each by its layers; no known start comes last."""
    trained: dict[str, float] = {}
    for sae_id, place in places.items():
        name, started = place.set_id or sae_id, place.started if math.isfinite(place.started) else 0.0
        trained[name] = max(started, trained.get(name, 0.0))

    def key(sae_id: str) -> tuple[float, str, int, str]:
        place = places[sae_id]
        return -trained[place.set_id or sae_id], place.set_id or sae_id, place.layer_index, sae_id

    return sorted(places, key=key)


def assign_looks(places: dict[str, Place]) -> dict[str, Look]:
    """A look for each SAE: its position in its set gives the colour, its set (the oldest first) the line pattern.

    SAEs that stand alone form one set, in the order in which they were trained.
    """
    members: dict[str, list[str]] = {}
    for sae_id, _ in sorted(places.items(), key=lambda item: (item[1].started, item[0])):
        members.setdefault(places[sae_id].set_id, []).append(sae_id)
    looks: dict[str, Look] = {}
    for number, (set_id, found) in enumerate(members.items()):
        ordered = sorted(found, key=lambda sae_id: places[sae_id].layer_index) if set_id else found
        for position, sae_id in enumerate(ordered):
            looks[sae_id] = Look(colour(position), DASHES[number % len(DASHES)])
    return looks


def _describe(
    sae_id: str,
    run: Run | None,
    manifest: dict[str, Any],
    record: SaeRecord | None,
    curves: Curves,
    now: datetime | None,
) -> TrainingRun:
    quality = _quality(manifest.get("quality"))
    if quality.fvu is None and record is not None:  # not harvested yet, so dead features are not known
        quality = _quality(record.metadata.get("quality"))._replace(dead_share=None)
    cfg = record.cfg if record else {}
    plain = {key: value for key, value in cfg.items() if key != "metadata"}
    return TrainingRun(
        sae_id=sae_id,
        status=STATUS_WORDS[run.status] if run else "finished",
        error=run.error_message if run else None,
        started=run.started_at.timestamp() if run else 0.0,
        total_steps=run.total_steps if run else None,
        duration=_duration(run, curves, now),
        config=_settings(run.config if run and run.config else plain),
        curves=curves,
        quality=quality,
        features=int(cfg["d_sae"]) if "d_sae" in cfg else None,
        architecture=_architecture(run, record),
        subject=_subject(sae_id, run, manifest, record),
    )


def _architecture(run: Run | None, record: SaeRecord | None) -> str:
    """As it was trained: an exported SAE may have taken another form (batch_topk is used as jumprelu)."""
    trained = record.metadata.get("training") if record else None
    sources = (run.config if run else {}, trained if isinstance(trained, dict) else {}, record.cfg if record else {})
    return str(next((known["architecture"] for known in sources if known.get("architecture")), "unknown"))


def _subject(sae_id: str, run: Run | None, manifest: dict[str, Any], record: SaeRecord | None) -> str:
    """Model, hook point and dataset; the SAE's own id where they are not all known."""
    metadata, config = record.metadata if record else {}, run.config if run else {}
    names = (("model_id",), ("hook", "hook_name"), ("dataset", "dataset_id"))
    parts = [
        next((known[key] for known in (manifest, config, metadata) for key in keys if known.get(key)), None)
        for keys in names
    ]
    return " · ".join(map(str, parts)) if all(parts) else sae_id


def _quality(found: dict[str, Any] | None) -> Quality:
    known = {key: value for key, value in (found or {}).items() if isinstance(value, int | float)}
    rows = known.get("held_out_samples")
    return Quality(known.get("fvu"), known.get("l0"), known.get("dead_share"), int(rows) if rows else None)


def _duration(run: Run | None, curves: Curves, now: datetime | None) -> float | None:
    """Seconds of training: what the run itself counted, else from its start to its end or last sign of life."""
    counted = [float(series.seconds[-1]) for series in curves.series.values() if math.isfinite(series.seconds[-1])]
    if counted:
        return max(counted)
    if run is None:
        return None
    end = run.completed_at or ((now or datetime.now(UTC)) if run.status == "running" else run.heartbeat)
    return (end - run.started_at).total_seconds()


def _settings(config: dict[str, Any]) -> dict[str, str]:
    """A configuration as the table of settings shows it: a local model by its name."""
    flat = flatten(config)
    return {**flat, "model": model_name(flat["model"])} if "model" in flat else flat


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """A configuration as dotted names and the text of their values."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = _text(value)
    return flat


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def compare_configs(chosen: list[TrainingRun]) -> list[tuple[str, list[str], bool]]:
    """Rows (field, value per run, whether the runs differ): differing fields first, then in the order of the configs."""
    fields = list(dict.fromkeys(name for run in chosen for name in run.config))
    rows = []
    for name in fields:
        values = [run.config.get(name, "–") for run in chosen]
        rows.append((name, values, len(set(values)) > 1))
    return sorted(rows, key=lambda row: not row[2])
