"""The sink that writes records as JSON lines to a byte stream."""

from collections.abc import Callable, Sequence
from typing import IO

from sensorwatch.producer.simulated_records import SimulatedRecord
from sensorwatch.producer.sink import DeliveryCounts


def raw_line(value: bytes) -> bytes:
    """Return the value of a record, unchanged, with a newline."""
    return value + b"\n"


class JsonLinesSink:
    """Writes the value of each record as one line. Keys and labels are not written."""

    def __init__(
        self, stream: IO[bytes], *, format_line: Callable[[bytes], bytes] = raw_line
    ) -> None:
        self._stream = stream
        self._format_line = format_line
        self._written = 0

    def send(self, records: Sequence[SimulatedRecord]) -> None:
        """Write the values. Raises BrokenPipeError if the reader has closed the pipe."""
        self._stream.write(b"".join([self._format_line(record.value) for record in records]))
        self._written += len(records)

    def close(self) -> DeliveryCounts:
        """Flush the stream, and return the number of written records."""
        self._stream.flush()
        return DeliveryCounts(self._written, 0)
