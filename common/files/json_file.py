"""Reads files of JSON rows: one object per line, or an array of objects."""

from collections.abc import Iterator
from io import BufferedIOBase
from itertools import islice
from operator import itemgetter
from pathlib import Path

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.json_array import array_elements
from sensorwatch.common.files.opening import open_data
from sensorwatch.common.files.utf8_stream import utf8_stream
from sensorwatch.common.rows.batches import BATCH_ROWS, Batch
from sensorwatch.common.rows.ignoring import kept_positions
from sensorwatch.common.rows.limits import MAX_PAYLOAD_BYTES
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.schema import Schema

NumberedPayload = tuple[int, bytes]
"""The number of a line or of an element, counted from 1, and the bytes of its JSON."""

_MAX_LINE_BYTES = MAX_PAYLOAD_BYTES + 1
"""The rest of a longer line is read as another line, and both are rejected."""
_GROUP_ROWS = 50
"""The bytes are counted after this number of rows; BATCH_ROWS is a multiple of it."""
_MAX_BATCH_BYTES = 8 << 20
"""A batch of larger rows has fewer rows."""


def read_payloads(path: Path, schema: Schema) -> Iterator[NumberedPayload]:
    """Yield the JSON of each row: of each line that is not blank, or of each element of an array.

    Raises DataError if the file cannot be read, or if it begins like an array and is no array.
    """
    with open_data(path) as source:
        stream = utf8_stream(source, schema.csv.encoding)
        if stream.peek(1).lstrip().startswith(b"["):
            yield from enumerate(_elements(path, stream), start=1)
            return
        lines = iter(lambda: stream.readline(_MAX_LINE_BYTES), b"")
        for number, line in enumerate(lines, start=1):
            payload = line.strip()
            if payload:
                yield number, payload


def read_json_batches(path: Path, schema: Schema) -> Iterator[Batch]:
    """Yield the rows of a file as batches. A row equals a Kafka record with the same bytes."""
    remaining_payloads = map(itemgetter(1), read_payloads(path, schema))
    payloads: list[bytes] = []
    batch_bytes = 0
    while group := list(islice(remaining_payloads, _GROUP_ROWS)):
        payloads += group
        batch_bytes += sum(map(len, group))
        if len(payloads) == BATCH_ROWS or batch_bytes > _MAX_BATCH_BYTES:
            yield _parse_kept(payloads, schema)
            payloads, batch_bytes = [], 0
    if payloads:
        yield _parse_kept(payloads, schema)


def _parse_kept(payloads: list[bytes], schema: Schema) -> Batch:
    """Return the rows of the payloads that the schema does not ignore."""
    kept_payloads = [payloads[position] for position in kept_positions(payloads, schema)]
    return parse(kept_payloads, schema)


def _elements(path: Path, stream: BufferedIOBase) -> Iterator[bytes]:
    try:
        yield from array_elements(stream)
    except ValueError as error:
        raise DataError(f"{path} is not a JSON array of rows: {error}") from error
