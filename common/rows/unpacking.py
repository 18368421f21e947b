"""The rows of records: decoded, but not validated."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from sensorwatch.common.rows.absorption import AbsorbedReason
from sensorwatch.common.rows.fields import make_lookup
from sensorwatch.common.rows.ignoring import is_ignored
from sensorwatch.common.rows.paths import column_name, keys_of, set_value
from sensorwatch.common.rows.readings import WHOLE_RECORD
from sensorwatch.common.rows.record_declarations import PayloadFormat
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.row_arrays import (
    NO_FIELDS,
    outer_array_name,
    shared_value,
    unpack_rows,
)
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.senml import resolve_senml
from sensorwatch.common.rows.strict_parsing import (
    Fields,
    Times,
    decode_any,
    fields_or_fault,
    times_as_list,
)
from sensorwatch.common.rows.values import ABSENT, NO_OBJECT

MAX_VALUES_PER_RECORD = 1_000_000
"""Maximum number of values of a record: rows times columns of the schema. This limit bounds the
memory of a record that has many short rows."""

Sources = Sequence[Mapping[str, object]]
"""For each record, the values of its fields that are not in the payload, see `sources.py`."""


class UnpackedRows(NamedTuple):
    """The n rows of a micro-batch's records, and the records without a row."""

    rows: list[Fields | Fault]
    record: list[int]
    """For each row, the position of its record."""
    row_in_record: list[int]
    """For each row, its index in the array of its record, or WHOLE_RECORD."""
    absorbed: list[tuple[int, AbsorbedReason]]
    """The position of each absorbed record, and the reason."""


def unpack_records(
    payloads: Sequence[bytes | None],
    schema: Schema,
    *,
    received: Times | None = None,
    sources: Sources | None = None,
) -> UnpackedRows:
    """Decode the payloads of records, and return their rows, without validation.

    `received`: the receive times, for times that are relative to them.
    """
    unpacked, times = UnpackedRows([], [], [], []), times_as_list(received)
    for position, payload in enumerate(payloads):
        if payload is None and schema.ignores_tombstones:
            unpacked.absorbed.append((position, AbsorbedReason.TOMBSTONE))
            continue
        content, outer_fields = (
            decode_any(payload),
            NO_FIELDS if sources is None else sources[position],
        )
        if isinstance(content, Mapping):
            content = {**content, **outer_fields}
        if is_ignored(content if isinstance(content, Mapping | Fault) else outer_fields, schema):
            unpacked.absorbed.append((position, AbsorbedReason.FILTERED))
            continue
        rows = _rows_in_array(
            content, schema, outer_fields, None if times is None else times[position]
        )
        if rows is None or isinstance(rows, Fault):
            unpacked.rows.append(fields_or_fault(content if rows is None else rows))
            unpacked.record.append(position)
            unpacked.row_in_record.append(WHOLE_RECORD)
        elif rows:
            unpacked.rows.extend(rows)
            unpacked.record.extend([position] * len(rows))
            unpacked.row_in_record.extend(range(len(rows)))
        else:
            unpacked.absorbed.append((position, AbsorbedReason.NO_ROWS))
    return unpacked


def _rows_in_array(
    content: object, schema: Schema, outer_fields: Fields = NO_FIELDS, received: int | None = None
) -> list[Fields | Fault] | Fault | None:
    """Return the rows in the array of a decoded record; see `unpack_rows`.

    `received`: the receive time of the record in microseconds UTC, if it is known.
    """
    if not schema.rows or isinstance(content, Fault):
        return None
    if schema.payload is PayloadFormat.SENML and isinstance(content, list):
        sent_seconds = None if received is None else received / 1_000_000
        content = resolve_senml(content, sent_seconds=sent_seconds)
    return unpack_rows(
        content,
        schema.rows,
        max_rows=max_rows_of_record(schema),
        outer_fields=outer_fields,
        share=field_sharing(schema),
    )


def max_rows_of_record(schema: Schema) -> int:
    """Return the maximum number of rows in the array of a record."""
    return min(schema.max_rows_per_record, MAX_VALUES_PER_RECORD // len(schema.columns))


@lru_cache(maxsize=64)
def field_sharing(schema: Schema) -> Callable[[Fields], Fields]:
    """Return a function that selects the fields around an array that the schema names."""
    array_name = outer_array_name(schema.rows)
    paths = [path for path in schema.known_paths if path != array_name]
    lookups = [(path, column_name(path), make_lookup(path)) for path in paths]

    def share(fields: Fields) -> Fields:
        outer_fields: dict[str, object] = {}
        for path, name, lookup in lookups:
            value = lookup(fields)
            if name in fields:
                # A source without a value stays absent, so that no element can set it.
                outer_fields[name] = ABSENT if value is ABSENT else shared_value(value)
            elif value is not ABSENT and value is not NO_OBJECT:
                set_value(outer_fields, keys_of(path), shared_value(value))
        return outer_fields

    return share


def rows_of_record(content: object, schema: Schema) -> Iterable[Fields | Fault]:
    """Return the rows of a decoded record, in order.

    `content`: the fields of the record, the elements of a payload that is an array, or the fault of
    the record.
    """
    rows = _rows_in_array(content, schema)
    if isinstance(rows, list):
        return rows
    return [fields_or_fault(content if rows is None else rows)]
