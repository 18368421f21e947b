"""Records with an array of rows; the kernel reads each element like a separate payload."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np

from sensorwatch.common.row_executor import RowExecutor
from sensorwatch.common.rows.field_declarations import KeyField
from sensorwatch.common.rows.fields import make_lookup
from sensorwatch.common.rows.ignoring import is_ignored
from sensorwatch.common.rows.keyed_records import with_keys
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.paths import keys_of
from sensorwatch.common.rows.quality import Lookup
from sensorwatch.common.rows.readings import Readings, merge_readings
from sensorwatch.common.rows.record_declarations import PayloadFormat
from sensorwatch.common.rows.row_arrays import ARRAY_MARK, MAX_ROWS_PER_RECORD
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields, Times, decode_any, times_at
from sensorwatch.common.rows.unpacking import Sources, field_sharing, max_rows_of_record
from sensorwatch.common.rows.values import ABSENT

_ROW_BITS = 14
assert MAX_ROWS_PER_RECORD <= 1 << _ROW_BITS
_RAW_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class _Elements:
    """Elements of arrays that are parsed together."""

    payloads: list[bytes] = field(default_factory=list)
    record: list[int] = field(default_factory=list)
    """For each element, the position of its record."""
    row_in_record: list[int] = field(default_factory=list)
    outer_fields: list[Fields] = field(default_factory=list)
    """For each element, the fields around its array."""


class ReadArrays(NamedTuple):
    """The readings of the records that could be read, and the other records."""

    readings: Readings
    """In the order of the records and their rows; `index` is the position of the record."""
    unread: list[int]
    """The positions of the records that the strict parser must read, in ascending order."""


def read_arrays(
    payloads: Sequence[bytes | None],
    schema: Schema,
    *,
    received: Times | None,
    sources: Sources | None,
    row_executor: RowExecutor,
) -> ReadArrays | None:
    """Read records whose rows are the elements of one array, if all rows of a record are valid.

    The readings equal those of the strict parser. Returns None if the kernel can read no record of
    this schema. For the arguments see `parse_records`.
    """
    schemas = _element_schemas(schema)
    if schemas is None:
        return None
    with_own_key, with_key_around = _Elements(), _Elements()
    unread = [
        position
        for position, payload in enumerate(payloads)
        if not _split(
            payload,
            position,
            schema,
            None if sources is None else sources[position],
            with_own_key,
            with_key_around,
        )
    ]
    parts, bad_records = [], set(unread)
    for elements, element_schema in zip((with_own_key, with_key_around), schemas, strict=True):
        records = np.asarray(elements.record, dtype=np.int64)
        readings, rejections = parse(
            elements.payloads,
            element_schema,
            received=times_at(received, records),
            row_executor=row_executor,
        )
        bad_records.update(elements.record[rejection.index] for rejection in rejections)
        if elements is with_key_around and schema.key is not None:
            readings, without_key = with_keys(readings, schema, elements.outer_fields)
            bad_records.update(records[without_key].tolist())
        rows = np.asarray(elements.row_in_record, dtype=np.int64)
        readings = replace(
            readings, index=records[readings.index], row_in_record=rows[readings.index]
        )
        parts.append(readings.take(~np.isin(readings.index, list(bad_records))))
    merged = merge_records(parts)
    # Each record is in only one group, so a bad element of one group cannot affect a record of the
    # other group.
    return ReadArrays(merged, sorted(bad_records))


def merge_records(parts: Sequence[Readings]) -> Readings:
    """Merge readings of different records, with their places in the arrays of the records."""
    merged = merge_readings([_with_joined_place(part) for part in parts])
    rows = (merged.index & ((1 << _ROW_BITS) - 1)) - 1
    return replace(merged, index=merged.index >> _ROW_BITS, row_in_record=rows)


def _with_joined_place(readings: Readings) -> Readings:
    """Return readings whose index contains the record and, counted from 1, the row in it."""
    assert readings.row_in_record is not None, "the rows of arrays have a place in their record"
    place = (readings.index << _ROW_BITS) + (readings.row_in_record + 1)
    return replace(readings, index=place, row_in_record=None)


def _split(
    payload: bytes | None,
    position: int,
    schema: Schema,
    sources: Fields | None,
    with_own_key: _Elements,
    with_key_around: _Elements,
) -> bool:
    """Add the elements of a record to one of two groups; return False if it has no usable array.

    The second group has the records whose array does not contain the name of a key field.
    """
    content = decode_any(payload)
    if payload is None or not payload.startswith(b"{") or not isinstance(content, Mapping):
        return False
    outer_fields = content if sources is None else {**content, **sources}
    if is_ignored(outer_fields, schema):
        return False
    raw_array = _raw_array(payload, schema)
    if raw_array is None:
        return False
    array, elements = raw_array
    if not 0 < len(elements) <= max_rows_of_record(schema):
        return False
    shared_fields = field_sharing(schema)(outer_fields)
    if any(lookup(shared_fields) is not ABSENT for lookup in _column_lookups(schema)):
        return False  # elements inherit a value that the kernel does not know
    if schema.source_names and b'"@' in array:
        return False  # an element has a field with the name of a field from outside the payload
    # An escape could be part of the name of a key field.
    has_own_key = b"\\" in array or any(name in array for name in _encoded_key_names(schema))
    group = with_own_key if has_own_key else with_key_around
    group.payloads.extend(elements)
    group.record.extend([position] * len(elements))
    group.row_in_record.extend(range(len(elements)))
    if not has_own_key:
        group.outer_fields.extend([shared_fields] * len(elements))
    return True


def _raw_array(payload: bytes, schema: Schema) -> tuple[bytes, list[bytes]] | None:
    """Return the bytes of the array with the rows, and of each element.

    Returns None if there is no array at the schema's path.
    """
    keys = keys_of(schema.rows.removesuffix(ARRAY_MARK))
    raw = msgspec.Raw(payload)
    try:
        for depth, key in enumerate(keys):
            fields = _RAW_FIELDS.decode(raw)
            if depth == 0 and len(keys) > 1 and ".".join(keys) in fields:
                return None
            raw = fields.get(key, msgspec.Raw(b"null"))
        elements = _RAW_ELEMENTS.decode(raw)
    except msgspec.MsgspecError:
        return None
    return bytes(raw), [bytes(element) for element in elements]


@lru_cache(maxsize=64)
def _column_lookups(schema: Schema) -> list[Lookup]:
    return [make_lookup(column.path) for column in schema.columns]


@lru_cache(maxsize=64)
def _encoded_key_names(schema: Schema) -> list[bytes]:
    """Return the JSON encoding of the first key of each key field's path."""
    paths = schema.key.fields if schema.key else ()
    return [msgspec.json.encode(keys_of(path)[0])[1:-1] for path in paths]


@lru_cache(maxsize=64)
def _element_schemas(schema: Schema) -> tuple[Schema, Schema] | None:
    """Return two schemas: for elements that contain the key, and for elements that do not.

    Returns None if only the strict parser can read the arrays of the schema.
    """
    is_one_array = schema.rows.count(ARRAY_MARK) == 1 and schema.rows != ARRAY_MARK
    key_fields = schema.key.fields if schema.key else ()
    if not is_one_array or schema.payload is not PayloadFormat.JSON:
        return None
    if set(schema.source_names) - {*key_fields, *(path for path, _ in schema.ignore)}:
        return None
    key = KeyField.model_validate({"field": key_fields}) if key_fields else None
    flat = schema.with_changes(rows="", ignore=(), key=key)
    return flat, flat.with_changes(key=None)
