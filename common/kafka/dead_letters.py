"""Dead letters: the original bytes, with headers that say where from and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sensorwatch.common.kafka.records import (
    Headers,
    OutgoingMessage,
    Record,
    coordinates,
    headers_of,
    last_header_value,
)
from sensorwatch.common.rows.rejection import Reason, Rejection

HEADER_PREFIX = "__dlq.errors."
_TOPIC, _PARTITION, _OFFSET = (HEADER_PREFIX + name for name in ("topic", "partition", "offset"))
_TIMESTAMP, _GROUP, _STAGE = (HEADER_PREFIX + name for name in ("timestamp", "group", "stage"))
_CODE, _MESSAGE = (HEADER_PREFIX + name for name in ("code", "message"))
_FIRST_FAILED_AT, _REPLAY_COUNT = (
    HEADER_PREFIX + name for name in ("first_failed_at", "replay.count")
)
FIRST_FAILURE_HEADERS = (_TOPIC, _PARTITION, _OFFSET, _TIMESTAMP, _FIRST_FAILED_AT)
"""Headers of the first failure: a letter that is replayed and fails again keeps them."""
ID_HEADER = "__dlq.id"
"""topic-partition-offset of the record that this letter stands for."""
TRUNCATED_HEADER = "__dlq.truncated"
"""What was cut to fit the message limit, with its original size in bytes."""
HEADERS_LOST_HEADER = "__dlq.headers.lost"
"""There were headers that the client cannot read, so none is kept."""
_HEADERS_LOST_REASON = b"a header's name is not UTF-8"
_OVERHEAD_BYTES = 4_096
_MAX_FIRST_FAILURE_BYTES = 300


def dead_letters(
    rejections: Sequence[Rejection],
    records: Sequence[Record],
    *,
    topic: str,
    group: str,
    failed_at: str,
    max_message_bytes: int,
) -> Iterator[OutgoingMessage]:
    """Make one dead letter for each rejection, in the records' order.

    Key, value and headers are kept byte for byte, unless they would not fit into
    `max_message_bytes`: then they are cut, and the header `__dlq.truncated` says so. Headers that
    the client cannot read are lost, and the header `__dlq.headers.lost` says so.
    """
    batch_headers = _BatchHeaders(group.encode(), failed_at.encode())
    for rejection in rejections:
        record = records[rejection.index]
        headers = headers_of(record)
        original = headers or []
        letter_headers = batch_headers.headers(rejection, record, original)
        if headers is None:
            letter_headers.append((HEADERS_LOST_HEADER, _HEADERS_LOST_REASON))
        original_headers = [
            (name, value) for name, value in original if not _is_letter_header(name)
        ]
        yield _fit_to_limit(record, original_headers, letter_headers, topic, max_message_bytes)


@dataclass(frozen=True, slots=True)
class _BatchHeaders:
    """What is added to all letters of a micro-batch alike."""

    group: bytes
    failed_at: bytes

    def headers(self, rejection: Rejection, record: Record, original: Headers) -> Headers:
        """Say where a record stands and why it was rejected."""
        origin = coordinates(record)
        field, reason = rejection.field, rejection.reason
        message = f"{field}: {rejection.detail}" if field else rejection.detail
        current_headers: Headers = [
            (ID_HEADER, str(origin).encode()),
            (_TOPIC, origin.topic.encode()),
            (_PARTITION, b"%d" % origin.partition),
            (_OFFSET, b"%d" % origin.offset),
            (_TIMESTAMP, b"%d" % record.timestamp()[1]),
            (_GROUP, self.group),
            (_STAGE, b"scoring" if reason is Reason.SCORING_FAILED else b"validation"),
            (_CODE, reason.encode()),
            # A field's name may hold half a surrogate pair, which is no UTF-8.
            (_MESSAGE, message.encode(errors="backslashreplace")),
            (_FIRST_FAILED_AT, self.failed_at),
            (_REPLAY_COUNT, b"%d" % _replay_count(original)),
        ]
        if not original:
            return current_headers
        merged = (
            (name, current, _first_failure_value(original, name))
            for name, current in current_headers
        )
        return [(name, current if first is None else first) for name, current, first in merged]


def _first_failure_value(original: Headers, name: str) -> bytes | None:
    """Return what the first failure said, unless it is longer than any of ours."""
    first = last_header_value(original, name) if name in FIRST_FAILURE_HEADERS else None
    return first if first is not None and len(first) <= _MAX_FIRST_FAILURE_BYTES else None


def _replay_count(original: Headers) -> int:
    """Count how often this letter came back: 0 for a record that fails for the first time."""
    count = last_header_value(original, _REPLAY_COUNT)
    if count is None:
        return 0
    return int(count) + 1 if count.isdigit() and len(count) < 10 else 1


def _is_letter_header(name: str) -> bool:
    return name in (ID_HEADER, TRUNCATED_HEADER) or name.startswith(HEADER_PREFIX)


def _fit_to_limit(
    record: Record,
    original_headers: Headers,
    batch_headers: Headers,
    topic: str,
    max_message_bytes: int,
) -> OutgoingMessage:
    key, value = record.key(), record.value()
    available_bytes = max_message_bytes - _OVERHEAD_BYTES - _size(batch_headers)
    truncations = []
    size = _size(original_headers)
    if size > available_bytes // 4:
        truncations.append(f"headers {size}")
        original_headers = []
    else:
        available_bytes -= size
    if key is not None and len(key) > available_bytes // 2:
        truncations.append(f"key {len(key)}")
        key = key[: available_bytes // 2]
    available_bytes -= len(key or b"")
    if value is not None and len(value) > available_bytes:
        truncations.append(f"value {len(value)}")
        value = value[:available_bytes]
    truncated: Headers = (
        [(TRUNCATED_HEADER, ", ".join(truncations).encode())] if truncations else []
    )
    return OutgoingMessage(topic, key, value, [*original_headers, *batch_headers, *truncated])


def _size(headers: Headers) -> int:
    names = "".join([name for name, _ in headers])
    size = len(names) if names.isascii() else len(names.encode())
    return 10 * len(headers) + size + sum([len(value) for _, value in headers if value])
