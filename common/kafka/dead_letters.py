"""Builds dead letters: rejected records, with headers for their origin and the reason."""

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
TOPIC_HEADER, PARTITION_HEADER, OFFSET_HEADER, TIMESTAMP_HEADER, GROUP_HEADER, STAGE_HEADER = (
    HEADER_PREFIX + name for name in ("topic", "partition", "offset", "timestamp", "group", "stage")
)
CODE_HEADER, MESSAGE_HEADER = (HEADER_PREFIX + name for name in ("code", "message"))
FIRST_FAILED_AT_HEADER, REPLAY_COUNT_HEADER = (
    HEADER_PREFIX + name for name in ("first_failed_at", "replay.count")
)
FIRST_FAILURE_HEADERS = (
    TOPIC_HEADER,
    PARTITION_HEADER,
    OFFSET_HEADER,
    TIMESTAMP_HEADER,
    FIRST_FAILED_AT_HEADER,
)
"""Headers about a record's first failure. A dead letter that is replayed and fails again keeps the
values of these headers."""
ID_HEADER = "__dlq.id"
"""Header with the topic-partition-offset of the rejected record."""
TRUNCATED_HEADER = "__dlq.truncated"
"""Header that lists the parts that were cut to fit the message limit: headers, key or value, each
with its original size in bytes."""
HEADERS_LOST_HEADER = "__dlq.headers.lost"
"""This header marks a dead letter without the record's own headers, which the client could not
read."""
_HEADERS_LOST_REASON = b"a header's name is not UTF-8"
ROWS_HEADER = HEADER_PREFIX + "rows"
"""Header with the indices of the rejected rows in the record's array, separated by commas.

All other rows of the record were scored. Without this header the whole record was rejected.
"""
MAX_LISTED_ROWS = 200
"""The header lists at most this number of rows. If more were rejected, it ends with `,...`."""
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
    """Yield one dead letter for each rejection, in the order of the records.

    A dead letter has the record's key, value and headers, byte for byte. If the dead letter would
    exceed `max_message_bytes`, these parts are cut, and the header `__dlq.truncated` is added. If
    the client cannot read the record's headers, they are dropped, and the header
    `__dlq.headers.lost` is added.
    """
    batch_headers = _BatchHeaders(group.encode(), failed_at.encode())
    for rejection in rejections:
        record = records[rejection.index]
        headers = headers_of(record)
        record_headers = headers or []
        letter_headers = batch_headers.headers(rejection, record, record_headers)
        if headers is None:
            letter_headers.append((HEADERS_LOST_HEADER, _HEADERS_LOST_REASON))
        original_headers = [
            (name, value) for name, value in record_headers if not _is_dead_letter_header(name)
        ]
        yield _fit_to_limit(record, original_headers, letter_headers, topic, max_message_bytes)


def replay_count(headers: Headers) -> int:
    """Return how often a dead letter was replayed and rejected again; 0 without a valid count."""
    count = last_header_value(headers, REPLAY_COUNT_HEADER)
    return int(count) if count is not None and count.isdigit() and len(count) < 10 else 0


@dataclass(frozen=True, slots=True)
class _BatchHeaders:
    """The header values that all dead letters of a micro-batch share."""

    group: bytes
    failed_at: bytes

    def headers(self, rejection: Rejection, record: Record, record_headers: Headers) -> Headers:
        """Return headers that contain the origin of a record and the reason for its rejection.

        `record_headers`: the headers of the rejected record itself.
        """
        origin = coordinates(record)
        field, reason = rejection.field, rejection.reason
        message = f"{field}: {rejection.detail}" if field else rejection.detail
        current_headers: Headers = [
            (ID_HEADER, str(origin).encode()),
            (TOPIC_HEADER, origin.topic.encode()),
            (PARTITION_HEADER, b"%d" % origin.partition),
            (OFFSET_HEADER, b"%d" % origin.offset),
            (TIMESTAMP_HEADER, b"%d" % record.timestamp()[1]),
            (GROUP_HEADER, self.group),
            (STAGE_HEADER, b"scoring" if reason is Reason.SCORING_FAILED else b"validation"),
            (CODE_HEADER, reason.encode()),
            # A field name may contain a lone surrogate, which is not valid UTF-8.
            (MESSAGE_HEADER, message.encode(errors="backslashreplace")),
            (FIRST_FAILED_AT_HEADER, self.failed_at),
            (REPLAY_COUNT_HEADER, b"%d" % _replay_count_after_rejection(record_headers)),
        ]
        if rejection.rows:
            listed_rows = ",".join(map(str, rejection.rows[:MAX_LISTED_ROWS]))
            is_complete = len(rejection.rows) <= MAX_LISTED_ROWS
            rows_text = listed_rows if is_complete else f"{listed_rows},..."
            current_headers.append((ROWS_HEADER, rows_text.encode()))
        if not record_headers:
            return current_headers
        header_values = (
            (name, current_value, _first_failure_value(record_headers, name))
            for name, current_value in current_headers
        )
        return [
            (name, current_value if first_failure is None else first_failure)
            for name, current_value, first_failure in header_values
        ]


def _first_failure_value(record_headers: Headers, name: str) -> bytes | None:
    """Return the value that a header got at the record's first failure, or None.

    A value that is too long to come from this program is ignored.
    """
    if name not in FIRST_FAILURE_HEADERS:
        return None
    value = last_header_value(record_headers, name)
    return value if value is not None and len(value) <= _MAX_FIRST_FAILURE_BYTES else None


def _replay_count_after_rejection(record_headers: Headers) -> int:
    """Return how often a rejected record was replayed as a dead letter; 0 at its first failure."""
    is_first_failure = last_header_value(record_headers, REPLAY_COUNT_HEADER) is None
    return 0 if is_first_failure else replay_count(record_headers) + 1


def _is_dead_letter_header(name: str) -> bool:
    return name in (ID_HEADER, TRUNCATED_HEADER) or name.startswith(HEADER_PREFIX)


def _fit_to_limit(
    record: Record,
    original_headers: Headers,
    letter_headers: Headers,
    topic: str,
    max_message_bytes: int,
) -> OutgoingMessage:
    key, value = record.key(), record.value()
    available_bytes = max_message_bytes - _OVERHEAD_BYTES - _headers_size(letter_headers)
    truncations = []
    size = _headers_size(original_headers)
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
    truncation_headers: Headers = (
        [(TRUNCATED_HEADER, ", ".join(truncations).encode())] if truncations else []
    )
    return OutgoingMessage(
        topic, key, value, [*original_headers, *letter_headers, *truncation_headers]
    )


def _headers_size(headers: Headers) -> int:
    names = "".join([name for name, _ in headers])
    name_bytes = len(names) if names.isascii() else len(names.encode())
    return 10 * len(headers) + name_bytes + sum([len(value) for _, value in headers if value])
