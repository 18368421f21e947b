"""Rows in long form: each record or element names one quantity and has its value."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from sensorwatch.common.rows.batches import Batch
from sensorwatch.common.rows.field_declarations import MissingPolicy, NumericColumn
from sensorwatch.common.rows.fields import (
    Row,
    field_reader,
    key_reader,
    make_lookup,
    make_time_reader,
)
from sensorwatch.common.rows.open_rows import complete_values, row_time
from sensorwatch.common.rows.paths import column_name
from sensorwatch.common.rows.quality import Lookup, lookup_with_quality
from sensorwatch.common.rows.record_declarations import UnknownFields
from sensorwatch.common.rows.rejection import Fault, Reason, Rejection, make_fault, short_repr
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import readings_of_rows
from sensorwatch.common.rows.values import ABSENT, MISSING, ColumnReader


class LongValue(NamedTuple):
    """The value of one quantity of a sensor at an instant."""

    event_time: int
    """In microseconds UTC."""
    sensor_id: str
    column: str
    """The name of the signal or context column."""
    value: float


LongFormReader = Callable[
    [Mapping[str, object], int | None], LongValue | Row | tuple[Fault, ...] | None
]
"""A function that validates the fields of a record or element.

The function returns one of these: the value; a whole row, if no field has the name of a quantity;
the faults; None, if the schema has no such quantity or the value is missing. The second argument is
the receive time in microseconds UTC, or None if it is unknown.
"""


@lru_cache(maxsize=64)
def long_form_reader(schema: Schema) -> LongFormReader:
    """Return the function that reads records or elements in the long form of a schema."""
    long_form = schema.long_form
    assert long_form is not None, "only a schema with [long_form] has a reader for it"
    look_up_name, value_lookups = make_lookup(long_form.name), _lookups(long_form.values)
    read_row, read_time, read_key = (
        field_reader(schema),
        make_time_reader(schema),
        key_reader(schema),
    )
    columns = {
        column_name(column.path): (
            column.name,
            ColumnReader(column),
            _value_lookup(column, value_lookups),
        )
        for column in schema.columns
    }

    def read(
        record: Mapping[str, object], received: int | None
    ) -> LongValue | Row | tuple[Fault, ...] | None:
        quantity = look_up_name(record)
        if quantity is ABSENT:
            return read_row(record, received)
        faults: list[Fault] = []
        column = columns.get(quantity) if isinstance(quantity, str) else None
        if column is None:
            if isinstance(quantity, str) and schema.unknown_fields is UnknownFields.IGNORE:
                return None
            reason = Reason.UNKNOWN_FIELD if isinstance(quantity, str) else Reason.WRONG_TYPE
            detail = f"found {short_repr(quantity)}, wanted the field of a signal or context"
            return (make_fault(reason, long_form.name, detail),)
        event_time, sensor_id = read_time(record, received, faults), read_key(record, faults)
        name, reader, look_up_value = column
        value = look_up_value(record)
        number = reader.read(value)
        if number is MISSING and reader.missing is MissingPolicy.HOLD_LAST and not faults:
            return None
        if not isinstance(number, float):
            fault = reader.fault(value)
            path = _first_path(value_lookups, record)
            faults.append(make_fault(fault.reason, path, f"{name}: {fault.detail}"))
            return tuple(faults)
        return tuple(faults) if faults else LongValue(event_time, sensor_id, name, number)

    return read


def _lookups(paths: Sequence[str]) -> dict[str, Lookup]:
    return {path: make_lookup(path) for path in paths}


def _value_lookup(column: NumericColumn, lookups: Mapping[str, Lookup]) -> Lookup:
    """Return a lookup of the first of several fields that a record has, and of its quality."""

    def look_up(record: Mapping[str, object]) -> object:
        return lookups[_first_path(lookups, record)](record)

    if not column.quality:
        return look_up
    return lookup_with_quality(column, look_up, make_lookup(column.quality))


def _first_path(lookups: Mapping[str, Lookup], record: Mapping[str, object]) -> str:
    """Return the path of the first field that a record has; the first path if it has none."""
    present = (path for path, lookup in lookups.items() if lookup(record) is not ABSENT)
    return next(present, next(iter(lookups)))


def join_values(
    rows: Iterable[tuple[int, Mapping[str, object] | Fault]], schema: Schema
) -> tuple[list[int], Batch]:
    """Return the rows of a whole file or topic in long form.

    All values of a sensor with the same time, or in the same bucket, form one row, in any order.
    `rows`: pairs of a number and the fields of a record or element. The rows and rejections of the
    returned batch are in the order of their first value. The returned list has, for each of them,
    the number of the record or element of its first value.
    """
    read = long_form_reader(schema)
    values_of_row: dict[tuple[int, str], dict[str, float]] = {}
    index_of_row: dict[tuple[int, str], int] = {}
    rejections: list[Rejection] = []
    whole_rows: list[tuple[int, Row]] = []

    numbers: list[int] = []
    for number, fields in rows:
        result = (fields,) if isinstance(fields, Fault) else read(fields, None)
        if result is None:
            continue
        if isinstance(result, LongValue):
            key = (row_time(result.event_time, schema), result.sensor_id)
            values_of_row.setdefault(key, {})[result.column] = result.value
            if key in index_of_row:
                continue
            index_of_row[key] = len(numbers)
        elif isinstance(result, Row):
            whole_rows.append((len(numbers), result))
        else:
            rejections.append(Rejection(len(numbers), result))
        numbers.append(number)
    joined_rows = [
        (index_of_row[key], Row(*key, complete_values(values, schema)))
        for key, values in values_of_row.items()
    ]
    ordered_rows = sorted([*whole_rows, *joined_rows], key=lambda indexed_row: indexed_row[0])
    index, valid_rows = [index for index, _ in ordered_rows], [row for _, row in ordered_rows]
    return numbers, (readings_of_rows(index, valid_rows, schema), rejections)
