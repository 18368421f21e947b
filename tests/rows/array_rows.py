"""Schemas and records with arrays of rows, and their rows in a form to compare."""

import json
from typing import Any

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.records import (
    ParsedRecords,
    parse_records,
)
from sensorwatch.common.rows.schema import Schema, schema_from_plain

TIME = "2025-01-01T00:00:0{}Z"


def array_schema(path: str = "values[*]", **parts: Any) -> Schema:
    plain = {
        "rows": path,
        "time": {"field": "at"},
        "key": {"field": "pump"},
        "signals": [{"name": "flow"}],
    }
    return schema_from_plain(plain | parts)


def parsed(*records: object, schema: Schema | None = None, **options: Any) -> ParsedRecords:
    payloads = [json.dumps(record).encode() for record in records]
    return parse_records(payloads, schema or array_schema(), **options)


def rows_of(records: ParsedRecords) -> list[tuple[int, int, str, float]]:
    """Return record, row in the record, sensor and value of each reading."""
    readings = records.readings
    assert readings.row_in_record is not None
    return [
        (index, row, readings.sensor_ids[sensor], values[0])
        for index, row, sensor, values in zip(
            readings.index.tolist(),
            readings.row_in_record.tolist(),
            readings.sensor.tolist(),
            readings.values.tolist(),
            strict=True,
        )
    ]


def elements(*flows: object) -> list[dict[str, object]]:
    return [{"at": TIME.format(second), "flow": flow} for second, flow in enumerate(flows)]


def rows_of_readings(readings: Readings) -> list[tuple[object, ...]]:
    return [
        (index, time, readings.sensor_ids[sensor], repr(values))
        for index, time, sensor, values in zip(
            readings.index.tolist(),
            readings.event_time.tolist(),
            readings.sensor.tolist(),
            readings.values.tolist(),
            strict=True,
        )
    ]
