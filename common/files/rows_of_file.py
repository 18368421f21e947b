"""Reads the rows of a data file; the first bytes of the file show its form."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sensorwatch.common.files.arrow_file import read_arrow
from sensorwatch.common.files.csv_file import read_csv, read_csv_batches
from sensorwatch.common.files.csv_layout import NumberedRow
from sensorwatch.common.files.json_file import read_json_batches, read_payloads
from sensorwatch.common.files.opening import ARROW_FORMS, file_form, open_data
from sensorwatch.common.files.time_rules import FileTimeRules
from sensorwatch.common.files.utf8_stream import utf8_stream
from sensorwatch.common.rows.batches import Batch, collect_batches
from sensorwatch.common.rows.ignoring import is_ignored
from sensorwatch.common.rows.records import rows_of_record
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields, decode_any

_SAMPLE_BYTES = 1 << 16


def read_rows(path: Path, schema: Schema) -> Iterator[Fields | Fault]:
    """Yield the fields or the fault of every row of a file, in order; see `collect_rows`.

    Parquet, Arrow, JSON lines and JSON arrays are recognised by their first bytes. All other files
    are CSV in the form that the schema declares. Text files may be compressed. Blank lines are
    skipped. A line that cannot be read yields a Fault.

    Raises DataError at the first row if the file is missing, unreadable or empty, if it lacks a
    column, or if a package that reads its form is not installed.
    """
    for _, row in read_numbered_rows(path, schema):
        yield row


def read_numbered_rows(path: Path, schema: Schema) -> Iterator[NumberedRow]:
    """Yield the rows of `read_rows` with the number of their line or element, counted from 1."""
    if file_form(path) in ARROW_FORMS:
        yield from _numbered_rows(enumerate(read_arrow(path, schema), start=1), schema)
    elif _is_json(path, schema):
        payloads = read_payloads(path, schema)
        contents = ((number, decode_any(payload)) for number, payload in payloads)
        yield from _numbered_rows(contents, schema)
    else:
        yield from read_csv(path, schema)


def _numbered_rows(contents: Iterable[tuple[int, object]], schema: Schema) -> Iterator[NumberedRow]:
    """Yield the rows of decoded records that the schema does not ignore."""
    for number, content in contents:
        if not (isinstance(content, Mapping) and is_ignored(content, schema)):
            for row in rows_of_record(content, schema):
                yield number, row


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
    with open_data(path) as source:
        sample = utf8_stream(source, schema.csv.encoding).read(_SAMPLE_BYTES)
    is_framed = sample[:1] == b"\0" and sample[5:6] == b"{"
    return is_framed or sample.lstrip().startswith((b"{", b"[", b'"{'))
