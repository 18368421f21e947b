"""Dead letters: the original bytes, with headers that say where from and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sensorwatch.common.kafka.records import (
    Headers,
    OutgoingMessage,
    Record,
    coordinates,
    headers_of,
    newest,
)
from sensorwatch.common.rows.rejection import Reason, Rejection

PREFIX = "__dlq.errors."
_TOPIC, _PARTITION, _OFFSET = (PREFIX + name for name in ("topic", "partition", "offset"))
_TIMESTAMP, _GROUP, _STAGE = (PREFIX + name for name in ("timestamp", "group", "stage"))
_CODE, _MESSAGE = (PREFIX + name for name in ("code", "message"))
_FIRST_FAILED_AT, _REPLAYS = (PREFIX + name for name in ("first_failed_at", "replay.count"))
ORIGIN = (_TOPIC, _PARTITION, _OFFSET, _TIMESTAMP, _FIRST_FAILED_AT)
"""Headers of the first failure: a letter that is replayed and fails again keeps them."""
ID = "__dlq.id"
"""topic-partition-offset of the record that this letter stands for."""
TRUNCATED = "__dlq.truncated"
"""What was cut to fit the message limit, with its original size in bytes."""
HEADERS_LOST = "__dlq.headers.lost"
"""There were headers that the client cannot read, so none is kept."""
_UNREADABLE = b"a header's name is not UTF-8"
_OVERHEAD_BYTES = 4_096
_LONGEST_ORIGIN = 300


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
    added = _Added(group.encode(), failed_at.encode())
    for rejection in rejections:
        record = records[rejection.index]
        headers = headers_of(record)
        original = headers or []
        ours = added.headers(rejection, record, original)
        if headers is None:
            ours.append((HEADERS_LOST, _UNREADABLE))
        kept = [(name, value) for name, value in original if not _replaced(name)]
        yield _fitted(record, kept, ours, topic, max_message_bytes)


@dataclass(frozen=True, slots=True)
class _Added:
    """What is added to all letters of a micro-batch alike."""

    group: bytes
    failed_at: bytes

    def headers(self, rejection: Rejection, record: Record, original: Headers) -> Headers:
        """Say where a record stands and why it was rejected."""
        where = coordinates(record)
        field, reason = rejection.field, rejection.reason
        message = f"{field}: {rejection.detail}" if field else rejection.detail
        now: Headers = [
            (ID, str(where).encode()),
            (_TOPIC, where.topic.encode()),
            (_PARTITION, b"%d" % where.partition),
            (_OFFSET, b"%d" % where.offset),
            (_TIMESTAMP, b"%d" % record.timestamp()[1]),
            (_GROUP, self.group),
            (_STAGE, b"scoring" if reason is Reason.SCORING_FAILED else b"validation"),
            (_CODE, reason.encode()),
            # A field's name may hold half a surrogate pair, which is no UTF-8.
            (_MESSAGE, message.encode(errors="backslashreplace")),
            (_FIRST_FAILED_AT, self.failed_at),
            (_REPLAYS, b"%d" % _replays(original)),
        ]
        if not original:
            return now
        firsts = ((name, own, _first(original, name)) for name, own in now)
        return [(name, own if first is None else first) for name, own, first in firsts]


def _first(original: Headers, name: str) -> bytes | None:
    """Return what the first failure said, unless it is longer than any of ours."""
    first = newest(original, name) if name in ORIGIN else None
    return first if first is not None and len(first) <= _LONGEST_ORIGIN else None


def _replays(original: Headers) -> int:
    """Count how often this letter came back: 0 for a record that fails for the first time."""
    count = newest(original, _REPLAYS)
    if count is None:
        return 0
    return int(count) + 1 if count.isdigit() and len(count) < 10 else 1


def _replaced(name: str) -> bool:
    return name in (ID, TRUNCATED) or name.startswith(PREFIX)


def _fitted(
    record: Record, kept: Headers, added: Headers, topic: str, max_message_bytes: int
) -> OutgoingMessage:
    key, value = record.key(), record.value()
    room = max_message_bytes - _OVERHEAD_BYTES - _size(added)
    cut = []
    size = _size(kept)
    if size > room // 4:
        cut.append(f"headers {size}")
        kept = []
    else:
        room -= size
    if key is not None and len(key) > room // 2:
        cut.append(f"key {len(key)}")
        key = key[: room // 2]
    room -= len(key or b"")
    if value is not None and len(value) > room:
        cut.append(f"value {len(value)}")
        value = value[:room]
    truncated: Headers = [(TRUNCATED, ", ".join(cut).encode())] if cut else []
    return OutgoingMessage(topic, key, value, [*kept, *added, *truncated])


def _size(headers: Headers) -> int:
    names = "".join([name for name, _ in headers])
    size = len(names) if names.isascii() else len(names.encode())
    return 10 * len(headers) + size + sum([len(value) for _, value in headers if value])
