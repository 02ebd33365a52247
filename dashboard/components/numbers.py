"""How numbers are written on every page: three significant digits, thousands separated, shares as percentages."""

import math


def count(value: float | int) -> str:
    """A whole number with its thousands separated: 1234567 -> '1,234,567'."""
    return f"{int(value):,}"


def plural(value: int, noun: str, nouns: str | None = None) -> str:
    """A count with its noun: '1 feature', '1,234 features'."""
    return f"{count(value)} {noun if value == 1 else nouns or noun + 's'}"


def figures(value: float | None, digits: int = 3) -> str:
    """Three significant digits without an exponent between 0.0001 and 10 million; an en dash for nothing."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if -4 <= exponent < 7:
        text = f"{round(value, digits - 1 - exponent):,.{max(0, digits - 1 - exponent)}f}"
    else:
        text = f"{value:.{digits - 1}e}"
    return text.replace("-", "−")


def percent(share: float | None, digits: int = 3) -> str:
    """A share in [0, 1] as a percentage with three significant digits: 0.01234 -> '1.23 %'."""
    if share is None or math.isnan(share):
        return "–"
    return f"{figures(100 * share, digits)} %"
