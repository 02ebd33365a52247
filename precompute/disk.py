"""Disk space asked for before a step starts, and files that appear whole or not at all."""

import os
import re
import shutil
from pathlib import Path

from loaders.errors import BadInput

MARGIN = 64 * 2**20  # bytes kept free for the catalog, logs and whatever else writes beside us


def require_space(path: Path, needed: int, what: str) -> None:
    """Raise BadInput unless `needed` bytes and a margin of 64 MiB are free where `path` lies, or will lie.

    `what` names the result in the message, e.g. "the activations of 3 hook points".
    """
    existing = Path(path).absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed + MARGIN:
        raise BadInput(
            f"Not enough disk space at '{path}': {what} need {in_megabytes(needed)} plus a margin of "
            f"{in_megabytes(MARGIN)}, {in_megabytes(free)} are free. Free some space or choose another workspace."
        )


def in_megabytes(size: int) -> str:
    """Format bytes as whole mebibytes, rounded up: `in_megabytes(3_000_000)` is "3 MiB"."""
    return f"{-(-size // 2**20):,} MiB"


def in_bytes(text: str) -> int:
    """Read a size with its unit: `in_bytes("1GiB")` is 2**30, `in_bytes("1500MB")` is 1,500,000,000.

    Raises BadInput for anything else, a number without a unit included.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?([kmgt]?)(i?)b", text.strip().lower())
    if found is None or (found[3] and not found[2]):
        raise BadInput(f"'{text}' is not a size: wanted a number and a unit, such as 512MiB, 1GiB or 1500MB.")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** " kmgt".index(found[2] or " "))


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in place at once: nobody ever sees a part of it."""
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
