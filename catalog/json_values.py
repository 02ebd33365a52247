"""Makes plain JSON values of what trainers hand over, as every database stores them."""

import json
from typing import Any


def as_json(values: dict[str, Any]) -> dict[str, Any]:
    """Values as a database stores them: paths and the like as text, NaN and infinities as null."""
    strict = json.loads(json.dumps(values, default=_plain), parse_constant=lambda _: None)
    return dict(strict)


def _plain(value: Any) -> Any:
    """What json cannot write itself: NumPy values become numbers and lists, everything else its text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
