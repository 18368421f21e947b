"""Records as JSON lines on a stream of bytes."""

from collections.abc import Callable, Sequence
from typing import IO

from sensorwatch.producer.simulated_records import Record
from sensorwatch.producer.sink import DeliveryCounts


def raw_line(value: bytes) -> bytes:
    """Return a record's value, unchanged, as a line."""
    return value + b"\n"


class JsonLinesSink:
    """Writes each record's value as one line; keys and labels are not written."""

    def __init__(self, stream: IO[bytes], *, line: Callable[[bytes], bytes] = raw_line) -> None:
        self._stream = stream
        self._line = line
        self._written = 0

    def send(self, records: Sequence[Record]) -> None:
        """Write the values; raises BrokenPipeError when the reader is gone."""
        self._stream.write(b"".join([self._line(record.value) for record in records]))
        self._written += len(records)

    def close(self) -> DeliveryCounts:
        """Flush and return the account."""
        self._stream.flush()
        return DeliveryCounts(self._written, 0)
