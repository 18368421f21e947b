"""Kernel that reads rows in the usual JSON form; the strict parser reads all other rows.

The kernel returns values with the same bits as `common/rows/fields.py`. If a row contains an
escape, a nested value or a value that may be invalid, the strict parser reads the whole row. The
kernel never rejects a row.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.rows.fast.column_rules import ColumnRules
from sensorwatch.common.rows.fast.numbers import NEEDS_STRICT_PARSER, read_json_number
from sensorwatch.common.rows.fast.sensor_ids import may_be_whole_number
from sensorwatch.common.rows.fast.time_form import TimeForm, TimeKind
from sensorwatch.common.rows.fast.timestamps import read_instant
from sensorwatch.common.rows.limits import (
    FLOAT32_OVERFLOW,
    MAX_PAYLOAD_BYTES,
    MAX_SENSOR_ID_CHARACTERS,
    NO_TIME,
)

NO_KEY, REQUIRED_KEY, OPTIONAL_KEY = 0, 1, 2
NO_ID_LENGTH = -1
"""Value of `id_length` if a row has no sensor id."""
MAX_RECEIVE_TIME = 2**61
"""Largest receive time, in microseconds, whose difference from any event time fits 64 bits."""

_QUOTE, _BACKSLASH, _COLON, _COMMA = ord('"'), ord("\\"), ord(":"), ord(",")
_OPENING_BRACE, _CLOSING_BRACE, _MINUS, _ZERO, _NINE = (
    ord("{"),
    ord("}"),
    ord("-"),
    ord("0"),
    ord("9"),
)
_SPACE, _TAB, _NEWLINE, _CARRIAGE_RETURN, _LAST_PRINTABLE = ord(" "), 9, 10, 13, ord("~")
_TRUE, _FALSE, _NULL = (
    np.frombuffer(literal, np.uint8).copy() for literal in (b"true", b"false", b"null")
)


class Payloads(NamedTuple):
    """The payloads of n records, one after the other."""

    data: NDArray[np.uint8]
    """The bytes of all payloads."""
    ends: NDArray[np.int64]
    """Shape (n,). The end of each payload in `data`."""
    received: NDArray[np.int64]
    """Shape (n,). The receive time in microseconds, or NO_TIME."""


class JsonSchema(NamedTuple):
    """A row's schema for the kernel. Its fields are the time, the key (if any) and the columns."""

    names: NDArray[np.uint8]
    """The names of all fields, one after the other."""
    name_ends: NDArray[np.int64]
    """Shape (fields,). The end of each name in `names`."""
    column_rules: ColumnRules
    time_form: TimeForm
    rules: tuple[int, int, bool]
    """The rules for times in the future, for the key, and for unknown fields.

    The first is the number of microseconds that a time may be in the future (-1: no limit). The
    second is the rule for the key. The third is whether unknown fields are ignored.
    """


class RowColumns(NamedTuple):
    """What the kernel writes for n records."""

    is_read: NDArray[np.bool_]
    """Shape (n,). Whether the payload became a row; if not, its other entries have no meaning."""
    event_time: NDArray[np.int64]
    """Shape (n,). Microseconds UTC."""
    values: NDArray[np.float64]
    """Shape (n, columns). A missing value is NaN."""
    id_start: NDArray[np.int64]
    """Shape (n,). The start of the sensor id in the data."""
    id_length: NDArray[np.int64]
    """Shape (n,). The number of bytes of the sensor id; NO_ID_LENGTH if the row has none."""


@kernel
def read_json_rows(first, last, payloads, schema, columns):  # type: ignore[no-untyped-def]
    """Read the payloads `first` to `last` - 1 into the same rows of `columns` (RowColumns)."""
    data, ends, received = payloads
    names, name_ends, column_rules, time_form, schema_rules = schema
    low, high, may_be_missing = column_rules
    is_read, event_time, values, id_start, id_length = columns
    last_row_with_field = np.zeros(len(name_ends), dtype=np.int64)
    begin = ends[first - 1] if first else 0
    for row in range(first, last):
        is_read[row] = ends[row] - begin <= MAX_PAYLOAD_BYTES and _read_row(
            data, begin, ends[row], names, name_ends, low, high, may_be_missing, time_form,
            schema_rules, received[row], row, last_row_with_field, event_time, values[row],
            id_start, id_length,
        )  # fmt: skip
        begin = ends[row]


@inlined_kernel
def _read_row(  # type: ignore[no-untyped-def]
    data, pos, end, names, name_ends, low, high, may_be_missing, time_form, schema_rules, received,
    row, last_row_with_field, event_time, values, id_start, id_length,
):  # fmt: skip
    max_future_us, key_rule, ignore_unknown = schema_rules
    id_length[row] = NO_ID_LENGTH
    pos = _skip_whitespace(data, pos, end)
    if pos >= end or data[pos] != _OPENING_BRACE:
        return False
    expected_field, has_next_field = 0, True
    while has_next_field:
        pos = _skip_whitespace(data, pos + 1, end)
        pos, field = _read_field_name(data, pos, end, names, name_ends, expected_field)
        if pos < 0 or pos >= end:
            return False
        if field < 0:
            pos = _skip_value(data, pos, end) if ignore_unknown else NEEDS_STRICT_PARSER
        elif last_row_with_field[field] > row:  # the field is repeated
            return False
        else:
            pos = _read_field(data, pos, end, field, low, high, may_be_missing, time_form,
                             key_rule, row, event_time, values, id_start, id_length)  # fmt: skip
            last_row_with_field[field] = row + 1
            expected_field = field + 1
        pos = _skip_whitespace(data, pos, end) if pos >= 0 else end
        if pos >= end:
            return False
        has_next_field = data[pos] == _COMMA
    if data[pos] != _CLOSING_BRACE or _skip_whitespace(data, pos + 1, end) != end:
        return False
    return _has_required_fields(
        last_row_with_field, row, key_rule, may_be_missing, values
    ) and _is_not_in_future(event_time[row], received, max_future_us)


@inlined_kernel
def _read_field(  # type: ignore[no-untyped-def]
    data, pos, end, field, low, high, may_be_missing, time_form, key_rule, row, event_time, values,
    id_start, id_length,
):  # fmt: skip
    """Read the value of a known field; return the position after the value."""
    column = field - (1 if key_rule == NO_KEY else 2)
    if field == 0:
        pos, event_time[row] = _read_time(data, pos, end, time_form)
        return pos
    if column >= 0:
        pos, values[column] = _read_column_value(
            data, pos, end, low[column], high[column], may_be_missing[column]
        )
        return pos
    closing_quote = _end_of_string(data, pos, end)
    id_start[row], id_length[row] = pos + 1, closing_quote - pos - 1
    return (
        closing_quote + 1
        if closing_quote >= 0
        and 1 <= id_length[row] <= MAX_SENSOR_ID_CHARACTERS
        and not may_be_whole_number(data, pos + 1, closing_quote)
        else NEEDS_STRICT_PARSER
    )


@inlined_kernel
def _has_required_fields(last_row_with_field, row, key_rule, may_be_missing, values):  # type: ignore[no-untyped-def]
    """Return whether all required fields are present; write NaN for other absent columns."""
    if last_row_with_field[0] <= row or (
        key_rule == REQUIRED_KEY and last_row_with_field[1] <= row
    ):
        return False
    first_column = len(last_row_with_field) - len(values)
    for column in range(len(values)):
        if last_row_with_field[first_column + column] <= row:
            if not may_be_missing[column]:
                return False
            values[column] = np.nan
    return True


@inlined_kernel
def _is_not_in_future(event_time, received, max_future_us):  # type: ignore[no-untyped-def]
    return received == NO_TIME or (
        -MAX_RECEIVE_TIME < received < MAX_RECEIVE_TIME and event_time - received <= max_future_us
    )


@inlined_kernel
def _read_field_name(data, pos, end, names, name_ends, expected_field):  # type: ignore[no-untyped-def]
    """Read a name and a colon; return the value's position and the field index (-1: unknown)."""
    if pos >= end or data[pos] != _QUOTE:
        return NEEDS_STRICT_PARSER, -1
    pos += 1
    if expected_field >= len(name_ends):
        expected_field = 0
    field, closing_quote = (
        -1,
        pos + name_ends[expected_field] - (name_ends[expected_field - 1] if expected_field else 0),
    )
    if (
        closing_quote < end
        and data[closing_quote] == _QUOTE
        and _name_equals(data, pos, names, name_ends, expected_field)
    ):
        field = expected_field
    else:
        closing_quote = _end_of_string(data, pos - 1, end)
        if closing_quote < 0:
            return NEEDS_STRICT_PARSER, -1
        for candidate_field in range(len(name_ends)):
            name_length = name_ends[candidate_field] - (
                name_ends[candidate_field - 1] if candidate_field else 0
            )
            if name_length == closing_quote - pos and _name_equals(
                data, pos, names, name_ends, candidate_field
            ):
                field = candidate_field
                break
    pos = _skip_whitespace(data, closing_quote + 1, end)
    if pos >= end or data[pos] != _COLON:
        return NEEDS_STRICT_PARSER, -1
    return _skip_whitespace(data, pos + 1, end), field


@inlined_kernel
def _name_equals(data, pos, names, name_ends, field):  # type: ignore[no-untyped-def]
    first = name_ends[field - 1] if field else 0
    for i in range(first, name_ends[field]):
        if data[pos + i - first] != names[i]:
            return False
    return True


@inlined_kernel
def _skip_whitespace(data, pos, end):  # type: ignore[no-untyped-def]
    while pos < end and (
        data[pos] == _SPACE
        or data[pos] == _NEWLINE
        or data[pos] == _CARRIAGE_RETURN
        or data[pos] == _TAB
    ):
        pos += 1
    return pos


@inlined_kernel
def _end_of_string(data, pos, end):  # type: ignore[no-untyped-def]
    """Return the position of the closing quote of a printable ASCII string without escapes."""
    if data[pos] != _QUOTE:
        return NEEDS_STRICT_PARSER
    pos += 1
    while pos < end and data[pos] != _QUOTE:
        if data[pos] < _SPACE or data[pos] > _LAST_PRINTABLE or data[pos] == _BACKSLASH:
            return NEEDS_STRICT_PARSER
        pos += 1
    return pos if pos < end else NEEDS_STRICT_PARSER


@inlined_kernel
def _skip_literal(data, pos, end, literal):  # type: ignore[no-untyped-def]
    """Return the position after the literal that begins at `pos`."""
    if pos + len(literal) > end:
        return NEEDS_STRICT_PARSER
    for i in range(len(literal)):
        if data[pos + i] != literal[i]:
            return NEEDS_STRICT_PARSER
    return pos + len(literal)


@inlined_kernel
def _skip_value(data, pos, end):  # type: ignore[no-untyped-def]
    """Return the position after the value of an unknown field, if it is not an array or object."""
    first_byte = data[pos]
    if first_byte == _QUOTE:
        closing_quote = _end_of_string(data, pos, end)
        return closing_quote + 1 if closing_quote >= 0 else NEEDS_STRICT_PARSER
    if first_byte == _TRUE[0]:
        return _skip_literal(data, pos, end, _TRUE)
    if first_byte == _FALSE[0]:
        return _skip_literal(data, pos, end, _FALSE)
    if first_byte == _NULL[0]:
        return _skip_literal(data, pos, end, _NULL)
    return read_json_number(data, pos, end)[0]


@inlined_kernel
def _read_column_value(data, pos, end, low, high, may_be_missing):  # type: ignore[no-untyped-def]
    """Read the number or null at `pos`; return the position after the value, and the value."""
    if data[pos] == _NULL[0]:
        return (
            _skip_literal(data, pos, end, _NULL) if may_be_missing else NEEDS_STRICT_PARSER
        ), np.nan
    pos, value = read_json_number(data, pos, end)
    if pos < 0 or not (low <= value <= high and abs(value) < FLOAT32_OVERFLOW):
        return NEEDS_STRICT_PARSER, 0.0
    return pos, value + 0.0  # -0.0 becomes 0.0


@inlined_kernel
def _read_time(data, pos, end, time_form):  # type: ignore[no-untyped-def]
    """Read the time at `pos`; return the position after the time, and the time."""
    kind = time_form[0]
    if kind == TimeKind.RFC3339 or kind == TimeKind.PATTERN:  # noqa: PLR1714 - for numba
        closing_quote = _end_of_string(data, pos, end)
        if closing_quote < 0:
            return NEEDS_STRICT_PARSER, 0
        time, ok = read_instant(data, pos + 1, closing_quote, time_form)
        return closing_quote + 1 if ok else NEEDS_STRICT_PARSER, time
    time_start = pos
    while pos < end and (_ZERO <= data[pos] <= _NINE or data[pos] == _MINUS):
        pos += 1
    time, ok = read_instant(data, time_start, pos, time_form)
    digit = time_start + (data[time_start] == _MINUS)
    return pos if ok and (data[digit] != _ZERO or pos == digit + 1) else NEEDS_STRICT_PARSER, time
