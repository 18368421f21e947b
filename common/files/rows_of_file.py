"""Reads the rows of a data file; the first bytes of the file show its form."""

from collections.abc import Iterator
from pathlib import Path

from sensorwatch.common.files.arrow_file import read_arrow
from sensorwatch.common.files.csv_file import read_csv, read_csv_batches
from sensorwatch.common.files.csv_layout import NumberedRow
from sensorwatch.common.files.json_file import read_json_batches, read_payloads
from sensorwatch.common.files.opening import ARROW_FORMS, FileForm, file_form, open_data
from sensorwatch.common.files.time_rules import FileTimeRules
from sensorwatch.common.files.utf8_stream import utf8_stream
from sensorwatch.common.rows.batches import Batch, collect_batches
from sensorwatch.common.rows.ignoring import is_ignored
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields, decode

_SAMPLE_BYTES = 1 << 16


def read_rows(path: Path, schema: Schema) -> Iterator[Fields | Fault]:
    """Yield the fields or the fault of every row of a file, in order; see `collect_rows`.

    Parquet, Arrow, Excel workbooks, JSON lines and JSON arrays are recognised by their first bytes.
    All other files are CSV in the form that the schema declares. Text files may be compressed.
    Blank lines are skipped. A line that cannot be read yields a Fault.

    Raises DataError at the first row if the file is missing, unreadable or empty, if it lacks a
    column, or if a package that reads its form is not installed.
    """
    for _, row in read_numbered_rows(path, schema):
        yield row


def read_numbered_rows(path: Path, schema: Schema) -> Iterator[NumberedRow]:
    """Yield the rows of `read_rows` with the number of their line or element, counted from 1."""
    if file_form(path) in ARROW_FORMS:
        rows = enumerate(read_arrow(path, schema), start=1)
        yield from ((number, row) for number, row in rows if not is_ignored(row, schema))
    elif _is_json(path, schema):
        for number, payload in read_payloads(path, schema):
            row = decode(payload)
            if not is_ignored(row, schema):
                yield number, row
    else:
        yield from read_csv(path, schema)


def read_batches(path: Path, schema: Schema, *, as_of: int | None = None) -> Iterator[Batch]:
    """Yield the rows of a file, in order, as batches of readings and rejections.

    The rows equal those of `collect_rows(read_rows(path, schema), schema)`, but kernels read plain
    rows, which is faster; and the rules of `FileTimeRules` are applied. `as_of`: in microseconds
    UTC; a row dated more than `max_future_seconds` later is rejected. Raises the same errors as
    `read_rows`.
    """
    return map(FileTimeRules(schema, as_of).apply, _read_form(path, schema))


def _read_form(path: Path, schema: Schema) -> Iterator[Batch]:
    if file_form(path) in ARROW_FORMS:
        return collect_batches(read_rows(path, schema), schema)
    read_text_batches = read_json_batches if _is_json(path, schema) else read_csv_batches
    return read_text_batches(path, schema)


def _is_json(path: Path, schema: Schema) -> bool:
    """Return whether a file begins as a payload does: with an object, or an array of objects."""
    if file_form(path) is FileForm.EXCEL:
        return False
    with open_data(path) as source:
        sample = utf8_stream(source, schema.csv.encoding).read(_SAMPLE_BYTES)
    is_framed = sample[:1] == b"\0" and sample[5:6] == b"{"
    return is_framed or sample.lstrip().startswith((b"{", b"[", b'"{'))
