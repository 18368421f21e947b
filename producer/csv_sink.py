"""Write simulated rows to a CSV file."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.simulation.sensors import SIGNALS
from sensorwatch.common.simulation.stream import Chunk
from sensorwatch.producer.malformed_rows import broken_cells


def write_simulated_csv(
    chunks: Iterable[Chunk], path: Path, *, labels: bool, on_sent: Callable[[int], object]
) -> int:
    """Write simulated rows to a CSV file, and return the number of rows.

    The file appears at `path` when it is complete. The folder of `path` is created if it is
    missing. `labels`: if True, a last column `label` is added. `on_sent`: called after each chunk
    with its number of rows. Raises DataError if the file cannot be written.
    """
    partial_path = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            rows = _write_rows(chunks, partial_path, labels, on_sent)
            partial_path.replace(path)
        finally:
            partial_path.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
    return rows


def _write_rows(
    chunks: Iterable[Chunk], path: Path, labels: bool, on_sent: Callable[[int], object]
) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sensor_id", "timestamp", *SIGNALS, *(["label"] if labels else [])])
        for chunk in chunks:
            if labels:
                labelled_rows = zip(_rows_of_cells(chunk), chunk.label, strict=True)
                writer.writerows([*cells, label] for cells, label in labelled_rows)
            else:
                writer.writerows(_rows_of_cells(chunk))
            rows += len(chunk)
            on_sent(len(chunk))
    return rows


def _rows_of_cells(chunk: Chunk) -> Iterator[list[object]]:
    format_time = lru_cache(maxsize=16)(format_instant)
    columns = (chunk.event_time.tolist(), chunk.sensor_id, chunk.values.tolist(), chunk.defects)
    for event_time, sensor, values, defect in zip(*columns, strict=True):
        cells = [sensor, format_time(event_time), *values]
        yield cells if defect is None else broken_cells(cells, defect)
