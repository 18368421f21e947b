"""From the text of a JSON number to its value, as a kernel."""

import numpy as np

from sensorwatch.common.kernels import part
from sensorwatch.common.rows.fast.decimals import MOST_DIGITS, nearest
from sensorwatch.common.rows.fast.plain_numbers import read_power

UNUSUAL = -1
_ZERO, _NINE, _MINUS, _DOT = ord("0"), ord("9"), ord("-"), ord(".")
_E, _E_SMALL = ord("E"), ord("e")
_TEN = np.uint64(10)


@part
def number(data, at, end):  # type: ignore[no-untyped-def]
    """Read the number that begins at `at`, by the grammar of RFC 8259.

    Returns the position after it and its value; the position is UNUSUAL where it is no number, or
    one with more digits than fit.
    """
    negative = data[at] == _MINUS
    if negative:
        at += 1
    first = at
    at, digits, count = _digits(data, at, end, np.uint64(0), 0)
    if at == first or (data[first] == _ZERO and at > first + 1):
        return UNUSUAL, 0.0
    exponent = 0
    if at < end and data[at] == _DOT:
        first = at + 1
        at, digits, count = _digits(data, first, end, digits, count)
        exponent = first - at
        if exponent == 0:
            return UNUSUAL, 0.0
    if at < end and (data[at] == _E or data[at] == _E_SMALL):
        power, at = read_power(data, at + 1, end)
        if at < 0:
            return UNUSUAL, 0.0
        exponent += power
    value = nearest(digits, exponent)
    if count > MOST_DIGITS or np.isnan(value):
        return UNUSUAL, 0.0
    return at, -value if negative else value


@part
def _digits(data, at, end, digits, count):  # type: ignore[no-untyped-def]
    """Read digits on; `count`: significant ones, those after leading zeros."""
    while at < end and _ZERO <= data[at] <= _NINE:
        digits = digits * _TEN + np.uint64(data[at] - _ZERO)
        if digits or count:
            count += 1
        at += 1
    return at, digits, count
