"""Write readings in the input formats of their schema: JSON payloads, request bodies and CSV."""

import csv
import math
from collections.abc import Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from sensorwatch.common.rows.instants import EPOCH, format_instant
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema


def cells_of(readings: Readings, schema: Schema) -> list[list[str | int | float | None]]:
    """Return each row's cells in the order of `schema.paths`. A missing value is None."""
    sensor_ids = readings.sensor_ids
    time_cells = [_time_cell(time, schema) for time in readings.event_time.tolist()]
    key_cells = [[sensor_ids[sensor]] if schema.key else [] for sensor in readings.sensor.tolist()]
    table = np.concatenate([readings.values, readings.context], axis=1)
    rows = [[None if math.isnan(value) else value for value in row] for row in table.tolist()]
    return [[time, *key, *row] for time, key, row in zip(time_cells, key_cells, rows, strict=True)]


def payloads_of(cells: Sequence[Sequence[object]], schema: Schema) -> list[bytes]:
    """Return each row as the JSON value of a record. Dotted paths become nested objects."""
    return [msgspec.json.encode(_nested_document(schema.paths, row)) for row in cells]


def request_body_of(payloads: Sequence[bytes]) -> bytes:
    """Return a request body for `POST /predict` from the JSON payloads of rows."""
    return b'{"rows": [' + b", ".join(payloads) + b"]}"


def write_readings_csv(path: Path, cells: Sequence[Sequence[object]], schema: Schema) -> None:
    """Write rows as a CSV file of the schema. Parsing the file gives exactly the same floats."""
    with path.open("w", encoding="utf-8", newline="") as file:
        # Texts are quoted, so that a reader keeps their leading spaces.
        writer = csv.writer(file, delimiter=schema.csv.delimiter, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(schema.paths)
        writer.writerows(cells)


def _time_cell(microseconds: int, schema: Schema) -> str | int | float:
    match schema.time.format:
        case "rfc3339":
            return format_instant(microseconds)
        case "epoch_ms":
            return _convert_unit(microseconds, 1_000)
        case "epoch_s":
            return _convert_unit(microseconds, 1_000_000)
        case pattern:
            time_zone = ZoneInfo(schema.time.naive_zone) if schema.time.naive_zone else UTC
            return (
                (EPOCH + timedelta(microseconds=microseconds))
                .astimezone(time_zone)
                .strftime(pattern)
            )


def _convert_unit(microseconds: int, unit: int) -> int | float:
    quotient, remainder = divmod(microseconds, unit)
    return microseconds / unit if remainder else quotient


def _nested_document(paths: Sequence[str], row: Sequence[object]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for path, value in zip(paths, row, strict=True):
        *parent_names, field_name = path.split(".")
        inner_document = document
        for name in parent_names:
            inner_document = inner_document.setdefault(name, {})
        inner_document[field_name] = value
    return document
