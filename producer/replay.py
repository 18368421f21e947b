"""Convert the rows of a file to records that the consumer parses to the same readings."""

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
from sensorwatch.producer.simulated_records import SimulatedRecord

# JSON cannot represent nan or infinity. A number above the float64 range is rejected for the same
# reason, "not_finite"; null or a text would be rejected for another reason.
_NOT_FINITE_NUMBER = msgspec.Raw(b"1e999")
_encoder = msgspec.json.Encoder(enc_hook=str)


def replayed_records(path: Path, schema: Schema) -> Iterator[SimulatedRecord]:
    """Yield each row of a CSV or Parquet file as one JSON record, in order, without a label.

    Columns that the schema does not name are sent only if the schema rejects unknown fields. A line
    that cannot be read is sent as a JSON text with the reason, so that the consumer rejects and
    counts the record. Raises DataError in the same cases as `sensorwatch.common.tables.read_rows`.
    """
    sends_unknown_fields = schema.unknown_fields is UnknownFields.REJECT
    schema_root_names = tuple(dict.fromkeys(field.split(".")[0] for field in schema.paths))
    key_path = schema.key.field.split(".") if schema.key else None
    for fields in read_rows(path, schema):
        if isinstance(fields, Fault):
            yield SimulatedRecord(DEFAULT_SENSOR, _encoder.encode(fields.detail), "")
            continue
        fields_to_send = (
            fields
            if sends_unknown_fields
            else {name: fields[name] for name in schema_root_names if name in fields}
        )
        yield SimulatedRecord(_record_key(fields, key_path), encode_fields(fields_to_send), "")


def encode_fields(fields: Fields) -> bytes:
    """Return fields as JSON. Parsing the JSON gives exactly the same finite floats.

    Infinity and nan are written as a number above the float64 range.
    """
    json_values = {name: _json_value(value) for name, value in fields.items()}
    try:
        return _encoder.encode(json_values)
    except UnicodeEncodeError:  # from bytes that are not UTF-8; the json module escapes them
        return json.dumps(fields).encode()


def _json_value(value: object) -> object:
    if type(value) is float:
        return value if math.isfinite(value) else _NOT_FINITE_NUMBER
    if isinstance(value, Mapping):
        return {name: _json_value(nested_value) for name, nested_value in value.items()}
    return value


def _record_key(fields: Fields, path: list[str] | None) -> str:
    value: Any = fields
    for name in path or ():
        value = value.get(name) if isinstance(value, Mapping) else None
    if path is None or value is None:
        return DEFAULT_SENSOR
    return str(value).encode(errors="replace").decode()
