"""Readings written as their schema declares rows: JSON payloads, a request's body, a CSV file."""

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
    """Return each row's fields in the order of `schema.paths`; None: the value is missing."""
    ids = readings.sensor_ids
    times = [_time(time, schema) for time in readings.event_time.tolist()]
    keys = [[ids[sensor]] if schema.key else [] for sensor in readings.sensor.tolist()]
    table = np.concatenate([readings.values, readings.context], axis=1)
    rows = [[None if math.isnan(value) else value for value in row] for row in table.tolist()]
    return [[time, *key, *row] for time, key, row in zip(times, keys, rows, strict=True)]


def payloads_of(cells: Sequence[Sequence[object]], schema: Schema) -> list[bytes]:
    """Write each row as a record's value; dotted paths become nested objects."""
    return [msgspec.json.encode(_nested_document(schema.paths, row)) for row in cells]


def request_body_of(payloads: Sequence[bytes]) -> bytes:
    """Write rows as the body of `POST /predict`."""
    return b'{"rows": [' + b", ".join(payloads) + b"]}"


def write_csv(path: Path, cells: Sequence[Sequence[object]], schema: Schema) -> None:
    """Write rows as a CSV file of the schema; every float with the digits that it needs."""
    with path.open("w", encoding="utf-8", newline="") as file:
        # Texts are quoted, so that none loses a leading space.
        writer = csv.writer(file, delimiter=schema.csv.delimiter, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(schema.paths)
        writer.writerows(cells)


def _time(microseconds: int, schema: Schema) -> str | int | float:
    match schema.time.format:
        case "rfc3339":
            return format_instant(microseconds)
        case "epoch_ms":
            return _in_units(microseconds, 1_000)
        case "epoch_s":
            return _in_units(microseconds, 1_000_000)
        case pattern:
            zone = ZoneInfo(schema.time.naive_zone) if schema.time.naive_zone else UTC
            return (EPOCH + timedelta(microseconds=microseconds)).astimezone(zone).strftime(pattern)


def _in_units(microseconds: int, scale: int) -> int | float:
    quotient, remainder = divmod(microseconds, scale)
    return microseconds / scale if remainder else quotient


def _nested_document(paths: Sequence[str], row: Sequence[object]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for path, value in zip(paths, row, strict=True):
        *outer, last = path.split(".")
        inner = document
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return document
