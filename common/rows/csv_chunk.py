"""Consecutive lines of a CSV file to readings and rejections, the plain ones compiled."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.batches import Batch
from sensorwatch.common.rows.cells import CellReader, cell_reader, csv_reader, records_of
from sensorwatch.common.rows.fast.csv_rows import Line, Role, read_lines
from sensorwatch.common.rows.fast.sensor_ids import number_sensors
from sensorwatch.common.rows.fast.timestamps import TIME_KINDS
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Fault, Rejection
from sensorwatch.common.rows.schema import Missing, Schema, UnknownFields
from sensorwatch.common.rows.strict_parsing import Fields, collect


@dataclass(frozen=True, slots=True)
class _Lines:
    """What the kernel found of n lines."""

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    lines: NDArray[np.int8]
    event_time: NDArray[np.int64]
    keys: NDArray[np.int64]
    values: NDArray[np.float64]


class ChunkReader:
    """Reads lines under one header; see `plain_reader`."""

    def __init__(self, schema: Schema, names: Sequence[str]) -> None:
        self._schema = schema
        self.strict: CellReader = cell_reader(schema, names)
        """Reads the cells of any line."""
        self._roles = np.asarray([_role(schema, name) for name in names], dtype=np.int64)
        low, high = zip(*(column.bounds for column in schema.columns), strict=True)
        self._low, self._high = np.asarray(low), np.asarray(high)
        may_miss = [column.missing is Missing.HOLD_LAST for column in schema.columns]
        self._may_miss = np.asarray(may_miss)
        self._keyed = schema.key is not None and schema.key.field in names

    def read(self, chunk: bytes) -> tuple[Batch, int]:
        """Read whole lines; return their rows and how many bytes were taken.

        Not all of them are where a line comes that may go on in the next (see `read_lines`).
        """
        found, taken = self._lines(chunk)
        unusual = np.flatnonzero(found.lines == Line.UNUSUAL)
        others, rejections = collect(self._unusual(chunk, found, unusual), self._schema)
        moved = [Rejection(int(unusual[one.index]), one.faults) for one in rejections]
        accepted = unusual[others.index]
        found.lines[accepted] = Line.READ
        found.event_time[accepted] = others.event_time
        found.values[accepted] = np.concatenate([others.values, others.context], axis=1)
        names = self._place_names(chunk, found, accepted, others)
        index = np.flatnonzero(found.lines == Line.READ)
        begins, ends = np.ascontiguousarray(found.keys[index].T)
        sensor, sensor_ids = number_sensors(names, begins, ends - begins)
        signals = len(self._schema.signals)
        readings = Readings(
            index,
            found.event_time[index],
            sensor,
            sensor_ids,
            found.values[index, :signals],
            found.values[index, signals:],
        )
        return (readings, moved), taken

    def _unusual(
        self, chunk: bytes, found: _Lines, unusual: NDArray[np.int64]
    ) -> Iterator[Fields | Fault]:
        """Read lines one by one, as `cells.py` does."""
        places = zip(found.begins[unusual].tolist(), found.ends[unusual].tolist(), strict=True)
        texts = (chunk[at:end].decode(errors="surrogateescape") for at, end in places)
        return records_of(csv_reader(texts, self._schema), self.strict)

    def _place_names(
        self, chunk: bytes, found: _Lines, accepted: NDArray[np.int64], others: Readings
    ) -> bytes:
        """Set the keys of all lines that have none in the chunk as it is; return where they are.

        `accepted`: the unusual lines that are readings after all, `others`.
        """
        if not self._keyed:
            found.keys[:] = 0, -1  # of no length: the default sensor
            return chunk
        texts = [name.encode() for name in others.sensor_ids]
        ends = len(chunk) + np.cumsum([0, *map(len, texts)])
        found.keys[accepted, 0] = ends[others.sensor]
        found.keys[accepted, 1] = ends[1:][others.sensor]
        return b"".join([chunk, *texts])

    def _lines(self, chunk: bytes) -> tuple[_Lines, int]:
        most = chunk.count(b"\n")
        found = _Lines(
            begins=np.empty(most, dtype=np.int64),
            ends=np.empty(most, dtype=np.int64),
            lines=np.empty(most, dtype=np.int8),
            event_time=np.empty(most, dtype=np.int64),
            keys=np.empty((most, 2), dtype=np.int64),
            values=np.empty((most, len(self._low))),
        )
        time = self._schema.time
        rows, taken = read_lines(
            np.frombuffer(chunk, dtype=np.uint8),
            ord(self._schema.csv.delimiter),
            self._roles,
            self._low,
            self._high,
            self._may_miss,
            int(TIME_KINDS[time.format]),
            time.naive_zone == "UTC",
            found.begins,
            found.ends,
            found.lines,
            found.event_time,
            found.keys,
            found.values,
        )
        return _Lines(*(getattr(found, name)[:rows] for name in _Lines.__slots__)), taken


def plain_reader(schema: Schema, names: Sequence[str]) -> ChunkReader | None:
    """Return the reader of lines under a header; None where no line can be plain.

    Raises DataError as `cell_reader` does.
    """
    cell_reader(schema, names)
    unknown = set(names) - set(schema.paths)
    possible = (
        schema.time.format in TIME_KINDS
        and schema.time.naive_zone in (None, "UTC")
        and schema.csv.delimiter.isascii()
        and schema.csv.delimiter not in '"\r\n\0'
        and all(path in names for path in _wanted(schema))
        and not (unknown and schema.unknown_fields is UnknownFields.REJECT)
    )
    return ChunkReader(schema, names) if possible else None


def _wanted(schema: Schema) -> list[str]:
    return [schema.time.field, *(column.path for column in schema.columns)]


def _role(schema: Schema, name: str) -> int:
    if name == schema.time.field:
        return Role.TIME
    if schema.key is not None and name == schema.key.field:
        return Role.KEY
    paths = [column.path for column in schema.columns]
    return paths.index(name) if name in paths else Role.IGNORED
