"""Reads CSV files: a kernel reads plain lines; the csv module and the strict parser read others.

The rows of an Excel worksheet are read in the same way, as lines of CSV; see `workbook.py`.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.csv_layout import (
    MAX_ROW_CHARACTERS,
    DataLines,
    NumberedRow,
    lines_of_text,
    read_header,
    rows_of_lines,
    text_lines,
    with_index_column,
)
from sensorwatch.common.files.opening import FileForm, file_form, open_data
from sensorwatch.common.files.utf8_stream import decoded_text, prefixed_stream, utf8_stream
from sensorwatch.common.files.workbook import open_worksheet
from sensorwatch.common.rows.batches import Batch, collect_batches
from sensorwatch.common.rows.cells import cell_lines
from sensorwatch.common.rows.csv_chunk import ChunkReader, chunk_reader
from sensorwatch.common.rows.fast.csv_rows import MAX_LINE_BYTES
from sensorwatch.common.rows.paths import column_name
from sensorwatch.common.rows.schema import Schema

_CHUNK_BYTES = 1 << 20
_HEADER_BYTES = 1 << 20
_LONE_CARRIAGE_RETURN = re.compile(rb"\r(?=[^\n])")


def read_csv(path: Path, schema: Schema) -> Iterator[NumberedRow]:
    """Yield the line number, and the fields or the fault, of every row of a CSV file, in order."""
    with _open_stream(path, schema) as stream:
        yield from _read_strictly(stream, schema)


def read_csv_batches(path: Path, schema: Schema) -> Iterator[Batch]:
    """Yield the rows of a CSV file as batches; the rows equal those of `read_csv`."""
    with _open_stream(path, schema) as stream:
        yield from _read_batches(stream, schema)


@contextmanager
def _open_stream(path: Path, schema: Schema) -> Iterator[io.BufferedReader]:
    """Open a file as UTF-8; a DataError that is raised while it is read names the file."""
    try:
        if file_form(path) is FileForm.EXCEL:
            with open_worksheet(
                path, schema.csv, timestamps=_timestamp_columns(schema)
            ) as worksheet:
                yield worksheet.stream
        else:
            with open_data(path) as source:
                yield utf8_stream(source, schema.csv.encoding)
    except DataError as error:
        text = str(error)
        raise DataError(text if text.startswith(str(path)) else f"{path}{text}") from error


def _timestamp_columns(schema: Schema) -> list[str]:
    """Return the names of the columns whose cells contain both a date and a time of day."""
    time = schema.time
    is_timestamp = len(time.fields) == 1 and time.formats[0] == "rfc3339"
    return [column_name(time.fields[0])] if is_timestamp else []


def _read_batches(stream: io.BufferedReader, schema: Schema) -> Iterator[Batch]:
    first_block = stream.read(_HEADER_BYTES)
    stream = prefixed_stream(first_block, stream)
    if _LONE_CARRIAGE_RETURN.search(first_block):
        yield from _collect_numbered_rows(_read_strictly(stream, schema), schema)
        return
    lines = DataLines(text_lines(stream), schema)
    names = read_header(cell_lines(lines, schema.csv.delimiter), schema)
    first_text = lines.peek()
    names = with_index_column(names, first_text, schema)
    if len(first_text) > MAX_ROW_CHARACTERS:
        yield from _collect_numbered_rows(_rows_below(lines, names, schema), schema)
        return
    first_line = first_text.encode(errors="surrogateescape")
    reader = _chunk_reader(schema, names)
    line_count = lines.number
    unread_bytes = first_line
    if reader is not None:
        stream = prefixed_stream(first_line, stream)
        for batch, chunk_lines, left_bytes in _read_chunks(stream, reader):
            yield batch
            line_count += chunk_lines
            unread_bytes = left_bytes
        if not unread_bytes:
            return
    text = decoded_text(prefixed_stream(unread_bytes, stream))
    remaining_lines = DataLines(lines_of_text(text), schema, lines_before=line_count)
    yield from _collect_numbered_rows(_rows_below(remaining_lines, names, schema), schema)


def _read_chunks(
    stream: io.BufferedIOBase, reader: ChunkReader
) -> Iterator[tuple[Batch, int, bytes]]:
    """Yield batches, their numbers of lines, and bytes that the kernel leaves to the csv module.

    Only the last item has such bytes. They include an unfinished line at the end of the file.
    """
    unfinished_line = b""
    while True:
        new_bytes = stream.read(_CHUNK_BYTES)
        chunk = unfinished_line + new_bytes
        complete_end = chunk.rfind(b"\n") + 1
        batch, bytes_taken = reader.read(chunk[:complete_end])
        unfinished_line = chunk[complete_end:]
        is_last = (
            not new_bytes or bytes_taken < complete_end or len(unfinished_line) > MAX_LINE_BYTES
        )
        yield (
            batch,
            chunk.count(b"\n", 0, bytes_taken),
            chunk[bytes_taken:] if is_last else b"",
        )
        if is_last:
            return


def _chunk_reader(schema: Schema, names: Sequence[str]) -> ChunkReader | None:
    try:
        return chunk_reader(schema, names)
    except DataError as error:
        raise DataError(f": {error}") from error


def _read_strictly(stream: io.BufferedReader, schema: Schema) -> Iterator[NumberedRow]:
    """Yield the rows of a stream, which may have carriage returns as line ends."""
    lines = DataLines(lines_of_text(decoded_text(stream)), schema)
    names = read_header(cell_lines(lines, schema.csv.delimiter), schema)
    names = with_index_column(names, lines.peek(), schema)
    yield from _rows_below(lines, names, schema)


def _rows_below(lines: DataLines, names: Sequence[str], schema: Schema) -> Iterator[NumberedRow]:
    try:
        yield from rows_of_lines(lines, names, schema)
    except DataError as error:
        raise DataError(f": {error}") from error


def _collect_numbered_rows(rows: Iterator[NumberedRow], schema: Schema) -> Iterator[Batch]:
    return collect_batches((row for _, row in rows), schema)
