"""Rows out of CSV and Parquet files, one at a time, as fields or as the fault of their line."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from common.errors import DataError
from common.parquet import read_parquet
from common.rows.cells import CellReader, cell_reader
from common.rows.rejection import Fault, Reason, fault
from common.rows.schema import Schema
from common.rows.strict_parsing import Fields


def read_rows(path: Path, schema: Schema) -> Iterator[Fields | Fault]:
    """Yield every row of a file, in order, the way `common.rows.parsing.collect` takes them.

    `.parquet` and `.pq` are read as Parquet, everything else as CSV in UTF-8 with a header and the
    schema's delimiter. Blank lines are no rows. A line that cannot be read is a Fault.

    Raises DataError, at the first row, where the file is missing, unreadable, empty, no UTF-8, or
    lacks a column, and where Parquet is asked for without pyarrow.
    """
    parquet = path.suffix.lower() in (".parquet", ".pq")
    return read_parquet(path, schema) if parquet else _read_csv(path, schema)


def open_text(path: Path) -> TextIO:
    """Open a CSV file in UTF-8, with or without a byte order mark; its line ends stay.

    A byte that is no UTF-8 becomes a lone surrogate: a fault of its cell only. Where even the first
    line holds one, or a zero byte, the file is something else: DataError. Raises OSError.
    """
    with path.open("rb") as raw:
        start = next((line for line in raw if line.strip()), b"")
    try:
        text = start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte {start[error.start]:#04x} at {error.start} of its first line"
        raise DataError(
            f"{path} is not UTF-8 ({found}); save it as UTF-8 (`iconv -t UTF-8 -f ...`)"
        ) from error
    if "\0" in text:
        raise DataError(f"{path} is not UTF-8 text (zero bytes in its first line)")
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _read_csv(path: Path, schema: Schema) -> Iterator[Fields | Fault]:
    delimiter = schema.csv.delimiter
    try:
        with open_text(path) as file:
            lines = csv.reader(file, delimiter=delimiter, skipinitialspace=delimiter != " ")
            read = _header(path, lines, schema)
            while True:
                try:
                    for cells in lines:
                        if cells:
                            yield read(cells)
                except csv.Error as error:
                    yield fault(Reason.TOO_LARGE, "", f"line {lines.line_num}: {error}")
                else:
                    return
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _header(path: Path, lines: Iterator[list[str]], schema: Schema) -> CellReader:
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
