"""Building blocks that every page shares: values in, Dash tree out."""

from dashboard.components.blocks import badge, chip, empty_state, icon, kbd, panel, skeleton, stat
from dashboard.components.numbers import count, figures, percent, plural

__all__ = [
    "badge",
    "chip",
    "count",
    "empty_state",
    "figures",
    "icon",
    "kbd",
    "panel",
    "percent",
    "plural",
    "skeleton",
    "stat",
]
