"""One pipeline per workspace: an advisory lock that the system releases whatever happens to its holder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loaders.errors import LoupeError


class WorkspaceBusy(LoupeError):
    """Another process is writing to this workspace."""


@contextmanager
def hold_workspace(root: Path) -> Iterator[None]:
    """Hold the workspace's lock; raises WorkspaceBusy at once when another process has it."""
    root.mkdir(parents=True, exist_ok=True)
    with open(root / ".lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise WorkspaceBusy(
                f"Another pipeline (process {holder}) is working on '{root}'. Wait for it, or stop it, and run again."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
