"""What a hub says of an artifact: `artifact.json`, which comes from somebody else and is believed in nothing unchecked.

The files of an artifact lie as they do in a workspace, so its folder is one: it can be opened where it is.
"""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from loaders.errors import BadInput, LoupeError, StoreDamaged
from loaders.hub_version import NAME, read_range, read_version
from loaders.seal import is_intact
from loaders.workspace import STORE_ID

DOCUMENT = "artifact.json"
FORMAT, FORMAT_VERSION = "loupe-artifact", 1
MOST_BYTES = 2**24  # of artifact.json
MOST_PARTS = 12
ID = re.compile(r"[a-z0-9_][a-z0-9._-]{0,254}")
PART = re.compile(r"[A-Za-z0-9@+_-][A-Za-z0-9@.+_-]{0,254}")
SAE_FILE = re.compile(r"cfg\.json|sae_weights\.safetensors|metrics\.jsonl|snapshots/step_\d{8}\.safetensors")
SUFFIXES = (".json", ".jsonl", ".parquet", ".arrow", ".safetensors", ".npy", "")
"""Of the files of an artifact: data only, nothing that runs when it is read."""
FOLDERS = {
    "dataset": ("datasets",),
    "sae": ("saes",),
    "store": ("datasets", "saes", "stores"),
    "set": ("datasets", "saes", "stores", "layers"),
}
"""Folders of a workspace that each kind may hold; the last one it must, exactly once."""

Slug = Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=200)]
License = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 .+()-]{1,98}[A-Za-z0-9.+)]$")]


class Part(BaseModel):
    """Frozen; other types than the stated ones are refused, unknown keys are passed over."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


class File(Part):
    path: Annotated[str, StringConstraints(max_length=1_000)]
    """As in a workspace: `saes/my-sae/cfg.json`."""
    size: Annotated[int, Field(ge=0, lt=2**50)]
    """Bytes."""
    sha256: Sha256


class Content(Part):
    """One directory of a workspace; its fingerprint tells the same one from another of its id."""

    folder: Literal["datasets", "saes", "stores", "layers"]
    id: Line
    fingerprint: Sha256

    @property
    def place(self) -> str:
        return f"{self.folder}/{self.id}"


class Model(Part):
    name: Line
    fingerprint: Sha256 | None
    """Of its weights, as `loupe list-models` prints it; None for an imported SAE whose checkpoint could not name it."""


class Data(Part):
    id: Line
    fingerprint: Sha256


class Sae(Part):
    id: Line
    fingerprint: Sha256
    hook: Annotated[str, StringConstraints(max_length=300)]
    architecture: Line
    d_in: Annotated[int, Field(ge=1)] | None
    """Width of what it reads; None where only its activations are known."""
    features: Annotated[int, Field(ge=1)]
    quality: dict[str, float]
    """Figures as in the SAE's or the store's manifest: fvu, l0, dead_share and others."""


class Dependency(Part):
    name: Slug
    versions: Line
    """A range: `^1`, `>=1.2,<2`."""


class Artifact(Part):
    """An SAE, a store, a set or a dataset of a workspace, as it is shared."""

    name: Slug
    version: Line
    kind: Literal["sae", "store", "set", "dataset"]
    license: License
    """An SPDX expression, or LicenseRef-... for another one."""
    description: Annotated[str, StringConstraints(max_length=4_000)]
    tags: Annotated[tuple[Slug, ...], Field(max_length=30)]
    created: AwareDatetime
    author: Annotated[str, StringConstraints(max_length=200)]
    model: Model | None
    dataset: Data | None
    saes: tuple[Sae, ...]
    """In layer order; those that a dependency holds are among them."""
    contents: Annotated[tuple[Content, ...], Field(min_length=1)]
    files: Annotated[tuple[File, ...], Field(min_length=1)]
    dependencies: Annotated[tuple[Dependency, ...], Field(max_length=100)]
    schema_version: int
    """Of stores, datasets and layer matches."""
    loupe_version: Line

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def files_of(self, content: Content) -> dict[str, File]:
        """Its files by their names below it."""
        prefix = content.place + "/"
        return {file.path.removeprefix(prefix): file for file in self.files if file.path.startswith(prefix)}

    @model_validator(mode="after")
    def _is_consistent(self) -> "Artifact":
        try:
            read_version(self.version)
            for each in self.dependencies:
                read_range(each.versions)
        except LoupeError as error:
            raise ValueError(str(error).split(":")[0]) from error
        self._check_contents()
        self._check_files()
        return self

    def _check_contents(self) -> None:
        allowed = FOLDERS[self.kind]
        places = [content.place for content in self.contents]
        if sum(content.folder == allowed[-1] for content in self.contents) != 1:
            raise ValueError(f"a {self.kind} holds one of {allowed[-1]}/")
        for content in self.contents:
            pattern = STORE_ID if content.folder == "stores" else ID
            if content.folder not in allowed or not pattern.fullmatch(content.id) or ".." in content.id:
                raise ValueError(f"a {self.kind} cannot hold '{content.place[:80]}'")
        if len(set(places)) != len(places):
            raise ValueError("it lists the same content twice")

    def _check_files(self) -> None:
        places = {content.place for content in self.contents}
        names = {file.path.casefold() for file in self.files}
        if len(names) != len(self.files):
            raise ValueError("it lists a file twice")
        for file in self.files:
            if not is_shareable(file.path) or "/".join(file.path.split("/")[:2]) not in places:
                raise ValueError(f"'{file.path[:80]}' cannot be a file of it")
            above = file.path.casefold().split("/")[:-1]
            if any("/".join(above[:depth]) in names for depth in range(1, len(above) + 1)):
                raise ValueError(f"'{file.path[:80]}' lies in what is a file")
        if unfilled := places - {"/".join(file.path.split("/")[:2]) for file in self.files}:
            raise ValueError(f"it has no file of '{min(unfilled)}'")


def is_shareable(path: str) -> bool:
    """Whether a path is one of data below a directory of a workspace: plain names, no hidden ones, no `..`, no code."""
    parts = path.split("/")
    if not 3 <= len(parts) <= MOST_PARTS or not all(PART.fullmatch(part) for part in parts):
        return False
    if parts[0] == "saes" and not SAE_FILE.fullmatch("/".join(parts[2:])):
        return False
    stem, dot, suffix = parts[-1].rpartition(".")
    return dot + suffix in SUFFIXES if stem else True


def read_artifact(data: bytes, name: str, version: str) -> Artifact:
    """The artifact of `artifact.json` at `<name>/<version>`.

    Raises StoreDamaged for one that is altered or cannot be, BadInput for one of a later format.
    """
    place = f"'{name}/{version}/{DOCUMENT}'"
    try:
        document = json.loads(data) if len(data) <= MOST_BYTES else None
    except (ValueError, RecursionError) as error:
        raise StoreDamaged(f"{place} is not valid JSON ({error}). Ask its author to push it again.") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StoreDamaged(f"{place} describes no artifact of Loupe. Ask its author to push it again.")
    stated = document.get("format_version")
    if isinstance(stated, int) and stated > FORMAT_VERSION:
        raise BadInput(f"{place} has format {stated}; this Loupe reads {FORMAT_VERSION}. Update Loupe.")
    if not is_intact(document):
        raise StoreDamaged(f"{place} was altered: its checksum does not fit. Ask its author to push it again.")
    try:
        artifact = Artifact.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        reason = f"{where}: {first['msg']}" if where else first["msg"].removeprefix("Value error, ")
        raise StoreDamaged(f"{place} is refused ({reason[:300]}). Ask its author to push it again.") from error
    if (artifact.name, artifact.version) != (name, version):
        raise StoreDamaged(f"{place} describes '{artifact.reference}'. Ask its author to push it again.")
    return artifact


def as_document(artifact: Artifact) -> dict[str, Any]:
    """What is written, without its seal."""
    return {"format": FORMAT, "format_version": FORMAT_VERSION, **artifact.model_dump(mode="json")}
