"""A value of a JSON or YAML file together with its line; members of an object keep their order and their repetitions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

KINDS = {"text": "a text", "number": "a number", "flag": "a truth value", "nothing": "null", "list": "a list"}
MOST_DEPTH = 16
MOST_NODES = 2_000_000


@dataclass(slots=True, frozen=True)
class Node:
    """`kind` is text, number, flag, nothing, list or object; `value` a plain value, a list of nodes, or of pairs of nodes."""

    kind: str
    value: Any
    line: int

    @property
    def words(self) -> str:
        """What it is, for a sentence: "the number 42"."""
        if self.kind in ("number", "text") and len(str(self.value)) <= 40:
            return f"the {self.kind} {self.value!r}"
        return KINDS.get(self.kind, "an object")

    def members(self) -> Iterator[tuple["Node", "Node"]]:
        """Keys and values of an object; nothing of anything else."""
        return iter(self.value) if self.kind == "object" else iter(())

    def get(self, key: str) -> "Node | None":
        """The last member of that name, or None."""
        found = None
        for name, value in self.members():
            if name.value == key and name.kind == "text":
                found = value
        return found

    def plain(self) -> Any:
        """The value without lines, as json.loads gives it."""
        if self.kind == "object":
            return {key.value: value.plain() for key, value in self.value}
        return [each.plain() for each in self.value] if self.kind == "list" else self.value
