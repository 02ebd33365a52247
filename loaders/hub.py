"""A hub of artifacts: what it holds, which version a range means, and what has to come along."""

from collections.abc import Sequence

from semver import Version

from loaders.errors import BadInput, LoupeError, SourceUnavailable
from loaders.hub_place import FolderPlace, Key, Listed, ObjectPlace
from loaders.hub_schema import DOCUMENT, MOST_BYTES, Artifact, read_artifact
from loaders.hub_version import Range, read_range, read_version

MOST_ROUNDS = 100  # of looking for versions that suit everything


class Hub:
    """Artifacts at `place`. What is published never changes, so each `artifact.json` is read once."""

    def __init__(self, place: FolderPlace | ObjectPlace) -> None:
        self.place = place
        self.faults: list[str] = []
        """What cannot be used, in sentences; the others are not its hostages."""
        self._published: set[Key] = set()
        self._known: dict[Key, tuple[Listed, Artifact | LoupeError]] = {}

    def refresh(self) -> "Hub":
        """List the hub again; raises BadInput where there is none, SourceUnavailable where it does not answer."""
        listed = self.place.documents()
        self._published = set(listed)
        known = {key: found for key, found in self._known.items() if listed.get(key) == found[0]}
        unread: dict[str, Key] = {}
        for key, facts in listed.items():
            path = f"{key[0]}/{key[1]}/{DOCUMENT}"
            if key not in known and facts.size > MOST_BYTES:
                known[key] = (
                    facts,
                    BadInput(f"'{path}' has {facts.size:,} bytes, which is too much. It is passed over."),
                )
            elif key not in known:
                unread[path] = key
        for path, found in self.place.read(list(unread)).items():
            key = unread[path]
            known[key] = (listed[key], found if isinstance(found, LoupeError) else _read(found, key))
        self._known = {key: found for key, found in known.items() if not isinstance(found[1], SourceUnavailable)}
        self.faults = sorted(str(found) for _, found in known.values() if isinstance(found, LoupeError))
        return self

    def artifacts(self, newest_only: bool = False) -> list[Artifact]:
        """By name, the newest version first; with `newest_only` one of each name, a release where there is one."""
        found = [found for _, found in self._known.values() if isinstance(found, Artifact)]
        found.sort(key=lambda each: _order(each), reverse=True)
        found.sort(key=lambda each: each.name)
        if not newest_only:
            return found
        newest: dict[str, Artifact] = {}
        for each in found:
            kept = newest.setdefault(each.name, each)
            if Version.parse(kept.version).prerelease and not Version.parse(each.version).prerelease:
                newest[each.name] = each
        return list(newest.values())

    def has(self, name: str, version: str) -> bool:
        """Whether something is published there, whatever its state."""
        return (name, version) in self._published

    def find(self, name: str, wanted: Range | Sequence[Range]) -> Artifact:
        """The newest version that all ranges allow; raises BadInput that says which there are."""
        ranges = [wanted] if isinstance(wanted, Range) else list(wanted)
        versions = [each for each in self.artifacts() if each.name == name]
        for each in versions:
            if all(allowed.allows(Version.parse(each.version)) for allowed in ranges):
                return each
        asked = " and ".join(sorted({allowed.text for allowed in ranges}))
        if not versions:
            broken = next((fault for fault in self.faults if fault.startswith(f"'{name}/")), None)
            names = sorted({each.name for each in self.artifacts()})
            there = broken or (
                f"It has {', '.join(names[:12])}{' and more' if len(names) > 12 else ''}." if names else ""
            )
            raise BadInput(f"The hub at '{self.place.shown}' has no artifact '{name}'. {there or 'It is empty.'}")
        there = ", ".join(each.version for each in versions[:12])
        raise BadInput(f"The hub has no version of '{name}' that is {asked}; it has {there}. Ask for one of those.")

    def with_dependencies(self, artifact: Artifact) -> list[Artifact]:
        """The artifact after everything that it needs, one version of each: the newest that suits all who need it.

        Raises BadInput where no version does.
        """
        chosen = {artifact.name: artifact}
        for _ in range(MOST_ROUNDS):
            wanted: dict[str, set[Range]] = {}
            for each in chosen.values():
                for need in each.dependencies:
                    wanted.setdefault(need.name, set()).add(read_range(need.versions))
            now = {name: self.find(name, sorted(ranges)) for name, ranges in wanted.items() if name != artifact.name}
            if artifact.name in wanted:
                raise BadInput(f"'{artifact.reference}' needs itself, by way of its dependencies. Ask its author.")
            if {artifact.name: artifact, **now} == chosen:
                return _in_order(artifact, chosen)
            chosen = {artifact.name: artifact, **now}
        raise BadInput(f"No versions of what '{artifact.reference}' needs suit each other. Ask its author.")


def _read(data: bytes, key: Key) -> Artifact | LoupeError:
    try:
        return read_artifact(data, *key)
    except LoupeError as error:
        return error


def _order(artifact: Artifact) -> Version:
    return read_version(artifact.version)


def _in_order(artifact: Artifact, chosen: dict[str, Artifact]) -> list[Artifact]:
    """What is needed before what needs it; raises BadInput for a circle."""
    ordered: list[Artifact] = []
    under_way: set[str] = set()

    def visit(each: Artifact) -> None:
        if each in ordered:
            return
        if each.name in under_way:
            raise BadInput(f"'{each.reference}' needs itself, by way of its dependencies. Ask its author.")
        under_way.add(each.name)
        for need in each.dependencies:
            visit(chosen[need.name])
        ordered.append(each)

    visit(artifact)
    return ordered
