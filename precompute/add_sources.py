"""Find the SAEs that a reference means: a local folder, a place on the Hugging Face hub, or a SAELens release and id."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import httpx2
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

from loaders.errors import BadInput
from precompute.sae_releases import find_published

WEIGHTS = ("sae_weights.safetensors", "params.npz", "sae.safetensors", "ae.pt")
BESIDE = (
    "cfg.json",
    "config.json",
    "activation_scaler.json",
    "activation_whitening.safetensors",
    "sparsity.safetensors",
    "loupe.json",
)
MOST = 64  # SAEs in one set
TIMEOUT = 20  # seconds that the hub has for its list of files
UNREACHABLE = (OSError, ValueError, HfHubHTTPError, httpx2.HTTPError)


@dataclass(frozen=True)
class Found:
    """One checkpoint on the disk. `name`: what tells it from the others beside it, "" for one that was named itself."""

    path: Path
    name: str = ""
    overrides: dict[str, Any] = field(default_factory=dict)  # keys of its config that its publisher corrects


def find_saes(reference: str) -> list[Found]:
    """The checkpoints of `reference`, at least one, sorted by name as people count (layer 2 before layer 10).

    A folder (or `file://` address) that is an SAE is that one; a folder of SAEs is all of them. Otherwise
    `release/id` of SAELens, then `org/repo` or `org/repo/subfolder` of the hub, which is downloaded into the hub's cache or
    read from there. Raises BadInput where nothing is found, and where the hub cannot be reached.
    """
    local = Path(unquote(urlparse(reference).path)) if reference.startswith("file://") else Path(reference)
    local = local.expanduser()
    if local.is_file():
        local = local.parent
    if local.is_dir():
        return _in_folder(local, reference)
    repo, folder, overrides = _on_hub(reference)
    return [Found(one.path, one.name, overrides) for one in _in_folder(_download(repo, folder), reference)]


def _in_folder(folder: Path, reference: str) -> list[Found]:
    if _is_sae(folder):
        return [Found(folder)]
    paths = {path.parent for name in WEIGHTS for path in folder.rglob(name)}
    names = {path: path.relative_to(folder).as_posix() for path in paths if _is_sae(path)}
    found = [Found(path, names[path]) for path in sorted(names, key=lambda path: counted(names[path]))]
    if not found:
        raise BadInput(
            f"'{reference}' holds no SAE: wanted a folder with one of {', '.join(WEIGHTS)} beside its config. Check the"
            " path."
        )
    if len(found) > MOST:
        some = ", ".join(one.name for one in found[:3])
        raise BadInput(
            f"'{reference}' holds {len(found):,} SAEs, and a set takes at most {MOST}. Name a folder in it, e.g. {some}."
        )
    return found


def _is_sae(folder: Path) -> bool:
    return any((folder / name).is_file() for name in WEIGHTS)


def counted(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in names as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _on_hub(reference: str) -> tuple[str, str, dict[str, Any]]:
    """Repository, folder in it and corrections."""
    name = reference.removeprefix("hf://").strip("/")
    first, _, rest = name.partition("/")
    if published := find_published(first, rest):
        return published
    owner, repo, *folders = [*name.split("/"), ""]
    if not owner or not repo or ".." in folders or re.search(r"[\s\\*?\[\]]", name) or reference.startswith((".", "/")):
        raise BadInput(
            f"'{reference}' is no folder here, no SAELens release and no hub id (org/repo or org/repo/subfolder). Check the"
            " path."
        )
    return f"{owner}/{repo}", "/".join(part for part in folders if part), {}


def _download(repo: str, folder: str) -> Path:
    """The folder of a hub repository on the disk: its SAEs' files alone; from the cache where the hub is out of reach."""
    try:
        listed = HfApi().model_info(repo, timeout=TIMEOUT).siblings or []
        wanted = _wanted([file.rfilename for file in listed], repo, folder)
        return Path(snapshot_download(repo, allow_patterns=wanted)) / folder
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise BadInput(
            f"There is no repository '{repo}' on the Hugging Face hub that may be read. Check the name, or log in."
        ) from error
    except UNREACHABLE as error:
        if cached := _cached(repo, folder):
            return cached
        raise BadInput(
            f"'{'/'.join(filter(None, (repo, folder)))}' is no folder here and not in the hub's cache, and the Hugging Face hub"
            f" cannot be reached ({reason(error)}). Download it elsewhere and give the folder."
        ) from error


def reason(error: Exception) -> str:
    """The first line of what an error says."""
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__


def _cached(repo: str, folder: str) -> Path | None:
    """The folder as it was downloaded before, where it was."""
    try:
        found = Path(snapshot_download(repo, local_files_only=True)) / folder
    except UNREACHABLE:
        return None
    return found if found.is_dir() else None


def _wanted(files: Iterable[str], repo: str, folder: str) -> list[str]:
    """The files of the SAEs below a folder of a repository; raises BadInput where there are none, or too many."""
    listed = list(files)
    below = [file for file in listed if not folder or file.startswith(f"{folder}/")]
    folders = {file.rpartition("/")[0] for file in below if file.rpartition("/")[2] in WEIGHTS}
    others = sorted({file.rpartition("/")[0] for file in listed if file.rpartition("/")[2] in WEIGHTS}, key=counted)
    if not folders:
        some = f" It has some in: {', '.join(others[:4])}." if others else " Check the name."
        raise BadInput(f"There is no SAE at '{folder or '/'}' of '{repo}' on the Hugging Face hub.{some}")
    if len(folders) > MOST:
        raise BadInput(
            f"'{repo}/{folder}' holds {len(folders):,} SAEs, and a set takes at most {MOST}. Name one, e.g."
            f" {repo}/{sorted(folders, key=counted)[0]}."
        )
    return [
        file
        for file in listed
        if file.rpartition("/")[2] in (*WEIGHTS, *BESIDE)
        and (file.rpartition("/")[0] in folders or f"{file.rpartition('/')[0]}/" == "/")
    ]
