"""Reads dead letters, with their origin, reason and number of replays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sensorwatch.common.kafka.dead_letters import (
    CODE_HEADER,
    FIRST_FAILED_AT_HEADER,
    GROUP_HEADER,
    ID_HEADER,
    MESSAGE_HEADER,
    OFFSET_HEADER,
    PARTITION_HEADER,
    ROWS_HEADER,
    STAGE_HEADER,
    TIMESTAMP_HEADER,
    TOPIC_HEADER,
    TRUNCATED_HEADER,
    replay_count,
)
from sensorwatch.common.kafka.records import (
    Headers,
    Record,
    coordinates,
    headers_of,
    last_header_value,
    received_at,
)
from sensorwatch.common.kafka.topic_reader import read_topic_batches

UNKNOWN_REASON = "unknown"
"""The reason of a record in the dead-letter topic that has no reason in its headers."""
_DIGITS_OF_AN_OFFSET = 19


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the dead-letter topic."""

    partition: int
    offset: int
    rejected_at: int | None
    """The record's own timestamp in microseconds UTC: the time of the last rejection."""
    key: bytes | None
    value: bytes | None
    headers: Headers | None
    """None if the client cannot read the headers."""

    @property
    def position(self) -> str:
        """Partition and offset in the dead-letter topic, as `PARTITION:OFFSET`."""
        return f"{self.partition}:{self.offset}"

    @property
    def id(self) -> str:
        """The topic-partition-offset of the rejected record; empty if no header has it."""
        return self.text(ID_HEADER)

    @property
    def reason(self) -> str:
        """The reason of the rejection."""
        return self.text(CODE_HEADER) or UNKNOWN_REASON

    @property
    def message(self) -> str:
        """Field and detail of the first fault."""
        return self.text(MESSAGE_HEADER)

    @property
    def stage(self) -> str:
        """The stage that rejected the record: `validation` or `scoring`."""
        return self.text(STAGE_HEADER)

    @property
    def group(self) -> str:
        """The consumer group that rejected the record."""
        return self.text(GROUP_HEADER)

    @property
    def first_failed_at(self) -> str:
        """The time of the first rejection."""
        return self.text(FIRST_FAILED_AT_HEADER)

    @property
    def origin_topic(self) -> str:
        """The topic of the record that was rejected first."""
        return self.text(TOPIC_HEADER)

    @property
    def origin_partition(self) -> int | None:
        """The partition of the record that was rejected first."""
        return self._number(PARTITION_HEADER)

    @property
    def origin_offset(self) -> int | None:
        """The offset of the record that was rejected first."""
        return self._number(OFFSET_HEADER)

    @property
    def origin_timestamp_ms(self) -> int | None:
        """The timestamp of the record that was rejected first; None if it had none."""
        return self._number(TIMESTAMP_HEADER)

    @property
    def rejected_rows(self) -> str:
        """The indices of the rejected rows; empty if the record was rejected as a whole."""
        return self.text(ROWS_HEADER)

    @property
    def truncated(self) -> str:
        """The parts that were cut to fit the message limit, with their original sizes."""
        return self.text(TRUNCATED_HEADER)

    @property
    def attempts(self) -> int:
        """How often the record was replayed and rejected again."""
        return replay_count(self.headers or [])

    @property
    def sensor(self) -> str | None:
        """The key as text; None without a key."""
        return None if self.key is None else bytes_text(self.key)

    @property
    def size(self) -> int:
        """The size of key, value and headers in bytes."""
        headers = self.headers or []
        return sum(map(len, (self.key or b"", self.value or b""))) + sum(
            len(name) + len(value or b"") for name, value in headers
        )

    def text(self, name: str) -> str:
        """Return the value of the last header with this name as text; empty without one."""
        return bytes_text(last_header_value(self.headers or [], name) or b"")

    def _number(self, name: str) -> int | None:
        text = self.text(name)
        is_number = text.isascii() and text.isdigit() and len(text) <= _DIGITS_OF_AN_OFFSET
        return int(text) if is_number else None


def bytes_text(content: bytes) -> str:
    r"""Return bytes as text; bytes that are not UTF-8 become escapes such as `\xff`."""
    return content.decode(errors="backslashreplace")


def dead_letter_of(record: Record) -> DeadLetter:
    """Return a record of the dead-letter topic as a dead letter."""
    position = coordinates(record)
    return DeadLetter(
        position.partition,
        position.offset,
        received_at(record),
        record.key(),
        record.value(),
        headers_of(record),
    )


def read_letters(
    kafka: Mapping[str, Any],
    topic: str,
    *,
    begin: Mapping[int, int] | None = None,
    end: Mapping[int, int] | None = None,
) -> Iterator[DeadLetter]:
    """Yield the committed dead letters of a topic, in order within each partition.

    `begin`, `end`: see `read_topic`. Raises BrokerUnavailable if the topic cannot be read.
    """
    for batch in read_topic_batches(kafka, topic, begin=begin, end=end):
        yield from map(dead_letter_of, batch)
