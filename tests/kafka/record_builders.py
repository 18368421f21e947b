"""Fake records with the same methods as a message of confluent_kafka."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tests.reading_builders import NORMAL_VALUES

SENT_AT_MS = 1_735_689_600_000
"""The default timestamp of a record: 2025-01-01T00:00:00Z in milliseconds."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A fake of a message that confluent_kafka consumed."""

    stored_value: bytes | None
    stored_offset: int = 0
    stored_partition: int = 0
    stored_topic: str = "sensors"
    stored_key: bytes | None = b"pump-7"
    stored_headers: Sequence[tuple[str, bytes | None]] | None = None
    stored_timestamp: tuple[int, int] = (1, SENT_AT_MS)

    def topic(self) -> str | None:
        return self.stored_topic

    def partition(self) -> int | None:
        return self.stored_partition

    def offset(self) -> int | None:
        return self.stored_offset

    def key(self) -> bytes | None:
        return self.stored_key

    def value(self) -> bytes | None:
        return self.stored_value

    def headers(self) -> Sequence[tuple[str, bytes | None]] | None:
        return self.stored_headers

    def set_headers(self, headers: Sequence[tuple[str, bytes | None]] | None) -> None:
        object.__setattr__(self, "stored_headers", headers)

    def timestamp(self) -> tuple[int, int]:
        return self.stored_timestamp

    def error(self) -> None:
        return None


class UnreadableHeaders(StoredRecord):
    """A fake record whose header names are not UTF-8; confluent_kafka 2.x raises SystemError."""

    def headers(self) -> Sequence[tuple[str, bytes | None]] | None:
        if self.stored_headers is not None:
            return self.stored_headers
        raise SystemError("returned a result with an exception set") from _decode_error()


def _decode_error() -> UnicodeDecodeError:
    return UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


def a_payload(values: Sequence[float] = NORMAL_VALUES, **changes: object) -> bytes:
    """Return a row that fits `a_schema`, as JSON."""
    row = {"timestamp": "2025-01-01T00:00:00Z", "sensor_id": "pump-7"}
    signals = dict(zip(("x1", "x2", "x3"), values, strict=True))
    return json.dumps({**row, **signals, **changes}).encode()
