"""docs/dependencies.md justifies every direct dependency, and nothing else."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_direct_dependency_has_its_line_and_every_line_its_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {"Serving": project["dependencies"], "Writing": extras["train"], "Developing": extras["dev"]}
    wanted |= {"Reading from an object store": extras["objects"], "Working on a cluster": extras["dask"]}
    wanted["Keeping results in Redis"] = extras["redis"]
    wanted["Following a training run"] = extras["tensorboard"] + extras["mlflow"] + extras["wandb"]
    wanted["A catalog in PostgreSQL"] = extras["postgres"]
    assert set(extras) == {"train", "dev", "objects", "redis", "dask", "tensorboard", "mlflow", "wandb", "postgres"}
    sections = re.split(r"^## ", (ROOT / "docs" / "dependencies.md").read_text(), flags=re.MULTILINE)
    for title, requirements in wanted.items():
        section = next(part for part in sections if part.startswith(title))
        described = set(re.findall(r"^\| `([^`]+)` \| \S", section, re.MULTILINE))
        assert described == {re.match(r"[\w-]+", requirement)[0] for requirement in requirements}, title
