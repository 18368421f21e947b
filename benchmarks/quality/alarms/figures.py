"""Write the mean and the range of a figure over several seeds as text."""

import math
from collections.abc import Sequence
from statistics import mean

import numpy as np

NOT_KNOWN = "n/a"


def percent(shares: Sequence[float], *, decimals: int = 0) -> str:
    """Return the mean of shares in percent, and their range if there are several."""
    return _mean_and_range([100 * share for share in shares], f".{decimals}f", " %")


def number(values: Sequence[float], *, decimals: int = 2) -> str:
    """Return the mean of values, and their range if there are several."""
    return _mean_and_range(values, f".{decimals}f", "")


def median_and_p90(values: Sequence[float]) -> str:
    """Return the median and the 90 % quantile of values."""
    if not values:
        return NOT_KNOWN
    median, high = np.quantile(values, [0.5, 0.9]).tolist()
    return f"{median:g}, {high:g}"


def _mean_and_range(values: Sequence[float], number_format: str, unit: str) -> str:
    known_values = [value for value in values if not math.isnan(value)]
    if not known_values:
        return NOT_KNOWN
    text = f"{mean(known_values):{number_format}}{unit}"
    low, high = f"{min(known_values):{number_format}}", f"{max(known_values):{number_format}}"
    return text if low == high else f"{text} ({low} to {high})"
