"""The steps of the demo: what is measured at its end, and for which models."""

from dataclasses import replace

import pytest

from catalog.catalog import Catalog
from loaders.advice import advice_path, read_advice
from loaders.workspace import Workspace
from precompute import demo
from precompute.models import MINILM
from precompute.progress import Progress


@pytest.fixture
def own(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def test_the_last_steps_compare_the_hook_points_of_both_sets(own: Workspace) -> None:
    tasks = demo.demo_tasks(own, MINILM, Catalog(own.catalog_url))
    assert [task.id for task in tasks[-2:]] == ["minilm/advice", "grammar/advice"]
    assert [task.id for task in tasks].index("grammar/layers") == len(tasks) - 3


def test_a_model_of_unknown_size_is_not_measured_unasked(own: Workspace, workspace: Workspace) -> None:
    tasks = demo.demo_tasks(own, str(workspace.models_dir() / "tiny"), Catalog(own.catalog_url))
    assert [task.id for task in tasks if task.id.endswith("/advice")] == ["grammar/advice"]


def test_the_step_leaves_what_the_layers_page_shows(workspace: Workspace) -> None:
    model = str(workspace.models_dir() / "tiny")
    config = replace(demo.docs_config(model), dataset_id="texts")
    demo.advice_task(config, workspace).run(Progress())
    path = advice_path(workspace, "tiny", "texts")
    try:
        assert {found.hook for found in read_advice(path).hooks} == {"encoder.layer.0", "encoder.layer.1"}
    finally:
        path.unlink()
