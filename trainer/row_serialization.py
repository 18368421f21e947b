"""Write readings in the input formats of their schema: JSON payloads, request bodies and CSV."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from sensorwatch.common.rows.paths import nested_document
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.written_times import write_time


def cells_of(readings: Readings, schema: Schema) -> list[list[str | int | float | None]]:
    """Return each row's cells in the order of `schema.paths`. A missing value is None."""
    sensor_ids = readings.sensor_ids
    time_cells = [write_time(time, schema.time) for time in readings.event_time.tolist()]
    key_cells = [_key_cells(sensor_ids[sensor], schema) for sensor in readings.sensor.tolist()]
    table = np.concatenate([readings.values, readings.context], axis=1)
    rows = [[None if math.isnan(value) else value for value in row] for row in table.tolist()]
    return [[*time, *key, *row] for time, key, row in zip(time_cells, key_cells, rows, strict=True)]


def payloads_of(cells: Sequence[Sequence[object]], schema: Schema) -> list[bytes]:
    """Return each row as the JSON value of a record; a path of several keys becomes objects."""
    return [msgspec.json.encode(nested_document(schema.paths, row)) for row in cells]


def request_body_of(payloads: Sequence[bytes]) -> bytes:
    """Return a request body for `POST /predict` from the JSON payloads of rows."""
    return b'{"rows": [' + b", ".join(payloads) + b"]}"


def write_readings_csv(path: Path, cells: Sequence[Sequence[object]], schema: Schema) -> None:
    """Write rows as a CSV file of the schema. Parsing the file gives exactly the same floats.

    The cells of quality flags are empty.
    """
    no_flags = [None] * (len(schema.read_paths) - len(schema.paths))
    with path.open("w", encoding="utf-8", newline="") as file:
        # Texts are quoted, so that a reader keeps their leading spaces.
        writer = csv.writer(file, delimiter=schema.csv.delimiter, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(schema.read_names)
        writer.writerows([*row, *no_flags] for row in cells)


def _key_cells(sensor_id: str, schema: Schema) -> list[str]:
    return [] if schema.key is None else sensor_id.split("/", len(schema.key.fields) - 1)
