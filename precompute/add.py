"""Bring an SAE and a text file, get its pages: find it, read its conventions, check it, harvest it, publish its store.

A folder of SAEs becomes a set, captured in one pass over the model. Every step skips what is complete, so the same call
goes on where it stopped."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from catalog.catalog import Catalog
from loaders.errors import BadInput
from loaders.manifest import is_published, read_manifest
from loaders.workspace import Workspace, slug
from precompute import capture, dataset, layers
from precompute.add_check import (
    Check,
    as_read,
    check,
    estimate_scale,
    implausible,
    open_checkpoint,
    probe,
    refusal,
    suspicion,
)
from precompute.add_conventions import Conventions, read_conventions
from precompute.add_import import Origin, bring, require_same
from precompute.add_model import choose_model, open_model
from precompute.add_place import Reading, plan_reading
from precompute.add_sources import counted, find_saes
from precompute.build import MEDIUM_CORRELATION, TABLES, store_tasks
from precompute.hook_names import depths
from precompute.models import LoadedModel
from precompute.pipeline import Task, run_tasks
from precompute.progress import Progress
from precompute.row_stages import STANDARDISE, RowStages
from precompute.tables import influences

DEFAULT_CONTEXT = 128  # tokens, where the SAE does not say how long its contexts were


@dataclass(frozen=True)
class Config:
    """What is brought; what is None is taken from the SAE's own metadata."""

    sae: str
    """A folder (an SAE, or several), `org/repo/subfolder` on the hub, or `release/id` of SAELens."""
    text: str
    """A .txt, .jsonl, .csv or .parquet file, or a folder of such files."""
    model: str | None = None
    """Folder or hub id of the model."""
    hook: str | None = None
    """Hook point, in our words or another library's; for a single SAE."""
    sae_id: str | None = None
    """Id of the SAE, or of the set where several are brought."""
    dataset_id: str | None = None
    """Id of the dataset; by default the text's name."""
    tokens: int = 250_000
    """Tokens to read at most."""
    context_length: int | None = None
    """Tokens in a context at most."""
    bos: bool | None = None
    """Whether contexts begin with the tokenizer's first token."""
    scale: float | None = None
    """Constant that rows are multiplied by before the SAE reads them."""
    force: bool = False
    """Go on with an SAE that does not look right."""
    kept_as: str = "float32"
    """Numbers that activations are kept in: float32 or float16."""
    device: str = "cpu"
    """Where the model runs."""
    dtype: str = "float32"
    """Numbers that the model computes in."""
    trust_remote_code: bool = False
    """Run the Python code that comes with a model."""
    seed: int = 0
    """Draws the documents."""


class Member(NamedTuple):
    """One SAE on its way in."""

    sae_id: str
    conventions: Conventions
    reading: Reading


class Plan(NamedTuple):
    """Everything that is known before anything is written. `set_id`: None for a single SAE."""

    members: list[Member]
    set_id: str | None
    loaded: LoadedModel
    dataset: dataset.Config
    capture: capture.Config


class Added(NamedTuple):
    """One SAE that has its pages; `check` is None where an earlier call measured it."""

    sae: str
    store: str
    hook: str
    stages: list[dict[str, Any]]
    check: Check | None


def run(config: Config, workspace: Workspace, catalog: Catalog) -> list[Added]:
    """Run what is not complete yet; the catalog shows the steps as jobs.

    Raises BadInput, before anything is written, for an SAE, model, hook point or convention that cannot be used, and before
    anything is harvested, unless `force`, for SAEs whose FVU or L0 on some thousand samples is not plausible.
    """
    plan = plan_all(config, workspace)
    checks: dict[str, Check] = {}
    tasks = [
        Task(
            f"{plan.dataset.id}/dataset", f"Read texts into {plan.dataset.id}", lambda bar: _read(plan, workspace, bar)
        ),
        Task(
            f"{_title(plan)}/check",
            f"Check {_title(plan)}",
            lambda bar: checks.update(_check(config, plan, workspace, bar)),
        ),
        Task(
            f"{_title(plan)}/capture",
            f"Capture {_title(plan)}",
            lambda bar: capture.run(plan.capture, workspace, bar, plan.loaded),
        ),
    ]
    for member in plan.members:
        tasks += store_tasks(member.sae_id, plan.dataset.id, plan.loaded.name, workspace, tables_for(member))
    if plan.set_id is not None:
        shared = all(member.reading.place.is_residual for member in plan.members)
        matching = layers.Config(set=plan.set_id, shared_basis=shared, floor=MEDIUM_CORRELATION)
        tasks.append(
            Task(
                f"{plan.set_id}/layers",
                f"Match layers of {plan.set_id}",
                lambda bar: layers.run(matching, workspace, bar),
            )
        )
    run_tasks(tasks, catalog)
    return [
        Added(
            member.sae_id,
            f"{member.sae_id}@{plan.dataset.id}",
            member.reading.place.hook,
            member.reading.stages,
            checks.get(member.sae_id),
        )
        for member in plan.members
    ]


def plan_all(config: Config, workspace: Workspace) -> Plan:
    """Find, read and translate everything; loads the model and writes nothing."""
    found = [read_conventions(one) for one in find_saes(config.sae)]
    if len(found) > 1 and (config.hook is not None or config.scale is not None):
        raise BadInput(
            f"'{config.sae}' holds {len(found)} SAEs; --hook and --scale are for one. Bring them one by one."
        )
    name = choose_model(config.model, [one.model for one in found], workspace)
    loaded = open_model(name, config.device, config.dtype, config.trust_remote_code)
    readings = [plan_reading(loaded.model, one, config.hook) for one in found]
    base = slug(config.sae_id or _base_name(config.sae))
    is_set = len(found) > 1
    ids = [slug(f"{base}-{one.found.name}") if is_set else base for one in found]
    members = [Member(*each) for each in zip(ids, found, readings, strict=True)]
    for member in members:
        require_same(workspace, *member)
    depth = depths(loaded.model)
    members.sort(key=lambda one: (depth(one.reading.place), counted(one.conventions.found.name)))
    data = plan_dataset(config, found, loaded, workspace)
    captured = capture.Config(
        model=loaded.name,
        dataset=data.id,
        hooks=tuple(dict.fromkeys(member.reading.place.hook for member in members)),
        kept_as=config.kept_as,
        device=config.device,
        dtype=config.dtype,
        trust_remote_code=config.trust_remote_code,
    )
    return Plan(members, base if is_set else None, loaded, data, captured)


def plan_dataset(
    config: Config, found: Sequence[Conventions], loaded: LoadedModel, workspace: Workspace
) -> dataset.Config:
    """The contexts that the SAEs want: their length, at most the model's, and their first token.

    Its id is the text's name; where that is taken by other settings, those settings are named too.
    """
    wanted = {config.bos if config.bos is not None else one.prepend_bos for one in found}
    if len(wanted) > 1:
        raise BadInput(
            f"The SAEs of '{config.sae}' disagree on whether contexts begin with the tokenizer's first token. Say --bos or"
            " --no-bos, or bring them one by one."
        )
    bos = wanted.pop()
    lengths = [one.context_size for one in found if one.context_size]
    length = min(config.context_length or min(lengths, default=DEFAULT_CONTEXT), loaded.max_length)
    source = str(Path(config.text).expanduser().resolve())
    stem = config.dataset_id or slug(Path(source).stem)
    first = {True: "-bos", False: "-plain", None: ""}[bos]
    names = [stem] if config.dataset_id else [stem, slug(f"{stem}-{loaded.model_id}-{length}{first}")]
    planned = [
        dataset.Config(name, source, loaded.name, config.tokens, length, bos=bos, seed=config.seed) for name in names
    ]
    return next((one for one in planned if _is_free(one, workspace)), planned[-1])


def tables_for(member: Member) -> list[Any]:
    """All tables; influences only where decoder rows are directions of the residual stream."""
    reads_stream = member.reading.place.is_residual and not any(
        stage["stage"] == STANDARDISE for stage in member.reading.stages
    )
    return [table for table in TABLES if table is not influences or reads_stream]


def _read(plan: Plan, workspace: Workspace, bar: Progress) -> None:
    dataset.run(plan.dataset, workspace, bar)


def _check(config: Config, plan: Plan, workspace: Workspace, bar: Progress) -> dict[str, Check]:
    """Measure all SAEs that have no harvest yet, then import those that are not there; nothing is written before all pass."""
    left = [one for one in plan.members if not _is_harvested(one, plan, workspace)]
    if not left:
        return {}
    data = workspace.dataset(plan.dataset.id)
    rows = probe(plan.capture, workspace, data, plan.loaded, bar)
    checks: dict[str, Check] = {}
    problems: list[str] = []
    for member in left:
        here = rows[member.reading.place.hook]
        owes = member.conventions.owes_scale and config.scale is None
        scale = estimate_scale(member.reading, here) if owes else config.scale
        title = f"SAE '{member.sae_id}' at {member.reading.place.hook}"
        raw = open_checkpoint(member.conventions, scale)
        sae = as_read(raw, member.reading)
        try:
            checks[member.sae_id] = found = check(sae, RowStages(member.reading.stages), here, scale)
        except BadInput as error:
            raise BadInput(f"{title} does not fit: {error}. Check the model and the hook point.") from error
        if problem := implausible(found, sae.d_sae, member.conventions.l0):
            hint = suspicion(raw, member.reading, here)
            problems.append(f"{title} does not look right on {found.rows:,} samples: {problem}.{hint}")
    if problems and not config.force:
        raise refusal(problems)
    with bar.step(f"import {_title(plan)}", len(left), "SAEs") as step:
        for member in left:
            origin = Origin(config.sae, plan.set_id, plan.members.index(member), bool(problems))
            bring(
                workspace, member.sae_id, member.conventions, member.reading, plan.loaded, origin, checks[member.sae_id]
            )
            found = checks[member.sae_id]
            step.advance(1, note=f"{member.sae_id}: FVU {found.fvu:.3f}, L0 {found.l0:.1f}")
    return checks


def _is_harvested(member: Member, plan: Plan, workspace: Workspace) -> bool:
    has_sae = (workspace.sae_dir(member.sae_id) / "cfg.json").is_file()
    return has_sae and is_published(workspace.store_dir(f"{member.sae_id}@{plan.dataset.id}"))


def _is_free(config: dataset.Config, workspace: Workspace) -> bool:
    """Whether the dataset is not there yet, or is this very one."""
    target = workspace.dataset_dir(config.id)
    if not is_published(target):
        return True
    try:
        dataset.check_settings(config, read_manifest(target, "dataset"))
    except BadInput:
        return False
    return True


def _title(plan: Plan) -> str:
    return plan.set_id or plan.members[0].sae_id


def _base_name(reference: str) -> str:
    """A name from the last parts of a reference; a hub's repository counts, its owner does not."""
    path = Path(reference.removeprefix("file://")).expanduser()
    if path.exists():
        return (path.parent if path.is_file() else path).resolve().name
    return "-".join(part for part in reference.removeprefix("hf://").strip("/").split("/")[1:] if part)
