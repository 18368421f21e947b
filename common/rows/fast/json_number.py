"""From the text of a JSON number to its value, as a kernel."""

import numpy as np

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.rows.fast.decimals import MAX_DIGITS, nearest_float64
from sensorwatch.common.rows.fast.plain_numbers import read_exponent

NEEDS_STRICT_PARSER = -1
_ZERO, _NINE, _MINUS, _DOT = ord("0"), ord("9"), ord("-"), ord(".")
_E, _E_SMALL = ord("E"), ord("e")
_TEN = np.uint64(10)


@inlined_kernel
def read_json_number(data, pos, end):  # type: ignore[no-untyped-def]
    """Read the number that begins at `pos`, by the grammar of RFC 8259.

    Returns the position after it and its value; the position is UNUSUAL where it is no number, or
    one with more digits than fit.
    """
    negative = data[pos] == _MINUS
    if negative:
        pos += 1
    first = pos
    pos, significand, digit_count = _read_digits(data, pos, end, np.uint64(0), 0)
    if pos == first or (data[first] == _ZERO and pos > first + 1):
        return NEEDS_STRICT_PARSER, 0.0
    exponent = 0
    if pos < end and data[pos] == _DOT:
        first = pos + 1
        pos, significand, digit_count = _read_digits(data, first, end, significand, digit_count)
        exponent = first - pos
        if exponent == 0:
            return NEEDS_STRICT_PARSER, 0.0
    if pos < end and (data[pos] == _E or data[pos] == _E_SMALL):
        power, pos = read_exponent(data, pos + 1, end)
        if pos < 0:
            return NEEDS_STRICT_PARSER, 0.0
        exponent += power
    value = nearest_float64(significand, exponent)
    if digit_count > MAX_DIGITS or np.isnan(value):
        return NEEDS_STRICT_PARSER, 0.0
    return pos, -value if negative else value


@inlined_kernel
def _read_digits(data, pos, end, significand, digit_count):  # type: ignore[no-untyped-def]
    """Read digits on; `digit_count`: significant ones, those after leading zeros."""
    while pos < end and _ZERO <= data[pos] <= _NINE:
        significand = significand * _TEN + np.uint64(data[pos] - _ZERO)
        if significand or digit_count:
            digit_count += 1
        pos += 1
    return pos, significand, digit_count
