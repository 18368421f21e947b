"""Parsing of a chunk of CSV lines by a kernel, and of unusual lines by the strict parser."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.batches import Batch
from sensorwatch.common.rows.cells import cell_lines, cell_reader
from sensorwatch.common.rows.csv_format import SPACES
from sensorwatch.common.rows.fast.column_rules import column_rules, mark_missing_numbers
from sensorwatch.common.rows.fast.csv_rows import (
    ColumnRole,
    CsvSchema,
    LineColumns,
    LineStatus,
    read_lines,
)
from sensorwatch.common.rows.fast.sensor_ids import number_sensors
from sensorwatch.common.rows.fast.time_form import TimeForm, time_form
from sensorwatch.common.rows.paths import column_name
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.record_declarations import UnknownFields
from sensorwatch.common.rows.rejection import Fault, Rejection
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields, collect_rows

_POINTS_FOR_COMMAS = bytes.maketrans(b",.", b".\1")
"""For the kernel: a decimal comma becomes a point, and a point becomes a byte that no number has.

Ids and the texts for the strict parser are taken from the original bytes."""


class ChunkReader:
    """Reads chunks of lines that share one header; see `chunk_reader`."""

    def __init__(self, schema: Schema, names: Sequence[str], form: TimeForm) -> None:
        self._schema = schema
        self._read_cells = cell_reader(schema, names)
        self._kernel_schema = CsvSchema(
            delimiter=ord(schema.csv.delimiter),
            roles=_column_roles(schema, names),
            column_rules=column_rules(schema),
            time_form=form,
        )
        self._has_decimal_comma = schema.csv.decimal == ","
        self._has_key_column = _key_name(schema) in names

    def read(self, chunk: bytes) -> tuple[Batch, int]:
        """Return the rows of complete lines, and the number of bytes that were read.

        Reading stops before a line that may continue on the next line; see `read_lines`.
        """
        plain_chunk = chunk.translate(_POINTS_FOR_COMMAS) if self._has_decimal_comma else chunk
        columns, bytes_taken = self._run_kernel(plain_chunk)
        strict_lines = np.flatnonzero(columns.line_status == LineStatus.NEEDS_STRICT_PARSER)
        rows = self._read_strictly(chunk, columns, strict_lines)
        is_row = np.asarray([row is not None for row in rows], dtype=np.bool_)
        if not np.all(is_row):
            is_line_row = np.ones(len(columns.line_status), dtype=np.bool_)
            is_line_row[strict_lines[~is_row]] = False
            columns = LineColumns._make(column[is_line_row] for column in columns)
            strict_lines = np.flatnonzero(columns.line_status == LineStatus.NEEDS_STRICT_PARSER)
        strict_readings, rejections = collect_rows(
            [row for row in rows if row is not None], self._schema
        )
        strict_rejections = [
            Rejection(int(strict_lines[rejection.index]), rejection.faults)
            for rejection in rejections
        ]
        accepted_lines = strict_lines[strict_readings.index]
        columns.line_status[accepted_lines] = LineStatus.READ
        columns.event_time[accepted_lines] = strict_readings.event_time
        columns.values[accepted_lines] = np.concatenate(
            [strict_readings.values, strict_readings.context], axis=1
        )
        id_text = self._locate_sensor_ids(chunk, columns, accepted_lines, strict_readings)
        index = np.flatnonzero(columns.line_status == LineStatus.READ)
        id_starts, id_ends = np.ascontiguousarray(columns.key_ranges[index].T)
        sensor, sensor_ids = number_sensors(id_text, id_starts, id_ends - id_starts)
        signals = len(self._schema.signals)
        readings = Readings(
            index,
            columns.event_time[index],
            sensor,
            sensor_ids,
            columns.values[index, :signals],
            columns.values[index, signals:],
        )
        return (readings, strict_rejections), bytes_taken

    def _read_strictly(
        self, chunk: bytes, columns: LineColumns, strict_lines: NDArray[np.int64]
    ) -> list[Fields | Fault | None]:
        """Return the fields or the fault of each of `strict_lines`, by the rules of `cells.py`."""
        line_ranges = zip(
            columns.line_starts[strict_lines].tolist(),
            columns.line_ends[strict_lines].tolist(),
            strict=True,
        )
        texts = (
            chunk[line_start:line_end].decode(errors="surrogateescape")
            for line_start, line_end in line_ranges
        )
        return [self._read_cells(cells) for cells in cell_lines(texts, self._schema.csv.delimiter)]

    def _locate_sensor_ids(
        self,
        chunk: bytes,
        columns: LineColumns,
        accepted_lines: NDArray[np.int64],
        strict_readings: Readings,
    ) -> bytes:
        """Return bytes that contain all sensor ids; write the ids' ranges to `columns.key_ranges`.

        `accepted_lines`: the lines that the strict parser accepted as `strict_readings`. The ids of
        these lines are appended to the chunk.
        """
        if not self._has_key_column:
            columns.key_ranges[:] = 0, -1  # a negative length means the default sensor
            return chunk
        texts = [name.encode() for name in strict_readings.sensor_ids]
        id_ends = len(chunk) + np.cumsum([0, *map(len, texts)])
        columns.key_ranges[accepted_lines, 0] = id_ends[strict_readings.sensor]
        columns.key_ranges[accepted_lines, 1] = id_ends[1:][strict_readings.sensor]
        return b"".join([chunk, *texts])

    def _run_kernel(self, chunk: bytes) -> tuple[LineColumns, int]:
        max_lines = chunk.count(b"\n")
        columns = LineColumns(
            line_starts=np.empty(max_lines, dtype=np.int64),
            line_ends=np.empty(max_lines, dtype=np.int64),
            line_status=np.empty(max_lines, dtype=np.int8),
            event_time=np.empty(max_lines, dtype=np.int64),
            key_ranges=np.empty((max_lines, 2), dtype=np.int64),
            values=np.empty((max_lines, len(self._schema.columns))),
        )
        line_count, bytes_taken = read_lines(
            np.frombuffer(chunk, dtype=np.uint8), self._kernel_schema, columns
        )
        read_columns = LineColumns._make(column[:line_count] for column in columns)
        is_invalid = mark_missing_numbers(self._schema, read_columns.values)
        read_columns.line_status[is_invalid] = LineStatus.NEEDS_STRICT_PARSER
        return read_columns, bytes_taken


def chunk_reader(schema: Schema, names: Sequence[str]) -> ChunkReader | None:
    """Return a reader of the lines below a header with the columns `names`, or None.

    Returns None if the kernel cannot read rows of this schema. Raises the errors of `cell_reader`.
    """
    cell_reader(schema, names)
    unknown_names = set(names) - set(schema.column_names)
    form = time_form(schema.time)
    csv_format, key_fields = schema.csv, schema.key.fields if schema.key else ()
    is_supported = (
        not schema.ignore
        and not schema.quality_paths
        and len(schema.time.fields) == 1
        and len(key_fields) <= 1
        and csv_format.delimiter != SPACES
        and csv_format.delimiter.isascii()
        and all(name in names for name in _required_names(schema))
        and not (unknown_names and schema.unknown_fields is UnknownFields.REJECT)
    )
    return ChunkReader(schema, names, form) if is_supported and form is not None else None


def _required_names(schema: Schema) -> list[str]:
    return [column_name(path) for path in (*schema.time.fields, *_column_paths(schema))]


def _key_name(schema: Schema) -> str | None:
    return None if schema.key is None else column_name(schema.key.fields[0])


def _column_roles(schema: Schema, names: Sequence[str]) -> NDArray[np.int64]:
    """Return the role, shape (columns of the file,), of each column; see ColumnRole."""
    role_of_name = {column_name(path): role for role, path in enumerate(_column_paths(schema))}
    key_name = _key_name(schema)
    if key_name is not None:
        role_of_name[key_name] = ColumnRole.KEY
    role_of_name[column_name(schema.time.fields[0])] = ColumnRole.TIME
    roles = [role_of_name.get(name, ColumnRole.IGNORED) for name in names]
    return np.asarray(roles, dtype=np.int64)


def _column_paths(schema: Schema) -> list[str]:
    return [column.path for column in schema.columns]
