"""From the text of a JSON number to its value, as a kernel."""

import numpy as np

from common.kernels import part
from common.rows.decimals import MOST_DIGITS, nearest

UNUSUAL = -1
_FARTHEST = 400
"""An exponent beyond is not worth counting."""
_ZERO, _NINE, _MINUS, _PLUS, _DOT = ord("0"), ord("9"), ord("-"), ord("+"), ord(".")
_E, _E_SMALL = ord("E"), ord("e")
_TEN = np.uint64(10)


@part
def number(data, at, end):  # type: ignore[no-untyped-def]
    """Read the number that begins at `at`, by the grammar of RFC 8259.

    Returns the position after it, its value, and whether it was written as an integer; the
    position is UNUSUAL where it is no number, or one with more digits than fit.
    """
    negative = data[at] == _MINUS
    if negative:
        at += 1
    first = at
    at, digits, count = _digits(data, at, end, np.uint64(0), 0)
    if at == first or (data[first] == _ZERO and at > first + 1):
        return UNUSUAL, 0.0, False
    exponent, whole = 0, True
    if at < end and data[at] == _DOT:
        first = at + 1
        at, digits, count = _digits(data, first, end, digits, count)
        exponent, whole = first - at, False
        if exponent == 0:
            return UNUSUAL, 0.0, False
    if at < end and (data[at] == _E or data[at] == _E_SMALL):
        at, power = _power(data, at + 1, end)
        if at < 0:
            return UNUSUAL, 0.0, False
        exponent, whole = exponent + power, False
    value = nearest(digits, exponent)
    if count > MOST_DIGITS or np.isnan(value):
        return UNUSUAL, 0.0, False
    return at, -value if negative else value, whole


@part
def _digits(data, at, end, digits, count):  # type: ignore[no-untyped-def]
    """Read digits on; `count`: significant ones, those after leading zeros."""
    while at < end and _ZERO <= data[at] <= _NINE:
        digits = digits * _TEN + np.uint64(data[at] - _ZERO)
        if digits or count:
            count += 1
        at += 1
    return at, digits, count


@part
def _power(data, at, end):  # type: ignore[no-untyped-def]
    negative = at < end and data[at] == _MINUS
    if at < end and (negative or data[at] == _PLUS):
        at += 1
    first, power = at, np.int64(0)
    while at < end and _ZERO <= data[at] <= _NINE:
        if power < _FARTHEST:
            power = power * 10 + np.int64(data[at]) - _ZERO
        at += 1
    if at == first:
        return UNUSUAL, 0
    return at, -power if negative else power
