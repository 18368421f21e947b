"""Records that were read from Kafka, and messages that will be written to Kafka."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

MAX_TIMESTAMP_MS = 2**53
"""Largest accepted timestamp, in milliseconds. No real time is that late, and in microseconds the
value still fits into 64 bits."""

Headers = list[tuple[str, bytes | None]]


_UNREADABLE_HEADERS: Headers = [("", b"sensorwatch: a header's name is not UTF-8")]
"""The headers of a record whose own headers the client cannot read."""


class Record(Protocol):
    """A consumed record: confluent_kafka's Message, or a substitute for it in tests."""

    def topic(self) -> str | None:
        """Return the topic's name."""

    def partition(self) -> int | None:
        """Return the partition's number."""

    def offset(self) -> int | None:
        """Return the record's offset."""

    def key(self) -> bytes | None:
        """Return the key's bytes."""

    def value(self) -> bytes | None:
        """Return the value's bytes."""

    def headers(self) -> Any:
        """Return the headers in order, [(name, bytes or None), ...], or None."""

    def set_headers(self, headers: Any, /) -> None:
        """Replace the headers that `headers` returns."""

    def timestamp(self) -> tuple[int, int]:
        """Return (type, milliseconds since 1970 UTC); type 0 means no timestamp."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One partition of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.number}"


class Coordinates(msgspec.Struct, frozen=True):
    """Topic, partition and offset of a record, which never change and therefore form event ids."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


class OutgoingMessage(msgspec.Struct, frozen=True):
    """A message to be produced."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None = None
    """The partition to write to. If None, the partitioner chooses a partition by the key."""
    timestamp_ms: int | None = None
    """The record's timestamp in milliseconds since 1970 UTC. If None, the time of sending."""


def coordinates(record: Record) -> Coordinates:
    """Return the coordinates of a consumed record."""
    topic, partition, offset = record.topic(), record.partition(), record.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    return Coordinates(topic, partition, offset)


def received_at(record: Record) -> int | None:
    """Return a record's Kafka timestamp in microseconds since 1970 UTC, or None if it has none.

    A client may send any 64-bit timestamp, so the result is limited to MAX_TIMESTAMP_MS.
    """
    timestamp_type, milliseconds = record.timestamp()
    if timestamp_type == 0:
        return None
    return min(max(milliseconds, -MAX_TIMESTAMP_MS), MAX_TIMESTAMP_MS) * 1000


def headers_of(record: Record) -> Headers | None:
    """Return the headers in order; None if the client cannot read the headers.

    Kafka allows any bytes as the name of a header, but the client raises if a name is not UTF-8.
    At a second call after such a failure, the client would return a tuple with a null pointer in
    place of the name, and reading that pointer crashes the process. So the headers of such a record
    are replaced by a marker.
    """
    try:
        headers = record.headers()
    except (SystemError, UnicodeDecodeError):
        record.set_headers(_UNREADABLE_HEADERS)
        return None
    return None if headers is _UNREADABLE_HEADERS else list(headers or [])


def header_value(record: Record, name: str) -> bytes | None:
    """Return the value of a record's last header with this name, or None if there is none."""
    return last_header_value(headers_of(record) or [], name)


def last_header_value(headers: Iterable[tuple[str, bytes | None]], name: str) -> bytes | None:
    """Return the value of the last header with this name, or None if there is none."""
    value = None
    for header_name, content in headers:
        if header_name == name:
            value = content
    return value
