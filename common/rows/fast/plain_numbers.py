"""Plain decimal numbers to the nearest float64, compiled."""

import numpy as np

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.rows.fast.decimals import nearest_float64

MAX_DIGITS = 18


@inlined_kernel
def read_decimal(data, pos, end):  # type: ignore[no-untyped-def]
    """Read data[at:end] as the nearest float64; the second is False where it is not plain enough.

    Up to MOST_DIGITS digits, a point, an exponent.
    """
    negative = False
    if pos < end and (data[pos] == 45 or data[pos] == 43):
        negative = data[pos] == 45
        pos += 1
    mantissa, exponent, pos = _read_digits(data, pos, end)
    if pos < 0:
        return 0.0, False
    if pos < end and (data[pos] == 101 or data[pos] == 69):
        power, pos = read_exponent(data, pos + 1, end)
        exponent += power
    if pos != end:
        return 0.0, False
    value = nearest_float64(np.uint64(mantissa), exponent)
    return (-value if negative else value), not np.isnan(value)


@inlined_kernel
def _read_digits(data, pos, end):  # type: ignore[no-untyped-def]
    """Return digits with a point somewhere as mantissa and exponent, and their end; -1: none."""
    mantissa, digits, exponent = 0, 0, 0
    has_digit = has_point = False
    while pos < end:
        byte = data[pos]
        if 48 <= byte <= 57:
            has_digit = True
            mantissa = mantissa * 10 + (byte - 48)
            digits += mantissa > 0
            exponent -= has_point
            if digits > MAX_DIGITS:
                return 0, 0, -1
        elif byte == 46 and not has_point:
            has_point = True
        else:
            break
        pos += 1
    return mantissa, exponent, (pos if has_digit else -1)


@inlined_kernel
def read_exponent(data, pos, end):  # type: ignore[no-untyped-def]
    """Return the number of an exponent, and its end; -1: there is none."""
    negative = False
    if pos < end and (data[pos] == 45 or data[pos] == 43):
        negative = data[pos] == 45
        pos += 1
    power, first = 0, pos
    while pos < end and 48 <= data[pos] <= 57 and pos - first < 4:
        power = power * 10 + (data[pos] - 48)
        pos += 1
    return (-power if negative else power), (pos if pos > first else -1)
