"""What visitors read as a model's name: where its folder lies on the server is the server's own business."""

import re
from pathlib import PurePath

HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*(/[\w.-]+)?")


def model_name(model: str) -> str:
    """A hub id as it is; of a folder, however it was named, its last part."""
    return model if HUB_ID.fullmatch(model) else PurePath(model).name or model
