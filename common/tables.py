"""Readers of CSV and Parquet files, which yield single rows or batches of readings."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from sensorwatch.common.errors import DataError
from sensorwatch.common.parquet import read_parquet
from sensorwatch.common.rows.batches import Batch, collect_batches
from sensorwatch.common.rows.cells import CellReader, cell_reader, csv_reader, read_csv_rows
from sensorwatch.common.rows.csv_chunk import ChunkReader, chunk_reader
from sensorwatch.common.rows.fast.csv_rows import MAX_LINE_BYTES
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields

_CHUNK_BYTES = 1 << 20


def read_rows(path: Path, schema: Schema) -> Iterator[Fields | Fault]:
    """Yield the fields or the fault of every row of a file, in order; see `collect_rows`.

    `.parquet` and `.pq` are read as Parquet, all other files as CSV in UTF-8 with a header and the
    schema's delimiter. Blank lines are skipped. A line that cannot be read yields a Fault.

    Raises DataError at the first row if the file is missing, unreadable, empty or not UTF-8, if it
    lacks a column, or if it is Parquet and pyarrow is not installed.
    """
    return read_parquet(path, schema) if _is_parquet(path) else _read_csv(path, schema)


def read_batches(path: Path, schema: Schema) -> Iterator[Batch]:
    """Yield the rows of a file, in order, as batches of readings and rejections.

    The rows equal those of `collect_rows(read_rows(path, schema), schema)`, but a kernel reads
    plain CSV lines, which is faster. Raises the same errors as `read_rows`.
    """
    rows_start = None if _is_parquet(path) else _find_rows_start(path, schema)
    if rows_start is None:
        return collect_batches(read_rows(path, schema), schema)
    return _read_chunks(path, schema, rows_start)


def open_text(path: Path) -> TextIO:
    """Open a CSV file in UTF-8; a byte order mark is skipped, and line ends are kept.

    An invalid byte becomes a lone surrogate, which affects only the cell that contains it. Raises
    DataError if the first line contains an invalid byte or a zero byte, because the file is then
    not a text in UTF-8. Raises OSError if the file cannot be opened.
    """
    with path.open("rb") as binary_file:
        first_line = next((line for line in binary_file if line.strip()), b"")
    try:
        text = first_line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bad_byte = f"byte {first_line[error.start]:#04x} at {error.start} of its first line"
        raise DataError(
            f"{path} is not UTF-8 ({bad_byte}); save it as UTF-8 (`iconv -t UTF-8 -f ...`)"
        ) from error
    if "\0" in text:
        raise DataError(f"{path} is not UTF-8 text (zero bytes in its first line)")
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _read_csv(path: Path, schema: Schema) -> Iterator[Fields | Fault]:
    try:
        with open_text(path) as file:
            lines = csv_reader(file, schema)
            yield from read_csv_rows(lines, _read_header(path, lines, schema))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _read_header(path: Path, lines: Iterator[list[str]], schema: Schema) -> CellReader:
    try:
        header = next((cells for cells in lines if cells), None)
    except csv.Error as error:
        raise DataError(f"{path} is not a CSV file: {error}") from error
    if header is None:
        raise DataError(f"{path} is empty; wanted a header line and rows")
    try:
        return cell_reader(schema, header)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class _RowsStart:
    """The position of the first row in a CSV file, and a reader for the rows."""

    reader: ChunkReader
    position: int
    """Number of bytes before the first row."""
    lines: int
    """Number of lines before the first row."""


def _find_rows_start(path: Path, schema: Schema) -> _RowsStart | None:
    """Return the position of the first row; None if the kernel cannot read the header."""
    try:
        with path.open("rb") as file:
            for line_number, line in enumerate(iter(file.readline, b""), start=1):
                header = line.removeprefix(b"\xef\xbb\xbf") if line_number == 1 else line
                header = header.removesuffix(b"\n").removesuffix(b"\r")
                if not header:
                    continue
                if len(header) > MAX_LINE_BYTES or any(byte in header for byte in b'"\r\0'):
                    return None
                names = next(csv_reader([header.decode()], schema))
                reader = chunk_reader(schema, [name.strip() for name in names])
                return _RowsStart(reader, file.tell(), line_number) if reader else None
    except (OSError, ValueError, DataError):
        return None  # the strict reader then raises a DataError that describes the problem
    return None


def _read_chunks(path: Path, schema: Schema, rows_start: _RowsStart) -> Iterator[Batch]:
    position, line_count, unfinished_line = rows_start.position, rows_start.lines, b""
    try:
        with path.open("rb") as file:
            file.seek(position)
            while True:
                new_bytes = file.read(_CHUNK_BYTES)
                chunk = (
                    unfinished_line + new_bytes
                    if new_bytes or not unfinished_line
                    else unfinished_line + b"\n"
                )
                complete_end = chunk.rfind(b"\n") + 1
                batch, bytes_taken = rows_start.reader.read(chunk[:complete_end])
                unfinished_line = chunk[complete_end:]
                yield batch
                position += bytes_taken
                line_count += chunk.count(b"\n", 0, bytes_taken)
                if bytes_taken < complete_end or len(unfinished_line) > MAX_LINE_BYTES:
                    break
                if not new_bytes:
                    return
        yield from collect_batches(
            _read_csv_from(path, schema, rows_start.reader.strict, position, line_count), schema
        )
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _read_csv_from(
    path: Path, schema: Schema, read_cells: CellReader, position: int, lines_before: int
) -> Iterator[Fields | Fault]:
    """Yield the rows after the first `position` bytes, which contain `lines_before` lines."""
    with path.open("rb") as file:
        file.seek(position)
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        yield from read_csv_rows(csv_reader(text, schema), read_cells, lines_before=lines_before)
