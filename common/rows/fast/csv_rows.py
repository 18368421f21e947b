"""Kernel that reads plain lines of a CSV file into columns.

`cells.py` and `fields.py` define what a cell means. The kernel reads only plain cells, and its
values have the same bits. The strict parser reads every line that has another cell.
"""

from enum import IntEnum

import numpy as np

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.rows.fast.numbers import read_decimal
from sensorwatch.common.rows.fast.timestamps import read_instant
from sensorwatch.common.rows.limits import FLOAT32_OVERFLOW, MAX_SENSOR_ID_CHARACTERS


class ColumnRole(IntEnum):
    """Roles of columns that are not numbers; a number column has its index, 0 or more, as role."""

    IGNORED = -1
    TIME = -2
    KEY = -3


class LineStatus(IntEnum):
    """Whether the kernel has read a line."""

    READ = 0
    NEEDS_STRICT_PARSER = 1
    """A cell of the line is not plain, so the kernel used no cell of the line."""


MAX_LINE_BYTES = 100_000
_QUOTE, _CARRIAGE_RETURN, _NEWLINE, _SPACE = 34, 13, 10, 32


@kernel
def read_lines(  # type: ignore[no-untyped-def]
    data, delimiter, roles, low, high, may_be_missing, time_kind, naive_is_utc,
    begins, ends, line_status, event_time, keys, values,
):  # fmt: skip
    """Read the lines of `data`, each with its newline; return the number of lines and of bytes.

    Inputs: `roles` (columns,) int64, see ColumnRole; `low` and `high` (numbers,) float64 bounds;
    `may_be_missing` (numbers,) bool.

    Outputs, one entry for each line that is not blank: `begins` and `ends` (lines,) int64, the
    range of the line in `data`; `line_status`, see LineStatus. A line with status READ also has
    `event_time` in microseconds; `keys` (lines, 2) int64, the range of the key in `data`; `values`
    (lines, numbers) float64.

    The kernel stops before a line that the csv module may join with the next line or refuse. Such a
    line contains a quote, a zero byte, an inner carriage return, or more than MAX_LINE_BYTES.
    """
    pos, row = 0, 0
    while pos < len(data):
        end = pos
        while True:
            while data[end] > _QUOTE:  # nearly every byte needs only this comparison
                end += 1
            byte = data[end]
            if byte == _NEWLINE:
                break
            if byte in (_QUOTE, 0) or (byte == _CARRIAGE_RETURN and data[end + 1] != _NEWLINE):
                return row, pos
            end += 1
        if end - pos > MAX_LINE_BYTES:
            return row, pos
        stop = end - 1 if end > pos and data[end - 1] == _CARRIAGE_RETURN else end
        if stop > pos:
            begins[row], ends[row] = pos, stop
            is_read = _read_line(
                data, pos, stop, delimiter, roles, low, high, may_be_missing, time_kind,
                naive_is_utc, event_time[row : row + 1], keys[row], values[row],
            )  # fmt: skip
            line_status[row] = LineStatus.READ if is_read else LineStatus.NEEDS_STRICT_PARSER
            row += 1
        pos = end + 1
    return row, pos


@inlined_kernel
def _read_line(  # type: ignore[no-untyped-def]
    data, pos, stop, delimiter, roles, low, high, may_be_missing, time_kind, naive_is_utc,
    event_time, key, values,
):  # fmt: skip
    for column in range(len(roles)):
        while pos < stop and data[pos] == _SPACE and delimiter != _SPACE:
            pos += 1
        end = pos
        while end < stop and data[end] != delimiter:
            end += 1
        if (column == len(roles) - 1) != (end == stop):
            return False
        role = roles[column]
        ok = True
        if role >= 0:
            ok = _read_number_cell(data, pos, end, role, low, high, may_be_missing, values)
        elif role == ColumnRole.TIME:
            event_time[0], ok = read_instant(data, pos, end, time_kind, naive_is_utc)
        elif role == ColumnRole.KEY:
            key[0], key[1] = pos, end
            ok = _is_sensor_id(data, pos, end)
        if not ok:
            return False
        pos = end + 1
    return True


@inlined_kernel
def _read_number_cell(data, pos, end, column, low, high, may_be_missing, values):  # type: ignore[no-untyped-def]
    """Read a number cell; return whether it is plain and valid by the rules of `fields.py`."""
    if pos == end:
        values[column] = np.nan
        return may_be_missing[column]
    value, ok = read_decimal(data, pos, end)
    values[column] = value + 0.0  # minus zero becomes zero
    return ok and low[column] <= value <= high[column] and abs(value) < FLOAT32_OVERFLOW


@inlined_kernel
def _is_sensor_id(data, pos, end):  # type: ignore[no-untyped-def]
    for i in range(pos, end):
        if not 32 <= data[i] <= 126:
            return False
    return 0 < end - pos <= MAX_SENSOR_ID_CHARACTERS
