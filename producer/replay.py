"""Rows of a file as records that mean the same as the file's rows."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from sensorwatch.common.rows.readings import DEFAULT_SENSOR
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.schema import Schema, UnknownFields
from sensorwatch.common.rows.strict_parsing import Fields
from sensorwatch.common.tables import read_rows
from sensorwatch.producer.simulated_records import Record

# JSON has neither nan nor infinities: a number too large for any float is refused for the same
# reason, "not_finite", where null or a text would be refused for another.
_NOT_FINITE = msgspec.Raw(b"1e999")
_encoder = msgspec.json.Encoder(enc_hook=str)


def replayed_records(path: Path, schema: Schema) -> Iterator[Record]:
    """Yield each row of a CSV or Parquet file as one JSON record, in order, without a label.

    Columns that the schema does not name are sent only where it rejects them. A line that is no row
    is sent as the JSON text that says why, so that it is refused at the other end and not lost.
    Raises DataError as `sensorwatch.common.tables.read_rows` does.
    """
    send_unknown_fields = schema.unknown_fields is UnknownFields.REJECT
    declared_roots = tuple(dict.fromkeys(field.split(".")[0] for field in schema.paths))
    key_path = schema.key.field.split(".") if schema.key else None
    for fields in read_rows(path, schema):
        if isinstance(fields, Fault):
            yield Record(DEFAULT_SENSOR, _encoder.encode(fields.detail), "")
            continue
        fields_to_send = (
            fields
            if send_unknown_fields
            else {name: fields[name] for name in declared_roots if name in fields}
        )
        yield Record(_key(fields, key_path), encode_fields(fields_to_send), "")


def encode_fields(fields: Fields) -> bytes:
    """Write fields as JSON; floats read back to the same bits, those not finite as overflows."""
    json_values = {name: _json_value(value) for name, value in fields.items()}
    try:
        return _encoder.encode(json_values)
    except UnicodeEncodeError:  # the file's bytes were no UTF-8; JSON's escapes can still say so
        return json.dumps(fields).encode()


def _json_value(value: object) -> object:
    if type(value) is float:
        return value if math.isfinite(value) else _NOT_FINITE
    if isinstance(value, Mapping):
        return {name: _json_value(inner) for name, inner in value.items()}
    return value


def _key(fields: Fields, path: list[str] | None) -> str:
    value: Any = fields
    for path_part in path or ():
        value = value.get(path_part) if isinstance(value, Mapping) else None
    if path is None or value is None:
        return DEFAULT_SENSOR
    return str(value).encode(errors="replace").decode()
