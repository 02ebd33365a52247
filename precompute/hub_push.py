"""Push an artifact: collect and hash its files, leave out what its dependencies hold, send the rest, `artifact.json` last."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import NamedTuple

from pydantic import ValidationError

from loaders.errors import BadInput
from loaders.hub import Hub
from loaders.hub_place import FolderPlace, ObjectPlace
from loaders.hub_schema import DOCUMENT, Artifact, Dependency, as_document
from loaders.hub_version import NAME, read_reference, read_version
from loaders.schema import SCHEMA_VERSION
from loaders.seal import sealed
from loaders.workspace import Workspace
from precompute.disk import require_space
from precompute.hub_description import describe_dataset, describe_model, describe_saes
from precompute.hub_parts import KINDS, Part, collect
from precompute.hub_upload import already_there, put_bytes, upload
from precompute.progress import Progress


@dataclass(frozen=True)
class Request:
    """What to push and what to say of it."""

    source: str
    """`saes/<id>`, `stores/<id>`, `layers/<set>` or `datasets/<id>`."""
    name: str
    version: str
    license: str
    """An SPDX expression such as Apache-2.0 or CC-BY-4.0, or LicenseRef-... for another one."""
    description: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    """Artifacts of the hub, as `name@range`; what they hold is not sent again."""


class Pushed(NamedTuple):
    """The artifact; bytes that were sent and bytes that were there already."""

    artifact: Artifact
    sent: int
    skipped: int


def push(request: Request, workspace: Workspace, place: FolderPlace | ObjectPlace, progress: Progress) -> Pushed:
    """Publish an artifact; a push that was stopped continues where it stopped.

    Raises BadInput for a version that is there, a missing license or a wrong name, StoreNotFound for what is not
    published, StoreDamaged for a source at fault.
    """
    _require_words(request)
    hub = Hub(place)
    if isinstance(place, ObjectPlace) or place.root.exists():
        hub.refresh()
    if hub.has(request.name, request.version):
        raise already_there(f"{request.name}/{request.version}")
    parts = collect(workspace, request.source, progress)
    dependencies, held = _resolve(request, hub)
    artifact = _describe(request, parts, dependencies, held)
    sources = [source for part in parts if part.content.place not in held for source in part.sources]
    if isinstance(place, FolderPlace):
        require_space(place.root, artifact.size, f"the files of '{artifact.reference}'")
    sent = 0
    with progress.step(f"push {artifact.reference}", artifact.size, "bytes") as bar:
        for source in sources:
            if upload(place, f"{artifact.name}/{artifact.version}", source, bar.advance):
                sent += source.file.size
    document = json.dumps(sealed(as_document(artifact)), indent=1, allow_nan=False).encode()
    put_bytes(place, f"{artifact.name}/{artifact.version}/{DOCUMENT}", document)
    return Pushed(artifact, sent, artifact.size - sent)


def _require_words(request: Request) -> None:
    if not NAME.fullmatch(request.name):
        raise BadInput(f"'{request.name[:120]}' is no name for an artifact: wanted [a-z0-9._-], such as grammar-sae.")
    read_version(request.version)
    if not request.license.strip():
        raise BadInput("An artifact needs a license: add --license, such as Apache-2.0 or CC-BY-4.0.")


def _resolve(request: Request, hub: Hub) -> tuple[tuple[Dependency, ...], dict[str, str]]:
    """The dependencies, and by place the fingerprint of what they hold."""
    found, held = [], dict[str, str]()
    for text in request.depends:
        name, wanted = read_reference(text)
        if name == request.name:
            raise BadInput(f"'{name}' cannot depend on itself.")
        for each in hub.with_dependencies(hub.find(name, wanted)):
            held |= {content.place: content.fingerprint for content in each.contents}
        found.append(Dependency(name=name, versions=wanted.text))
    return tuple(found), held


def _describe(
    request: Request, parts: list[Part], dependencies: tuple[Dependency, ...], held: dict[str, str]
) -> Artifact:
    for part in parts:
        if held.get(part.content.place, part.content.fingerprint) != part.content.fingerprint:
            raise BadInput(
                f"The dependencies hold another '{part.content.place}' than this workspace: its fingerprint differs."
            )
    if parts[-1].content.place in held:
        raise BadInput(f"'{request.source}' is already in what it would depend on. Leave --depends out.")
    own = [part for part in parts if part.content.place not in held]
    try:
        return Artifact(
            name=request.name,
            version=request.version,
            kind=KINDS[parts[-1].content.folder],  # type: ignore[arg-type]
            license=request.license.strip(),
            description=request.description.strip(),
            tags=tuple(dict.fromkeys(request.tags)),
            created=datetime.now(UTC).replace(microsecond=0),
            author=request.author.strip(),
            model=describe_model(parts),
            dataset=describe_dataset(parts),
            saes=describe_saes(parts),
            contents=tuple(part.content for part in own),
            files=tuple(source.file for part in own for source in part.sources),
            dependencies=dependencies,
            schema_version=SCHEMA_VERSION,
            loupe_version=_own_version(),
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "It"
        raise BadInput(f"This cannot be published: {where}: {first['msg']}. Correct it and push again.") from error


def _own_version() -> str:
    try:
        return installed("loupe")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"
