"""The seal of a manifest: a checksum of all that it says, so that not even a flipped digit in it goes unnoticed."""

import hashlib
import json
from typing import Any

KEY = "checksum"


def checksum(manifest: dict[str, Any]) -> str:
    """Hex sha256 of a manifest's content (keys sorted), its seal left out."""
    content = {key: value for key, value in manifest.items() if key != KEY}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sealed(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with its seal, which replaces one that it has."""
    return {**manifest, KEY: checksum(manifest)}


def is_intact(manifest: dict[str, Any]) -> bool:
    """Whether the seal is there and fits."""
    return manifest.get(KEY) == checksum(manifest)
