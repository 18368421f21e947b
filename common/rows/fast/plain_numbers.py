"""Plain decimal numbers to the nearest float64, compiled."""

import numpy as np

from sensorwatch.common.kernels import part
from sensorwatch.common.rows.fast.decimals import nearest

MOST_DIGITS = 18


@part
def number(data, at, end):  # type: ignore[no-untyped-def]
    """Read data[at:end] as the nearest float64; the second is False where it is not plain enough.

    Up to MOST_DIGITS digits, a point, an exponent.
    """
    negative = False
    if at < end and (data[at] == 45 or data[at] == 43):
        negative = data[at] == 45
        at += 1
    mantissa, exponent, at = _digits(data, at, end)
    if at < 0:
        return 0.0, False
    if at < end and (data[at] == 101 or data[at] == 69):
        power, at = read_power(data, at + 1, end)
        exponent += power
    if at != end:
        return 0.0, False
    value = nearest(np.uint64(mantissa), exponent)
    return (-value if negative else value), not np.isnan(value)


@part
def _digits(data, at, end):  # type: ignore[no-untyped-def]
    """Return digits with a point somewhere as mantissa and exponent, and their end; -1: none."""
    mantissa, digits, exponent = 0, 0, 0
    seen = point = False
    while at < end:
        byte = data[at]
        if 48 <= byte <= 57:
            seen = True
            mantissa = mantissa * 10 + (byte - 48)
            digits += mantissa > 0
            exponent -= point
            if digits > MOST_DIGITS:
                return 0, 0, -1
        elif byte == 46 and not point:
            point = True
        else:
            break
        at += 1
    return mantissa, exponent, (at if seen else -1)


@part
def read_power(data, at, end):  # type: ignore[no-untyped-def]
    """Return the number of an exponent, and its end; -1: there is none."""
    down = False
    if at < end and (data[at] == 45 or data[at] == 43):
        down = data[at] == 45
        at += 1
    power, first = 0, at
    while at < end and 48 <= data[at] <= 57 and at - first < 4:
        power = power * 10 + (data[at] - 48)
        at += 1
    return (-power if down else power), (at if at > first else -1)
