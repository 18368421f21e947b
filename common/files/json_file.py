"""Reads files of JSON rows: one object per line, or an array of objects."""

from collections.abc import Iterator
from io import BufferedIOBase, BufferedReader, BytesIO
from itertools import islice
from operator import itemgetter
from pathlib import Path

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.json_array import array_elements
from sensorwatch.common.files.opening import open_data
from sensorwatch.common.files.utf8_stream import prefixed_stream, utf8_stream
from sensorwatch.common.rows.batches import BATCH_ROWS, Batch
from sensorwatch.common.rows.limits import MAX_PAYLOAD_BYTES
from sensorwatch.common.rows.record_declarations import PayloadFormat
from sensorwatch.common.rows.records import parse_rows
from sensorwatch.common.rows.row_arrays import ARRAY_MARK
from sensorwatch.common.rows.schema import Schema

NumberedPayload = tuple[int, bytes]
"""The number of a line or of an element, counted from 1, and the bytes of its JSON."""

_MAX_LINE_BYTES = MAX_PAYLOAD_BYTES + 1
"""The rest of a longer line is read as another line, and both are rejected."""
_GROUP_ROWS = 50
"""The size of a batch is checked after this number of rows; BATCH_ROWS is a multiple of it."""
_MAX_BATCH_BYTES = 8 << 20
"""Maximum size of a batch in bytes; a batch of large rows therefore has fewer rows."""


def read_payloads(path: Path, schema: Schema) -> Iterator[NumberedPayload]:
    """Yield the JSON of each record: each line that is not blank, or each element of an array.

    If the schema's `rows` begins with `[*]` and the first of several lines is a whole array, each
    line is a record. A SenML pack over several lines is one record. Raises DataError if the file
    cannot be read, or if it begins like an array but is not an array.
    """
    with open_data(path) as source:
        stream = utf8_stream(source, schema.csv.encoding)
        if stream.peek(1).lstrip().startswith(b"["):
            yield from _read_arrays(path, stream, schema)
            return
        yield from _lines(stream)


def read_json_batches(path: Path, schema: Schema) -> Iterator[Batch]:
    """Yield the rows of a file as batches.

    A line or element is read as a Kafka record with the same bytes. Each of its rows counts as a
    record of the batch.
    """
    remaining_payloads = map(itemgetter(1), read_payloads(path, schema))
    payloads: list[bytes] = []
    batch_bytes = 0
    while group := list(islice(remaining_payloads, _GROUP_ROWS)):
        payloads += group
        batch_bytes += sum(map(len, group))
        if len(payloads) == BATCH_ROWS or batch_bytes > _MAX_BATCH_BYTES:
            yield parse_rows(payloads, schema)
            payloads, batch_bytes = [], 0
    if payloads:
        yield parse_rows(payloads, schema)


def has_arrays_in_lines(first_line: bytes, second_line: bytes) -> bool:
    """Return whether the first of several lines is a whole array."""
    try:
        for _ in array_elements(BytesIO(first_line)):
            pass
    except ValueError:
        return False
    return bool(second_line.strip())


def _read_arrays(path: Path, stream: BufferedReader, schema: Schema) -> Iterator[NumberedPayload]:
    """Yield the JSON of each record of a file that begins with an array."""
    first_line, second_line = stream.readline(_MAX_LINE_BYTES), stream.readline(_MAX_LINE_BYTES)
    is_array_schema = schema.rows.startswith(ARRAY_MARK)
    beginning = prefixed_stream(first_line + second_line, stream)
    if is_array_schema and has_arrays_in_lines(first_line, second_line):
        yield from _lines(beginning)
    elif schema.payload is PayloadFormat.SENML:
        yield 1, beginning.read(MAX_PAYLOAD_BYTES + 1).strip()
    else:
        yield from enumerate(_elements(path, beginning), start=1)


def _lines(stream: BufferedIOBase) -> Iterator[NumberedPayload]:
    """Yield the lines that are not blank, with their numbers."""
    lines = iter(lambda: stream.readline(_MAX_LINE_BYTES), b"")
    for number, line in enumerate(lines, start=1):
        payload = line.strip()
        if payload:
            yield number, payload


def _elements(path: Path, stream: BufferedIOBase) -> Iterator[bytes]:
    try:
        yield from array_elements(stream)
    except ValueError as error:
        raise DataError(f"{path} is not a JSON array of rows: {error}") from error
