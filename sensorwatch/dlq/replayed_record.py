"""Builds the input record that replays a dead letter."""

from dataclasses import dataclass

from sensorwatch.common.kafka.dead_letters import REPLAY_COUNT_HEADER, TRUNCATED_HEADER
from sensorwatch.common.kafka.records import Headers, OutgoingMessage
from sensorwatch.dlq.letters import DeadLetter

FIXED_HEADER = "__dlq.fixed"
"""Header with the name of the program that corrected the value."""

_BYTES_OF_A_HEADER, _OVERHEAD_BYTES = 10, 512


@dataclass(frozen=True, slots=True)
class InputTopic:
    """The topic into which dead letters are replayed."""

    name: str
    partitions: int
    keeps_timestamps: bool
    """Whether a row's fields depend on the timestamp of its record, so that it must be kept."""
    max_message_bytes: int
    """The size of the largest message that the topic accepts."""


def replayed_record(
    letter: DeadLetter, topic: InputTopic, *, fixed: tuple[str, bytes] | None = None
) -> OutgoingMessage:
    """Return the message that replays a dead letter.

    It has the key and the headers of the dead letter, and goes to the partition of the record's
    first rejection. `fixed`: the name of a program, and the value that replaces the letter's value.
    """
    headers: Headers = [
        (name, value)
        for name, value in letter.headers or []
        if name != TRUNCATED_HEADER and not (fixed and name == FIXED_HEADER)
    ]
    if all(name != REPLAY_COUNT_HEADER for name, _ in headers):
        # Without this header, the next rejection would count as the first one.
        headers.append((REPLAY_COUNT_HEADER, b"0"))
    if fixed is not None:
        headers.append((FIXED_HEADER, fixed[0].encode(errors="backslashreplace")))
    return OutgoingMessage(
        topic.name,
        letter.key,
        letter.value if fixed is None else fixed[1],
        headers,
        _origin_partition(letter, topic),
        letter.origin_timestamp_ms if topic.keeps_timestamps else None,
    )


def message_bytes(message: OutgoingMessage) -> int:
    """Return an upper limit of the size with which a broker counts a message."""
    headers = sum(len(name.encode()) + len(value or b"") for name, value in message.headers)
    content = len(message.key or b"") + len(message.value or b"") + headers
    return content + _BYTES_OF_A_HEADER * len(message.headers) + _OVERHEAD_BYTES


def _origin_partition(letter: DeadLetter, topic: InputTopic) -> int | None:
    """Return the partition of the first rejection; None if the key must choose the partition.

    The memory of a sensor is in the partition that its producer chose. The producer's partitioner
    may differ from ours.
    """
    number = letter.origin_partition
    if letter.origin_topic != topic.name or number is None or number >= topic.partitions:
        return None
    return number
