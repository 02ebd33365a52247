"""Progress of long steps: a step says how much there is and how much is done; sinks show it (terminal, catalog)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Sink(Protocol):
    """Receives every change of a step; decides by itself how often to show it."""

    def update(self, step: "Step") -> None: ...


class Step:
    """One running step: `done` of `total` in `unit`; `note` carries the newest figure."""

    def __init__(self, title: str, total: int, unit: str, sinks: tuple[Sink, ...]) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done, self.note, self.status = 0, "", "running"
        self.started = time.monotonic()
        self.skipped = 0
        self._sinks = sinks

    def advance(self, n: int = 1, note: str = "") -> None:
        """`n` more units are done."""
        self.done += n
        self.note = note or self.note
        self._tell()

    def skip(self, n: int) -> None:
        """`n` units were found finished from an earlier run; they do not count towards the speed."""
        self.skipped += n
        self.advance(n)

    @property
    def eta_seconds(self) -> float | None:
        """Seconds left at this run's own speed; None until there is something to base it on."""
        fresh, elapsed = self.done - self.skipped, time.monotonic() - self.started
        if fresh <= 0 or elapsed < 1 or self.status != "running":
            return None
        return (self.total - self.done) * elapsed / fresh

    def finish(self, status: str, note: str = "") -> None:
        """Close the step as done or failed."""
        self.status, self.note = status, note or self.note
        self._tell()

    def _tell(self) -> None:
        for sink in self._sinks:
            sink.update(self)


class Progress:
    """Hands out steps; without sinks it is silent."""

    def __init__(self, *sinks: Sink) -> None:
        self.sinks = sinks

    @contextmanager
    def step(self, title: str, total: int, unit: str) -> Iterator[Step]:
        """Open a step; it closes as done, or as failed with the error's sentence."""
        step = Step(title, total, unit, self.sinks)
        step.advance(0)
        try:
            yield step
        except BaseException as error:
            step.finish("failed" if isinstance(error, Exception) else "stopped", str(error))
            raise
        step.done = step.total
        step.finish("done")
