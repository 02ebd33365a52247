"""One pipeline per workspace: an advisory lock that the system releases whatever happens to its holder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loaders.errors import LoupeError


class WorkspaceBusy(LoupeError):
    """Another process is writing to this workspace."""


def is_helper() -> bool:
    """Whether `torchrun` started this process beside a first one, which writes and reports for all."""
    return os.environ.get("RANK", "0") != "0"


@contextmanager
def hold_workspace(root: Path) -> Iterator[None]:
    """Hold the workspace's lock; raises WorkspaceBusy at once when another process has it. A helper works under the first's."""
    if is_helper():
        yield
        return
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
