"""Plan all steps for one model, one dataset and several hook points: from text to a set of published stores."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from catalog.catalog import Catalog
from loaders.errors import BadInput
from loaders.manifest import is_published, read_manifest
from loaders.workspace import Workspace, slug
from precompute import capture, dataset, harvest, layers, loss_step, publish, train, transpose
from precompute.loss_recovered import NAME as LOSS_RECOVERED
from precompute.models import load_model, model_id, resolve_hook
from precompute.pipeline import Task, run_tasks
from precompute.progress import Progress
from precompute.tables import breakdowns, histograms, idf, influences, neighbours, stats, tokens
from precompute.tables import map as feature_map

TABLES = (tokens, feature_map, breakdowns, neighbours, influences)

MEDIUM_CORRELATION = (
    0.3  # Cohen 1988; over many samples nearly any shared token beats chance, so a link needs more than that
)


@dataclass(frozen=True)
class Config:
    """One model, one dataset, several hook points."""

    model: str
    """`minilm`, a Hugging Face hub id or a local folder."""
    hooks: tuple[str, ...]
    """Hook points, from input to output; a wrong name prints the nearest ones."""
    source: str
    """`docs` for the documentation corpus, or a .txt, .jsonl, .csv or .parquet file."""
    dataset_id: str = ""
    """Id of the dataset; by default made from the source's name."""
    set_id: str = ""
    """Id of the set and beginning of the SAEs' ids; by default the model's id."""
    tokens: int = 250_000
    """Tokens to read at most."""
    context_length: int = 128
    """Tokens in a context at most."""
    k: int = 32
    """Active latents per row."""
    expansion: int = 8
    """Features per dimension of the activations."""
    steps: tuple[int, ...] = (800,)
    """Training steps: one number for all hook points, or one for each."""
    batch: int = 2048
    """Rows per training step."""
    lr: float = 0.0
    """Peak learning rate; 0 takes the usual one. A smaller one leaves fewer features dead where the inputs are few."""
    architecture: str = "topk"
    """standard, topk, batch_topk, matryoshka, jumprelu or gated."""
    device: str = "cpu"
    """Where the model runs and the SAEs train: cpu, cuda, cuda:<number>, mps, or auto for the fastest there is."""
    dtype: str = "float32"
    """Numbers that the model computes in: float32, bfloat16 or float16."""
    trust_remote_code: bool = False
    """Run the Python code that comes with the model; read it first."""
    shared_basis: bool = False
    """Whether the layers share a basis (a pre-norm residual stream does), so that decoder cosines mean something."""
    seed: int = 0
    """Seed of everything that is drawn."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Run every step that is not complete yet; the catalog shows them as jobs.

    Raises BadInput for an unknown model or hook point before anything is written.
    """
    model = load_model(config.model, config.device, config.dtype, config.trust_remote_code).model
    for hook in config.hooks:
        resolve_hook(model, hook)
    catalog = Catalog(workspace.catalog_url)
    run_tasks([dataset_task(config, workspace), *set_tasks(config, workspace, catalog)], catalog)
    return workspace.root


def dataset_id(config: Config) -> str:
    return config.dataset_id or slug(Path(config.source).stem)


def dataset_task(config: Config, workspace: Workspace) -> Task:
    """Read the source into a dataset of the workspace."""
    data = dataset.Config(
        id=dataset_id(config),
        source=config.source,
        model=config.model,
        tokens=config.tokens,
        context_length=config.context_length,
        seed=config.seed,
    )
    return Task(f"{data.id}/dataset", f"Read texts into {data.id}", lambda bar: dataset.run(data, workspace, bar))


def set_tasks(config: Config, workspace: Workspace, catalog: Catalog) -> list[Task]:
    """All steps from the dataset to the set; layer after layer, so that the first can be explored early.

    Raises BadInput for a number of `steps` that fits nothing.
    """
    steps = config.steps * len(config.hooks) if len(config.steps) == 1 else config.steps
    if len(steps) != len(config.hooks):
        raise BadInput(
            f"There are {len(steps)} numbers of steps for {len(config.hooks)} hook points. Give one, or one for each."
        )
    set_id = config.set_id or model_id(config.model)
    ran = {name: getattr(config, name) for name in ("device", "dtype", "trust_remote_code")}
    captured = capture.Config(model=config.model, dataset=dataset_id(config), hooks=config.hooks, **ran)
    tasks = [Task(f"{set_id}/capture", f"Capture {set_id}", lambda bar: capture.run(captured, workspace, bar))]
    for index, (hook, name, count) in enumerate(zip(config.hooks, layer_names(config.hooks), steps, strict=True)):
        training = train.Config(
            sae_id=f"{set_id}-{name}",
            model_id=model_id(config.model),
            dataset_id=dataset_id(config),
            hook=hook,
            set_id=set_id,
            layer_index=index,
            architecture=config.architecture,
            device=config.device,
            k=config.k,
            expansion=config.expansion,
            steps=count,
            batch=config.batch,
            lr=config.lr,
            seed=config.seed,
        )
        measuring = loss_step.Config(training.sae_id, model=config.model, **ran)
        tasks += layer_tasks(training, measuring, workspace, catalog)
    if len(config.hooks) > 1:
        matching = layers.Config(
            set=set_id, shared_basis=config.shared_basis, floor=MEDIUM_CORRELATION, seed=config.seed
        )
        tasks.append(
            Task(f"{set_id}/layers", f"Match layers of {set_id}", lambda bar: layers.run(matching, workspace, bar))
        )
    return tasks


def layer_tasks(
    training: train.Config, measuring: loss_step.Config, workspace: Workspace, catalog: Catalog
) -> list[Task]:
    """Train one SAE, measure the loss that it recovers where that is defined, harvest it, and publish its store."""
    sae = training.sae_id

    def train_and_measure(bar: Progress) -> None:
        directory = train.run(training, workspace, bar, catalog)
        if not (directory / LOSS_RECOVERED).exists():
            loss_step.run(measuring, workspace, bar)

    return [
        Task(f"{sae}/train", f"Train {sae}", train_and_measure),
        *store_tasks(sae, training.dataset_id, measuring.model, workspace),
    ]


def store_tasks(
    sae: str, dataset_id: str, model: str, workspace: Workspace, tables: Sequence[ModuleType] = TABLES
) -> list[Task]:
    """Harvest an SAE over captured activations, and publish its store: the core first, then each table."""
    store = f"{sae}@{dataset_id}"

    def harvest_batches(bar: Progress) -> None:
        if not _has_given_up_batches(workspace.store_dir(store)):
            harvest.run(harvest.Config(sae_id=sae, dataset_id=dataset_id), workspace, bar)

    def publish_core(bar: Progress) -> None:
        if _has_given_up_batches(workspace.store_dir(store)):
            return
        transpose.run(transpose.Config(store=store), workspace, bar)
        for table in (stats, histograms, idf):
            table.run(table.Config(store=store), workspace, bar)
        publish.run(publish.Config(store=store), workspace, bar)

    def publish_tables(bar: Progress) -> None:
        for table in tables:
            options = {"model": model} if table is influences else {}
            table.run(table.Config(store=store, **options), workspace, bar)
            publish.run(publish.Config(store=store), workspace, bar)

    return [
        Task(f"{sae}/harvest", f"Harvest {store}", harvest_batches),
        Task(f"{sae}/core", f"Transpose {store}", publish_core),
        Task(f"{sae}/tables", f"Tables of {store}", publish_tables),
    ]


def _has_given_up_batches(store_dir: Path) -> bool:
    """Whether the published core needs its batches no more: `loupe gc --batches` removed them, or it was unpacked."""
    if not is_published(store_dir):
        return False
    folders = {name.split("/")[0] for name in read_manifest(store_dir, "store")["files"]}
    return "features.zarr" in folders and "activations" not in folders


def layer_names(hooks: tuple[str, ...]) -> list[str]:
    """`l3` for `encoder.layer.3`; hook points without a number of their own are counted."""
    numbers = [re.findall(r"\d+", hook) for hook in hooks]
    found = [f"l{number[-1]}" if number else f"h{index}" for index, number in enumerate(numbers)]
    return found if len(set(found)) == len(found) else [slug(hook) for hook in hooks]
