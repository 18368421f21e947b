"""Convert the rows of a file to records that the consumer parses to the same readings."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from sensorwatch.common.files.rows_of_file import read_rows
from sensorwatch.common.rows.fields import key_reader
from sensorwatch.common.rows.paths import column_name, keys_of, set_value
from sensorwatch.common.rows.readings import DEFAULT_SENSOR
from sensorwatch.common.rows.record_declarations import UnknownFields
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields
from sensorwatch.producer.simulated_records import SimulatedRecord

# JSON cannot represent nan or infinity. A number above the float64 range is rejected for the same
# reason, "not_finite"; null or a text would be rejected for another reason.
_NOT_FINITE_NUMBER = msgspec.Raw(b"1e999")
_encoder = msgspec.json.Encoder(enc_hook=str)


def replayed_records(path: Path, schema: Schema) -> Iterator[SimulatedRecord]:
    """Yield each row of a CSV or Parquet file as one JSON record, in order, without a label.

    Columns that the schema does not name are sent only if the schema rejects unknown fields. A line
    that cannot be read is sent as a JSON text with the reason, so that the consumer rejects and
    counts the record. Raises DataError in the same cases as `rows_of_file.read_rows`.
    """
    sends_unknown_fields = schema.unknown_fields is UnknownFields.REJECT
    known_names = schema.table_names
    read_sensor_id = key_reader(schema)
    for fields in read_rows(path, schema):
        if isinstance(fields, Fault):
            yield SimulatedRecord(DEFAULT_SENSOR, _encoder.encode(fields.detail), "")
            continue
        fields_to_send = {
            name: value
            for name, value in fields.items()
            if sends_unknown_fields or name in known_names
        }
        payload = encode_fields(_nested_fields(fields_to_send, schema))
        yield SimulatedRecord(read_sensor_id(fields, []) or DEFAULT_SENSOR, payload, "")


def _nested_fields(fields: Fields, schema: Schema) -> Fields:
    """Return the fields with an object around each field whose path has several keys."""
    nested_keys = {column_name(path): keys_of(path) for path in schema.read_paths}
    nested_fields: dict[str, object] = {}
    for name, value in fields.items():
        set_value(nested_fields, nested_keys.get(name, (name,)), value)
    return nested_fields


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
