"""The model that an SAE names, in the words that transformers knows it by."""

import re
from collections.abc import Collection
from pathlib import Path

from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

from loaders.errors import BadInput
from loaders.workspace import Workspace, slug
from precompute.add_sources import TIMEOUT, UNREACHABLE, reason
from precompute.models import MINILM, LoadedModel, load_model

OWNERS = (  # TransformerLens's short names, and where they lie on the hub
    (r"gpt2-small", "openai-community/gpt2"),
    (r"gpt2(-medium|-large|-xl)?", r"openai-community/gpt2\1"),
    (r"distillgpt2|distilgpt2", "distilbert/distilgpt2"),
    (r"(pythia-.+|gpt-neo-.+|gpt-j-6B|gpt-neox-20b)", r"EleutherAI/\1"),
    (r"(gemma-.+)", r"google/\1"),
    (r"mistral-7b", "mistralai/Mistral-7B-v0.1"),
    (r"mistral-7b-instruct", "mistralai/Mistral-7B-Instruct-v0.1"),
    (r"(opt-.+)", r"facebook/\1"),
    (r"tiny-stories-(.+)", r"roneneldan/TinyStories-\1"),
    (r"(qwen.+)", r"Qwen/\1"),
    (r"(phi-.+)", r"microsoft/\1"),
    (r"((?:meta-)?llama-.+)", r"meta-llama/\1"),
)


def choose_model(given: str | None, named: Collection[str | None], workspace: Workspace) -> str:
    """The model to load: the user's, else the one that all SAEs name: a folder, one of the workspace's, or a hub id.

    Raises BadInput where none is named, or several are.
    """
    if given is not None:
        return given
    distinct = sorted({name for name in named if name})
    if not distinct:
        raise BadInput("The SAE does not name the model that it reads. Give it with --model: a folder or a hub id.")
    if len(distinct) > 1:
        raise BadInput(f"The SAEs name several models ({', '.join(distinct)}). Bring those of one model at a time.")
    return find_folder(distinct[0], workspace) or hub_id(distinct[0])


def find_folder(name: str, workspace: Workspace) -> str | None:
    """The folder of that name, or that of the workspace's models; None where there is neither."""
    for folder in (Path(name).expanduser(), workspace.models_dir() / slug(name.rpartition("/")[2])):
        if (folder / "config.json").is_file():
            return str(folder)
    return None


def hub_id(name: str) -> str:
    """`openai-community/gpt2` for `gpt2-small`; a name with an owner stays as it is."""
    if "/" in name:
        return name
    for pattern, full in OWNERS:
        if found := re.fullmatch(pattern, name, re.IGNORECASE):
            return found.expand(full)
    return name


def open_model(name: str, device: str, dtype: str, trust_remote_code: bool) -> LoadedModel:
    """Load it; raises BadInput, at once and in one sentence, where it is neither here nor on a hub within reach."""
    if name != MINILM and not Path(name).expanduser().is_dir():
        require_reachable(name)
    return load_model(name, device, dtype, trust_remote_code)


def require_reachable(name: str) -> None:
    """Raise BadInput for a hub id that is not in the hub's cache where the hub does not answer or does not have it."""
    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return
        HfApi().model_info(name, timeout=TIMEOUT)
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise BadInput(
            f"Model '{name}' is no folder here, and no model on the Hugging Face hub that may be read. Name it with --model: a"
            " folder, or a hub id."
        ) from error
    except UNREACHABLE as error:
        raise BadInput(
            f"Model '{name}' is no folder here and not in the hub's cache, and the Hugging Face hub cannot be reached"
            f" ({reason(error)}). Give a folder with --model."
        ) from error
