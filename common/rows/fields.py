"""Validation of one record's fields; the result is a row, or all faults of the record."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from sensorwatch.common.rows.instants import BadTime, format_instant, time_reader
from sensorwatch.common.rows.limits import (
    EARLIEST_TIME,
    FLOAT32_OVERFLOW,
    LATEST_TIME,
    MAX_SENSOR_ID_CHARACTERS,
)
from sensorwatch.common.rows.readings import DEFAULT_SENSOR
from sensorwatch.common.rows.rejection import Fault, Reason, make_fault, short_repr
from sensorwatch.common.rows.schema import MissingPolicy, NumericColumn, Schema, UnknownFields

MAX_FAULTS = 100
"""Once a record has this number of faults, further unknown fields are not reported.

A hostile record could have tens of thousands of unknown fields.
"""

_ABSENT = object()

Lookup = Callable[[Mapping[str, object]], object]
"""A function that returns the value of one field of a record, or _ABSENT."""


class Row(NamedTuple):
    """The valid values of one record."""

    event_time: int
    sensor_id: str
    values: list[float]
    """Values of the signals, then of the context columns; NaN if a value is missing."""


FieldReader = Callable[[Mapping[str, object], int | None], Row | tuple[Fault, ...]]
"""A function that validates a record's fields and returns a row or the faults of the record.

The second argument is the receive time in microseconds UTC, or None if it is unknown.
"""


def field_reader(schema: Schema) -> FieldReader:
    """Return the function that validates the fields of one record against the schema."""
    read_time = _make_time_reader(schema)
    read_key = _make_key_reader(schema)
    columns = [(_make_lookup(column.path), column, *column.bounds) for column in schema.columns]
    check_unknown_fields = _make_unknown_field_check(schema)

    def validate_record(
        record: Mapping[str, object], received: int | None
    ) -> Row | tuple[Fault, ...]:
        faults: list[Fault] = []
        event_time = read_time(record, received, faults)
        sensor_id = read_key(record, faults)
        values = []
        for lookup, column, low, high in columns:
            value = lookup(record)
            # The most common case comes first: a finite number within the bounds.
            if type(value) is int:
                value = _to_float(value)
            if type(value) is float and low <= value <= high and abs(value) < FLOAT32_OVERFLOW:
                values.append(value + 0.0)  # -0.0 becomes 0.0
            elif column.missing is MissingPolicy.HOLD_LAST and _is_missing(record, column.path):
                values.append(math.nan)
            else:
                faults.append(_value_fault(value, column))
        check_unknown_fields(record, faults)
        return tuple(faults) if faults else Row(event_time, sensor_id, values)

    return validate_record


def _make_lookup(path: str) -> Lookup:
    first_name, *inner_names = path.split(".")

    def look_up_plain(record: Mapping[str, object]) -> object:
        return record.get(path, _ABSENT)

    def look_up_nested(record: Mapping[str, object]) -> object:
        value = record.get(first_name, _ABSENT)
        for name in inner_names:
            value = value.get(name, _ABSENT) if isinstance(value, Mapping) else _ABSENT
        return value

    return look_up_nested if inner_names else look_up_plain


def _make_time_reader(
    schema: Schema,
) -> Callable[[Mapping[str, object], int | None, list[Fault]], int]:
    time_field = schema.time
    lookup, to_microseconds = _make_lookup(time_field.field), time_reader(time_field)
    max_future_seconds = time_field.max_future_seconds
    max_future_us = None if max_future_seconds is None else int(max_future_seconds * 1_000_000)

    def read_time(record: Mapping[str, object], received: int | None, faults: list[Fault]) -> int:
        value = lookup(record)
        if value is _ABSENT or value is None:
            faults.append(_absent_fault(value, time_field.field))
            return 0
        try:
            event_time = to_microseconds(value)
        except BadTime as error:
            faults.append(make_fault(Reason.BAD_TIMESTAMP, time_field.field, str(error)))
            return 0
        if (
            max_future_us is not None
            and received is not None
            and event_time > received + max_future_us
        ):
            detail = (
                f"{format_instant(event_time)} is more than {max_future_seconds:g} s after the "
                f"receive time {format_instant(min(max(received, EARLIEST_TIME), LATEST_TIME))}"
            )
            faults.append(make_fault(Reason.FUTURE_TIMESTAMP, time_field.field, detail))
        return event_time

    return read_time


def _make_key_reader(schema: Schema) -> Callable[[Mapping[str, object], list[Fault]], str]:
    if schema.key is None:
        return lambda _record, _faults: DEFAULT_SENSOR
    lookup, is_optional, field = (
        _make_lookup(schema.key.field),
        schema.key.optional,
        schema.key.field,
    )

    def read_key(record: Mapping[str, object], faults: list[Fault]) -> str:
        value = lookup(record)
        if (
            type(value) is str
            and 0 < len(value) <= MAX_SENSOR_ID_CHARACTERS
            and value.isprintable()
        ):
            return value
        if value is _ABSENT and is_optional:
            return DEFAULT_SENSOR
        if type(value) is int and abs(value) < 2**63:
            return str(value)
        if value is _ABSENT or value is None:
            faults.append(_absent_fault(value, field))
        else:
            wanted_text = (
                f"wanted 1 to {MAX_SENSOR_ID_CHARACTERS} printable characters or an integer"
            )
            faults.append(
                make_fault(Reason.BAD_KEY, field, f"found {short_repr(value)}, {wanted_text}")
            )
        return ""

    return read_key


def _make_unknown_field_check(
    schema: Schema,
) -> Callable[[Mapping[str, object], list[Fault]], None]:
    if schema.unknown_fields is UnknownFields.IGNORE:
        return lambda _record, _faults: None
    known_paths = set(schema.paths)
    parent_paths = {
        ".".join(path.split(".")[:end])
        for path in known_paths
        for end in range(1, path.count(".") + 1)
    }

    def add_unknown_fields(
        record: Mapping[str, object], faults: list[Fault], prefix: str = ""
    ) -> None:
        for name, value in record.items():
            if len(faults) >= MAX_FAULTS:
                return
            path = prefix + name
            if path in parent_paths and isinstance(value, Mapping):
                add_unknown_fields(value, faults, path + ".")
            elif path not in known_paths:
                faults.append(make_fault(Reason.UNKNOWN_FIELD, path, f"found {short_repr(value)}"))

    return add_unknown_fields


def _is_missing(record: Mapping[str, object], path: str) -> bool:
    """Return whether the field, or an object around it, is absent or null."""
    value: object = record
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return False
        value = value.get(name)
        if value is None:
            return True
    return False


def _value_fault(value: object, column: NumericColumn) -> Fault:
    low, high = column.bounds
    match value:
        case _ if value is _ABSENT or value is None:
            return _absent_fault(value, column.path)
        case float() if not abs(value) < FLOAT32_OVERFLOW:
            detail = f"found {value!r}, wanted a number that is finite in float32"
            return make_fault(Reason.NOT_FINITE, column.path, detail)
        case float():
            detail = f"found {value!r}, wanted {low:g} to {high:g}"
            return make_fault(Reason.OUT_OF_RANGE, column.path, detail)
        case _:
            return make_fault(
                Reason.WRONG_TYPE, column.path, f"found {short_repr(value)}, wanted a number"
            )


def _absent_fault(value: object, field: str) -> Fault:
    if value is None:
        return make_fault(Reason.NULL_VALUE, field, "found null")
    return make_fault(Reason.MISSING_FIELD, field, "the field is missing")


def _to_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
