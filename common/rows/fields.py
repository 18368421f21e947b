"""Validation of one record's fields; the result is a row, or all faults of the record."""

import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from sensorwatch.common.rows.field_declarations import MissingPolicy, NumericColumn
from sensorwatch.common.rows.instants import BadTime, format_instant, time_reader
from sensorwatch.common.rows.limits import (
    EARLIEST_TIME,
    FLOAT32_OVERFLOW,
    LATEST_TIME,
    MAX_SENSOR_ID_CHARACTERS,
)
from sensorwatch.common.rows.paths import column_name, keys_of, parent_names
from sensorwatch.common.rows.quality import Lookup, lookup_with_quality
from sensorwatch.common.rows.readings import DEFAULT_SENSOR
from sensorwatch.common.rows.record_declarations import UnknownFields
from sensorwatch.common.rows.rejection import MAX_FAULTS, Fault, Reason, make_fault, short_repr
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.values import (
    ABSENT,
    MISSING,
    NO_OBJECT,
    ColumnReader,
    absent_fault,
    float_of_int,
)

_WHOLE_NUMBER = re.compile(r"(-?\d+)\.0+", re.ASCII)


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
    read_time = make_time_reader(schema)
    read_key = key_reader(schema)
    columns = [
        (_value_lookup(column), ColumnReader(column), *column.bounds) for column in schema.columns
    ]
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
                value = float_of_int(value)
            if (
                type(value) is float
                and low <= value <= high
                and abs(value) < FLOAT32_OVERFLOW
                and value not in column.missing_numbers
            ):
                values.append(value + 0.0)  # -0.0 becomes 0.0
                continue
            number = column.read(value)
            if number is MISSING and column.missing is MissingPolicy.HOLD_LAST:
                values.append(math.nan)
            elif isinstance(number, float):
                values.append(number)
            else:
                faults.append(column.fault(value))
        check_unknown_fields(record, faults)
        return tuple(faults) if faults else Row(event_time, sensor_id, values)

    return validate_record


def make_lookup(path: str) -> Lookup:
    """Return a function that looks up the name of the field, then its keys in nested objects.

    If an object around the field is absent or null, the field is absent, too.
    """
    name, keys = column_name(path), keys_of(path)
    first_key, *inner_keys = keys

    def look_up_plain(record: Mapping[str, object]) -> object:
        return record.get(name, ABSENT)

    def look_up_nested(record: Mapping[str, object]) -> object:
        value = record.get(name, ABSENT)
        if value is not ABSENT:
            return value
        value = record.get(first_key, ABSENT)
        for key in inner_keys:
            if value is None or value is ABSENT:
                return ABSENT
            if not isinstance(value, Mapping):
                return NO_OBJECT
            value = value.get(key, ABSENT)
        return value

    return look_up_nested if inner_keys else look_up_plain


def _value_lookup(column: NumericColumn) -> Lookup:
    look_up_value = make_lookup(column.path)
    if not column.quality:
        return look_up_value
    return lookup_with_quality(column, look_up_value, make_lookup(column.quality))


def make_time_reader(
    schema: Schema,
) -> Callable[[Mapping[str, object], int | None, list[Fault]], int]:
    """Return a function that returns a record's event time, or appends a fault and returns 0.

    The second argument is the receive time in microseconds UTC, or None if it is unknown.
    """
    time_field = schema.time
    fields = [(path, make_lookup(path)) for path in time_field.fields]
    to_microseconds = time_reader(time_field)
    max_future_seconds = time_field.max_future_seconds
    max_future_us = int(max_future_seconds * 1_000_000)
    first_field = time_field.fields[0]

    def read_time(record: Mapping[str, object], received: int | None, faults: list[Fault]) -> int:
        values = [lookup(record) for _, lookup in fields]
        for (path, _), value in zip(fields, values, strict=True):
            if value in (ABSENT, NO_OBJECT, None):
                faults.append(absent_fault(value, path))
                return 0
        value = values[0] if len(values) == 1 else " ".join(map(str, values))
        try:
            event_time = to_microseconds(value, received)
        except BadTime as error:
            faults.append(make_fault(Reason.BAD_TIMESTAMP, first_field, str(error)))
            return 0
        if received is not None and event_time > received + max_future_us:
            detail = (
                f"{format_instant(event_time)} is more than {max_future_seconds:g} s after the "
                f"receive time {format_instant(min(max(received, EARLIEST_TIME), LATEST_TIME))}"
            )
            faults.append(make_fault(Reason.FUTURE_TIMESTAMP, first_field, detail))
        return event_time

    return read_time


def key_reader(schema: Schema) -> Callable[[Mapping[str, object], list[Fault]], str]:
    """Return a function that returns a record's sensor id, or appends a fault and returns ""."""
    if schema.key is None:
        return lambda _record, _faults: DEFAULT_SENSOR
    fields = [(path, make_lookup(path)) for path in schema.key.fields]
    is_optional = schema.key.optional

    def read_key(record: Mapping[str, object], faults: list[Fault]) -> str:
        parts = []
        for path, lookup in fields:
            value = lookup(record)
            if value is ABSENT and is_optional:
                return DEFAULT_SENSOR
            part = _sensor_id(value)
            if part is None:
                faults.append(_key_fault(value, path))
                return ""
            parts.append(part)
        sensor_id = "/".join(parts)
        if len(sensor_id) > MAX_SENSOR_ID_CHARACTERS:
            faults.append(_key_fault(sensor_id, ", ".join(path for path, _ in fields)))
            return ""
        return sensor_id

    return read_key


def _sensor_id(value: object) -> str | None:
    """Return the sensor id in a value; None if the value is not an id.

    The number 17, the number 17.0 and the texts "17" and "17.0" are one id.
    """
    if type(value) is int and abs(value) < 2**63:
        return str(value)
    if type(value) is float and value.is_integer() and abs(value) < 2**63:
        return str(int(value))
    if type(value) is str and 0 < len(value) <= MAX_SENSOR_ID_CHARACTERS and value.isprintable():
        whole_number = _WHOLE_NUMBER.fullmatch(value)
        return value if whole_number is None else whole_number[1]
    return None


def _key_fault(value: object, field: str) -> Fault:
    if value in (ABSENT, NO_OBJECT, None):
        return absent_fault(value, field)
    wanted_text = f"wanted 1 to {MAX_SENSOR_ID_CHARACTERS} printable characters or an integer"
    return make_fault(Reason.BAD_KEY, field, f"found {short_repr(value)}, {wanted_text}")


def _make_unknown_field_check(
    schema: Schema,
) -> Callable[[Mapping[str, object], list[Fault]], None]:
    if schema.unknown_fields is UnknownFields.IGNORE:
        return lambda _record, _faults: None
    known_names = {column_name(path) for path in schema.known_paths}
    outer_names = {name for path in schema.known_paths for name in parent_names(path)}

    def add_unknown_fields(
        record: Mapping[str, object], faults: list[Fault], prefix: str = ""
    ) -> None:
        for name, value in record.items():
            if len(faults) >= MAX_FAULTS:
                return
            full_name = prefix + name
            if full_name in outer_names and isinstance(value, Mapping):
                add_unknown_fields(value, faults, full_name + ".")
            elif full_name not in known_names:
                faults.append(
                    make_fault(Reason.UNKNOWN_FIELD, full_name, f"found {short_repr(value)}")
                )

    return add_unknown_fields
