"""Lines of a CSV file to columns, compiled, where every cell is written the usual way.

`cells.py` and `fields.py` say what a cell means; here only what is plain is read, and a line with
anything else is left to them. Nothing is read here otherwise than there, to the last bit.
"""

from enum import IntEnum

import numpy as np

from sensorwatch.common.kernels import kernel, part
from sensorwatch.common.rows.fast.plain_numbers import number
from sensorwatch.common.rows.fast.timestamps import instant
from sensorwatch.common.rows.limits import FLOAT32_OVERFLOW, MAX_SENSOR_ID_CHARACTERS


class Role(IntEnum):
    """What a column is, where it is no number; a number's role is its place among the numbers."""

    IGNORED = -1
    TIME = -2
    KEY = -3


class Line(IntEnum):
    """What became of a line."""

    READ = 0
    UNUSUAL = 1
    """Some cell is not as usual: the line says nothing about the others."""


MOST_LINE_BYTES = 100_000
_QUOTE, _RETURN, _NEWLINE, _SPACE = 34, 13, 10, 32


@kernel
def read_lines(  # type: ignore[no-untyped-def]
    data, delimiter, roles, low, high, may_miss, kind, naive_is_utc,
    begins, ends, lines, event_time, keys, values,
):  # fmt: skip
    """Read the lines of `data`, each ended by a newline; return how many, and the bytes they took.

    `roles` (columns,): see Role. Written for each line that is not blank: `begins` and `ends`, its
    place in `data`; `lines`, its Line; and where it is READ `event_time`, `keys` (the place of its
    key) and `values`. Stops before a line that may go on in the next, or that csv may refuse: with
    a quote, a zero byte, a carriage return before its end, or more than MOST_LINE_BYTES.
    """
    at, row = 0, 0
    while at < len(data):
        end = at
        while True:
            while data[end] > _QUOTE:  # nearly every byte: one question instead of four
                end += 1
            byte = data[end]
            if byte == _NEWLINE:
                break
            if byte in (_QUOTE, 0) or (byte == _RETURN and data[end + 1] != _NEWLINE):
                return row, at
            end += 1
        if end - at > MOST_LINE_BYTES:
            return row, at
        stop = end - 1 if end > at and data[end - 1] == _RETURN else end
        if stop > at:
            begins[row], ends[row] = at, stop
            read = _line(
                data, at, stop, delimiter, roles, low, high, may_miss, kind, naive_is_utc,
                event_time[row : row + 1], keys[row], values[row],
            )  # fmt: skip
            lines[row] = Line.READ if read else Line.UNUSUAL
            row += 1
        at = end + 1
    return row, at


@part
def _line(  # type: ignore[no-untyped-def]
    data, at, stop, delimiter, roles, low, high, may_miss, kind, naive_is_utc,
    event_time, key, values,
):  # fmt: skip
    for column in range(len(roles)):
        while at < stop and data[at] == _SPACE and delimiter != _SPACE:
            at += 1
        end = at
        while end < stop and data[end] != delimiter:
            end += 1
        if (column == len(roles) - 1) != (end == stop):
            return False
        role = roles[column]
        plain = True
        if role >= 0:
            plain = _value(data, at, end, role, low, high, may_miss, values)
        elif role == Role.TIME:
            event_time[0], plain = instant(data, at, end, kind, naive_is_utc)
        elif role == Role.KEY:
            key[0], key[1] = at, end
            plain = _is_name(data, at, end)
        if not plain:
            return False
        at = end + 1
    return True


@part
def _value(data, at, end, column, low, high, may_miss, values):  # type: ignore[no-untyped-def]
    """Read a number's cell as `fields.py` wants it; False where it is not plain."""
    if at == end:
        values[column] = np.nan
        return may_miss[column]
    value, plain = number(data, at, end)
    values[column] = value + 0.0  # minus zero becomes zero
    return plain and low[column] <= value <= high[column] and abs(value) < FLOAT32_OVERFLOW


@part
def _is_name(data, at, end):  # type: ignore[no-untyped-def]
    for place in range(at, end):
        if not 32 <= data[place] <= 126:
            return False
    return 0 < end - at <= MAX_SENSOR_ID_CHARACTERS
