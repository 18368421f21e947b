"""Kernel that reads plain lines of a CSV file into columns.

`cells.py` and `fields.py` define the value of a cell; the kernel returns bit-identical values. A
cell is plain if the kernel can read it. If a cell of a line is not plain, the strict parser reads
the whole line.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.rows.fast.column_rules import ColumnRules
from sensorwatch.common.rows.fast.numbers import read_decimal
from sensorwatch.common.rows.fast.sensor_ids import may_be_whole_number
from sensorwatch.common.rows.fast.time_form import TimeForm
from sensorwatch.common.rows.fast.timestamps import read_instant
from sensorwatch.common.rows.limits import FLOAT32_OVERFLOW, MAX_SENSOR_ID_CHARACTERS


class ColumnRole(IntEnum):
    """Roles of columns without numbers; the role of a number column is its index, 0 or more."""

    IGNORED = -1
    TIME = -2
    KEY = -3


class LineStatus(IntEnum):
    """Result of the kernel for a line."""

    READ = 0
    NEEDS_STRICT_PARSER = 1
    """A cell is not plain, so the strict parser has to read the whole line."""


MAX_LINE_BYTES = 100_000
_QUOTE, _CARRIAGE_RETURN, _NEWLINE, _SPACE = 34, 13, 10, 32


class CsvSchema(NamedTuple):
    """The columns of a file, for the kernel."""

    delimiter: int
    """The byte between two cells."""
    roles: NDArray[np.int64]
    """Shape (columns,). The role of each column of the file, see ColumnRole."""
    column_rules: ColumnRules
    time_form: TimeForm


class LineColumns(NamedTuple):
    """What the kernel writes, one entry for each line that is not blank."""

    line_starts: NDArray[np.int64]
    """Shape (lines,). The start of the line in the data."""
    line_ends: NDArray[np.int64]
    """Shape (lines,). The end of the line in the data, without its newline."""
    line_status: NDArray[np.int8]
    """Shape (lines,). See LineStatus; the next entries have a meaning only for status READ."""
    event_time: NDArray[np.int64]
    """Shape (lines,). Microseconds UTC."""
    key_ranges: NDArray[np.int64]
    """Shape (lines, 2). Start and end of the key in the data."""
    values: NDArray[np.float64]
    """Shape (lines, numbers). An empty cell is NaN."""


@kernel
def read_lines(data, schema, columns):  # type: ignore[no-untyped-def]
    """Read lines of `data` that end with a newline; return the numbers of lines and bytes read.

    `data`: uint8. `schema`: CsvSchema. `columns`: LineColumns, with room for all lines.

    The kernel stops before a line that the csv module may refuse or join with the next line. Such a
    line contains a quote, a zero byte, an inner carriage return, or more than MAX_LINE_BYTES.
    """
    delimiter, roles, column_rules, time_form = schema
    low, high, may_be_missing = column_rules
    line_starts, line_ends, line_status, event_time, key_ranges, values = columns
    pos, line = 0, 0
    while pos < len(data):
        end = pos
        while True:
            while data[end] > _QUOTE:  # true for nearly every byte
                end += 1
            byte = data[end]
            if byte == _NEWLINE:
                break
            if byte in (_QUOTE, 0) or (byte == _CARRIAGE_RETURN and data[end + 1] != _NEWLINE):
                return line, pos
            end += 1
        if end - pos > MAX_LINE_BYTES:
            return line, pos
        line_end = end - 1 if end > pos and data[end - 1] == _CARRIAGE_RETURN else end
        if line_end > pos:
            line_starts[line], line_ends[line] = pos, line_end
            is_read = _read_line(
                data, pos, line_end, delimiter, roles, low, high, may_be_missing, time_form,
                event_time[line : line + 1], key_ranges[line], values[line],
            )  # fmt: skip
            line_status[line] = LineStatus.READ if is_read else LineStatus.NEEDS_STRICT_PARSER
            line += 1
        pos = end + 1
    return line, pos


@inlined_kernel
def _read_line(  # type: ignore[no-untyped-def]
    data, pos, line_end, delimiter, roles, low, high, may_be_missing, time_form, event_time,
    key_range, values,
):  # fmt: skip
    for column in range(len(roles)):
        while pos < line_end and data[pos] == _SPACE and delimiter != _SPACE:
            pos += 1
        cell_end = pos
        while cell_end < line_end and data[cell_end] != delimiter:
            cell_end += 1
        if (column == len(roles) - 1) != (cell_end == line_end):
            return False
        role = roles[column]
        is_plain = True
        if role >= 0:
            is_plain = _read_number_cell(
                data, pos, cell_end, role, low, high, may_be_missing, values
            )
        elif role == ColumnRole.TIME:
            event_time[0], is_plain = read_instant(data, pos, cell_end, time_form)
        elif role == ColumnRole.KEY:
            key_range[0], key_range[1] = pos, cell_end
            is_plain = _is_sensor_id(data, pos, cell_end)
        if not is_plain:
            return False
        pos = cell_end + 1
    return True


@inlined_kernel
def _read_number_cell(data, pos, end, column, low, high, may_be_missing, values):  # type: ignore[no-untyped-def]
    """Read a number cell; return whether it is plain, and valid by the rules of `fields.py`."""
    if pos == end:
        values[column] = np.nan
        return may_be_missing[column]
    value, ok = read_decimal(data, pos, end)
    values[column] = value + 0.0  # -0.0 becomes 0.0
    return ok and low[column] <= value <= high[column] and abs(value) < FLOAT32_OVERFLOW


@inlined_kernel
def _is_sensor_id(data, pos, end):  # type: ignore[no-untyped-def]
    for i in range(pos, end):
        if not 32 <= data[i] <= 126:
            return False
    return 0 < end - pos <= MAX_SENSOR_ID_CHARACTERS and not may_be_whole_number(data, pos, end)
