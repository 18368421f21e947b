"""Derives the JSON Schema of a flat row, and an example row, from a model's schema."""

from collections.abc import Mapping, Sequence
from typing import Any

from sensorwatch.common.rows.field_declarations import (
    EPOCH_UNITS_NS,
    MissingPolicy,
    NumericColumn,
    TimeField,
)
from sensorwatch.common.rows.limits import FLOAT32_OVERFLOW, MAX_SENSOR_ID_CHARACTERS
from sensorwatch.common.rows.paths import keys_of, nested_document
from sensorwatch.common.rows.record_declarations import UnknownFields
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.written_times import write_time

EXAMPLE_TIME = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z


def row_schema(schema: Schema) -> dict[str, Any]:
    """Return the JSON Schema of a row, with a nested object for each dot in a field name."""
    fields, required = time_and_key_fields(schema)
    for column in schema.columns:
        fields[column.path] = _number_schema(
            column, "context" if column in schema.context else "signal"
        )
        if column.missing is MissingPolicy.REJECT:
            required.append(column.path)
        if column.quality:
            fields.setdefault(column.quality, _flag_schema(column))
    json_schema = object_schema(fields, required)
    if schema.unknown_fields is UnknownFields.REJECT:
        _forbid_unknown_fields(json_schema)
    return json_schema


def time_and_key_fields(schema: Schema) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the JSON Schema of each time and key field by its path, and the required paths."""
    fields = dict.fromkeys(schema.time.fields, _time_schema(schema.time))
    required = list(schema.time.fields)
    if schema.key is not None:
        key_schema = _key_schema(optional=schema.key.optional)
        fields |= dict.fromkeys(schema.key.fields, key_schema)
        if not schema.key.optional:
            required += schema.key.fields
    return fields, required


def example_row(schema: Schema, values: Sequence[float]) -> dict[str, Any]:
    """Return an example row, as a client would send it.

    `values`: a value for each column, signals first, then context.
    """
    columns = {column.path: value for column, value in zip(schema.columns, values, strict=True)}
    return example_fields(schema, columns)


def example_fields(schema: Schema, values: Mapping[str, object]) -> dict[str, Any]:
    """Return an example of time and key, with the given values of other fields by their paths."""
    fields: dict[str, object] = dict(
        zip(schema.time.fields, write_time(EXAMPLE_TIME, schema.time), strict=True)
    )
    if schema.key is not None and not schema.key.optional:
        fields |= dict.fromkeys(schema.key.fields, "sensor-1")
    fields |= values
    return nested_document(fields, fields.values())


def _time_schema(time: TimeField) -> dict[str, Any]:
    time_format, zone = time.formats[0], time.naive_zone
    if time_format in EPOCH_UNITS_NS:
        return {"type": ["number", "string"], "description": f"{time_format} since 1970-01-01 UTC"}
    if time_format == "excel_days":
        return {"type": ["number", "string"], "description": f"days since 1899-12-30 in {zone}"}
    if time_format == "rfc3339":
        naive_note = f"without a UTC offset: {zone}" if zone else "the UTC offset is required"
        return {"type": "string", "description": f"RFC 3339; {naive_note}"}
    return {"type": "string", "description": f"a time like {time_format}"}


def _key_schema(*, optional: bool) -> dict[str, Any]:
    optional_note = '; a row without it belongs to the sensor "default"' if optional else ""
    return {
        "type": ["string", "integer"],
        "minLength": 1,
        "maxLength": MAX_SENSOR_ID_CHARACTERS,
        "description": f"the sensor{optional_note}",
    }


def _number_schema(column: NumericColumn, kind: str) -> dict[str, Any]:
    low, high = column.bounds
    unit = f", in {column.unit}" if column.unit else ""
    carried_forward = column.missing is MissingPolicy.HOLD_LAST
    missing_note = (
        "; if absent or null, the sensor's last value is carried forward" if carried_forward else ""
    )
    return {
        "type": ["number", "null"] if carried_forward else "number",
        "minimum": max(low, -FLOAT32_OVERFLOW),
        "maximum": min(high, FLOAT32_OVERFLOW),
        "description": f"{kind} {column.name}{unit}; rejected outside of minimum and maximum"
        + missing_note,
    }


def _flag_schema(column: NumericColumn) -> dict[str, Any]:
    good_flags = ", ".join(map(str, column.good_quality))
    return {
        "type": ["string", "number", "boolean", "null"],
        "description": f"quality flag; a value is missing unless its flag is absent, null or one "
        f"of: {good_flags}",
    }


def object_schema(
    fields: Mapping[str, Mapping[str, Any]], required: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the JSON Schema of an object. `fields`, `required`: paths of fields."""
    json_schema = _empty_object_schema()
    for path, field in fields.items():
        _insert_field(json_schema, keys_of(path), field, required=path in required)
    return json_schema


def _empty_object_schema() -> dict[str, Any]:
    return {"type": "object", "properties": {}, "required": []}


def _insert_field(
    json_schema: dict[str, Any], keys: Sequence[str], field: Mapping[str, Any], *, required: bool
) -> None:
    name, *inner_keys = keys
    if required and name not in json_schema["required"]:
        json_schema["required"].append(name)
    if inner_keys:
        _insert_field(
            json_schema["properties"].setdefault(name, _empty_object_schema()),
            inner_keys,
            field,
            required=required,
        )
    else:
        json_schema["properties"][name] = dict(field)


def _forbid_unknown_fields(json_schema: dict[str, Any]) -> None:
    json_schema["additionalProperties"] = False
    for field in json_schema["properties"].values():
        if field["type"] == "object":
            _forbid_unknown_fields(field)
