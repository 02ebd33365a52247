"""The embedded default: MiniLM over documentation texts, and behind it a causal model of a planted grammar."""

import re
from collections import Counter
from pathlib import Path

from catalog.catalog import Catalog
from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute import advice, build, grammar_dataset, grammar_model
from precompute.dataset import DOCS
from precompute.models import MINILM, hook_points, load_model, model_id
from precompute.pipeline import Task

MINILM_HOOKS = ("encoder.layer.1", "encoder.layer.3", "encoder.layer.5")
MINILM_STEPS = (600, 600, 800)
GRAMMAR_HOOKS = ("transformer.h.0", "transformer.h.1", "transformer.h.2", "transformer.h.3")


def demo_tasks(workspace: Workspace, model: str, catalog: Catalog) -> list[Task]:
    """All steps of the demo: `model` over the documentation texts, the grammar set, and last where an SAE is worth training.

    Measuring the hook points takes half a minute for both sets; how long another model would need, or whether its sums
    fit into memory, is not known, so there the Layers page names the command instead.
    """
    texts, grammar = docs_config(model), grammar_config(workspace.models_dir() / grammar_model.MODEL_ID)
    tasks = [build.dataset_task(texts, workspace), *build.set_tasks(texts, workspace, catalog)]
    measured = [texts, grammar] if model == MINILM else [grammar]
    return [*tasks, *grammar_tasks(workspace, catalog), *[advice_task(each, workspace) for each in measured]]


def advice_task(config: build.Config, workspace: Workspace) -> Task:
    """Rank all blocks of a set's model on a sample of its dataset, for the Layers page."""
    wanted = advice.Config(config.model, build.dataset_id(config))
    name = model_id(config.model)
    return Task(f"{name}/advice", f"Compare hook points of {name}", lambda bar: advice.run(wanted, workspace, bar))


def docs_config(model: str) -> build.Config:
    """MiniLM as measured beforehand; any other model at three depths of its blocks."""
    if model == MINILM:
        return build.Config(model=MINILM, hooks=MINILM_HOOKS, source=DOCS, steps=MINILM_STEPS)
    return build.Config(
        model=model,
        hooks=spread_hooks(model),
        source=DOCS,
        dataset_id=f"docs-{model_id(model)}",
        steps=(MINILM_STEPS[-1],),
    )


def spread_hooks(model: str) -> tuple[str, ...]:
    """Three blocks of a model, near the input, in the middle and near the output.

    Raises BadInput for a model without numbered blocks.
    """
    names = [point.name for point in hook_points(load_model(model).model)]
    blocks = [name for name in names if re.fullmatch(r"[^\d]*\.\d+", name)]
    if not blocks:
        raise BadInput(
            f"Model '{model}' has no numbered blocks. Use `loupe build --hooks` with some of: {', '.join(names)}."
        )
    stem = Counter(name.rpartition(".")[0] for name in blocks).most_common(1)[0][0]
    blocks = [name for name in blocks if name.rpartition(".")[0] == stem]
    return tuple(dict.fromkeys(blocks[len(blocks) * part // 6] for part in (1, 3, 5)))


def grammar_tasks(workspace: Workspace, catalog: Catalog) -> list[Task]:
    """Train the causal model, then its SAEs, by the same steps with another model and dataset."""
    config = grammar_config(workspace.models_dir() / grammar_model.MODEL_ID)
    trained, text = grammar_model.Config(), grammar_dataset.Config()
    return [
        Task("grammar/model", "Train the grammar model", lambda bar: grammar_model.run(trained, workspace, bar)),
        Task("grammar/dataset", "Write the grammar texts", lambda bar: grammar_dataset.run(text, workspace, bar)),
        *build.set_tasks(config, workspace, catalog),
    ]


def grammar_config(model: Path) -> build.Config:
    """Four layers of the causal model; fewer steps, or another rate, leave more features dead, as its inputs are few."""
    return build.Config(
        model=str(model),
        hooks=GRAMMAR_HOOKS,
        source=grammar_model.MODEL_ID,
        dataset_id=grammar_model.MODEL_ID,
        set_id=grammar_model.MODEL_ID,
        k=16,
        expansion=4,
        steps=(800,),
        batch=1024,
        lr=1e-3,
        shared_basis=True,
    )
