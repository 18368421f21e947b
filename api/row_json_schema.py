"""Derives the JSON Schema of a row, and an example row, from a model's schema."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sensorwatch.common.rows.cells import set_nested
from sensorwatch.common.rows.limits import FLOAT32_OVERFLOW, MAX_SENSOR_ID_CHARACTERS
from sensorwatch.common.rows.schema import (
    MissingPolicy,
    NumericColumn,
    Schema,
    TimeField,
    UnknownFields,
)

EXAMPLE_TIME = datetime(2025, 1, 1, tzinfo=UTC)


def row_schema(schema: Schema) -> dict[str, Any]:
    """Return the JSON Schema of a row, with a nested object for each dot in a field name."""
    fields = {schema.time.field: _time_schema(schema.time)}
    required = [schema.time.field]
    if schema.key is not None:
        fields[schema.key.field] = _key_schema(optional=schema.key.optional)
        if not schema.key.optional:
            required.append(schema.key.field)
    for column in schema.columns:
        fields[column.path] = _number_schema(
            column, "context" if column in schema.context else "signal"
        )
        if column.missing is MissingPolicy.REJECT:
            required.append(column.path)
    json_schema = _object_schema()
    for path, field in fields.items():
        _insert_field(json_schema, path.split("."), field, required=path in required)
    if schema.unknown_fields is UnknownFields.REJECT:
        _forbid_unknown_fields(json_schema)
    return json_schema


def example_row(schema: Schema, values: Sequence[float]) -> dict[str, Any]:
    """Return an example row, as a client would send it.

    `values`: a value for each column, signals first, then context.
    """
    row: dict[str, Any] = {}
    set_nested(row, schema.time.field, _example_time(schema.time))
    if schema.key is not None and not schema.key.optional:
        set_nested(row, schema.key.field, "sensor-1")
    for column, value in zip(schema.columns, values, strict=True):
        set_nested(row, column.path, value)
    return row


def _time_schema(time: TimeField) -> dict[str, Any]:
    match time.format:
        case "rfc3339":
            zone = time.naive_zone
            naive_note = f"without a UTC offset: {zone}" if zone else "the UTC offset is required"
            return {"type": "string", "description": f"RFC 3339; {naive_note}"}
        case "epoch_s" | "epoch_ms":
            unit = "seconds" if time.format == "epoch_s" else "milliseconds"
            return {"type": "number", "description": f"{unit} since 1970-01-01 UTC"}
        case pattern:
            return {"type": "string", "description": f"a time like {pattern}"}


def _example_time(time: TimeField) -> str | int:
    match time.format:
        case "rfc3339":
            return EXAMPLE_TIME.isoformat().replace("+00:00", "" if time.naive_zone else "Z")
        case "epoch_s":
            return int(EXAMPLE_TIME.timestamp())
        case "epoch_ms":
            return int(EXAMPLE_TIME.timestamp()) * 1000
        case pattern:
            return EXAMPLE_TIME.strftime(pattern)


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


def _object_schema() -> dict[str, Any]:
    return {"type": "object", "properties": {}, "required": []}


def _insert_field(
    json_schema: dict[str, Any], parts: list[str], field: Mapping[str, Any], *, required: bool
) -> None:
    name, *inner_parts = parts
    if required and name not in json_schema["required"]:
        json_schema["required"].append(name)
    if inner_parts:
        _insert_field(
            json_schema["properties"].setdefault(name, _object_schema()),
            inner_parts,
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
