"""Reads files of JSON rows: one object per line, or an array of objects."""

from collections.abc import Iterator
from pathlib import Path

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.opening import open_data
from sensorwatch.common.files.utf8_stream import utf8_stream
from sensorwatch.common.rows.batches import BATCH_ROWS, Batch
from sensorwatch.common.rows.records import parse_rows
from sensorwatch.common.rows.request import json_elements
from sensorwatch.common.rows.row_arrays import ARRAY_MARK
from sensorwatch.common.rows.schema import PayloadFormat, Schema

NumberedPayload = tuple[int, bytes]
"""The number of a line or of an element, counted from 1, and the bytes of its JSON."""

_MAX_LINE_BYTES = 1 << 20
"""The rest of a longer line is read as another line, and both are rejected."""


def read_payloads(path: Path, schema: Schema) -> Iterator[NumberedPayload]:
    """Yield the JSON of each record: each line that is not blank, or each element of an array.

    An array is read into memory as a whole. If the schema's records are arrays and the first line
    is one, each line is a record. A SenML pack over several lines is one record. Raises DataError
    if the file cannot be read, or if an array is not JSON.
    """
    with open_data(path) as source:
        stream = utf8_stream(source, schema.csv.encoding)
        if stream.peek(1).lstrip().startswith(b"["):
            content = stream.read()
            is_lines = schema.rows.startswith(ARRAY_MARK) and has_arrays_in_lines(content)
            if is_lines:
                payloads = content.splitlines()
            elif schema.payload is PayloadFormat.SENML:
                payloads = [content]
            else:
                payloads = _elements(path, content)
            yield from ((n, payload) for n, payload in enumerate(payloads, start=1) if payload)
            return
        lines = iter(lambda: stream.readline(_MAX_LINE_BYTES), b"")
        for number, line in enumerate(lines, start=1):
            payload = line.strip()
            if payload:
                yield number, payload


def read_json_batches(path: Path, schema: Schema) -> Iterator[Batch]:
    """Yield the rows of a file as batches.

    A line or element is read as a Kafka record with the same bytes. Each of its rows counts as a
    record of the batch.
    """
    payloads: list[bytes] = []
    for _, payload in read_payloads(path, schema):
        payloads.append(payload)
        if len(payloads) == BATCH_ROWS:
            yield parse_rows(payloads, schema)
            payloads = []
    if payloads:
        yield parse_rows(payloads, schema)


def has_arrays_in_lines(content: bytes) -> bool:
    """Return whether the first line of a JSON text is a whole array, as in lines of arrays."""
    first_line, _, _ = content.lstrip().partition(b"\n")
    try:
        json_elements(first_line)
    except (ValueError, RecursionError):
        return False
    return True


def _elements(path: Path, text: bytes) -> list[bytes]:
    try:
        return json_elements(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not a JSON array of rows: {error}") from error
