"""Reads the rows of a data file; the first bytes of the file show its form."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.arrow_file import read_arrow
from sensorwatch.common.files.csv_file import read_csv, read_csv_batches
from sensorwatch.common.files.csv_layout import NumberedRow
from sensorwatch.common.files.json_file import read_json_batches, read_payloads
from sensorwatch.common.files.opening import ARROW_FORMS, FileForm, file_form, open_data
from sensorwatch.common.files.time_rules import FileTimeRules
from sensorwatch.common.files.utf8_stream import utf8_stream
from sensorwatch.common.rows.batches import BATCH_ROWS, Batch, collect_batches
from sensorwatch.common.rows.ignoring import is_ignored
from sensorwatch.common.rows.long_form import join_values
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields, collect_rows, decode_any
from sensorwatch.common.rows.unpacking import rows_of_record

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
        table = _table_form(path, schema, read_arrow)
        yield from _numbered_rows(enumerate(read_arrow(path, table), start=1), schema)
    elif _is_json(path, schema):
        payloads = read_payloads(path, schema)
        contents = ((number, decode_any(payload)) for number, payload in payloads)
        yield from _numbered_rows(contents, schema)
    else:
        yield from read_csv(path, _table_form(path, schema, read_csv))


def read_numbered_batches(path: Path, schema: Schema) -> Iterator[tuple[list[int], Batch]]:
    """Yield the rows of a file as batches, and for each index the number of its line or element.

    A row in long form has the number of its first value. Raises the same errors as `read_rows`.
    """
    rows = read_numbered_rows(path, schema)
    if schema.long_form:
        yield join_values(rows, schema)
        return
    for first_row in rows:
        numbers: list[int] = []
        chunk = chain([first_row], islice(rows, BATCH_ROWS - 1))
        batch = collect_rows(_count_rows(chunk, numbers), schema)
        yield numbers, batch


def _count_rows(rows: Iterable[NumberedRow], numbers: list[int]) -> Iterator[Fields | Fault]:
    """Yield the rows, and append their numbers to `numbers`."""
    for number, row in rows:
        numbers.append(number)
        yield row


def _table_form(
    path: Path, schema: Schema, read: Callable[[Path, Schema], Iterable[object]]
) -> Schema:
    """Return the schema of a table's columns: in long form, or one column per quantity.

    If a table has the columns of neither form, the error for long form is raised.
    """
    table_form = schema.table_form
    if table_form is schema:
        return schema
    try:
        next(iter(read(path, table_form)), None)
    except DataError as error:
        try:
            next(iter(read(path, schema)), None)
        except DataError:
            raise error from None
        return schema
    return table_form


def _numbered_rows(contents: Iterable[tuple[int, object]], schema: Schema) -> Iterator[NumberedRow]:
    """Yield the rows of decoded records that the schema does not ignore."""
    for number, content in contents:
        if not (isinstance(content, Mapping) and is_ignored(content, schema)):
            for row in rows_of_record(content, schema):
                yield number, row


def read_batches(path: Path, schema: Schema, *, as_of: int | None = None) -> Iterator[Batch]:
    """Yield the rows of a file, in order, as batches of readings and rejections.

    The rows equal those of `collect_rows(read_rows(path, schema), schema)`, with two differences:
    kernels read plain rows, which is faster, and the rules of `FileTimeRules` are applied. `as_of`:
    in microseconds UTC; a row dated more than `max_future_seconds` later is rejected. Raises the
    same errors as `read_rows`.
    """
    return map(FileTimeRules(schema, as_of).apply, _read_form(path, schema))


def _read_form(path: Path, schema: Schema) -> Iterator[Batch]:
    if schema.long_form:
        return (batch for _, batch in read_numbered_batches(path, schema))
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
