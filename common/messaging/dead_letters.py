"""Dead letters: the original bytes, with headers that say where from and why."""

from collections.abc import Iterator, Sequence

from common.messaging.records import (
    Headers,
    OutgoingMessage,
    Record,
    coordinates,
    headers_of,
    newest,
)
from common.rows.rejection import Rejection

PREFIX = "__dlq.errors."
ORIGIN = ("topic", "partition", "offset", "timestamp", "first_failed_at")
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
    for rejection in rejections:
        record = records[rejection.index]
        headers = headers_of(record)
        original = headers or []
        added = _added(rejection, record, original, group=group, failed_at=failed_at)
        if headers is None:
            added.append((HEADERS_LOST, _UNREADABLE))
        kept = [(name, value) for name, value in original if not _replaced(name)]
        yield _fitted(record, kept, added, topic, max_message_bytes)


def _added(
    rejection: Rejection, record: Record, original: Headers, *, group: str, failed_at: str
) -> Headers:
    where = coordinates(record)
    message = f"{rejection.field}: {rejection.detail}" if rejection.field else rejection.detail
    now = {
        "topic": where.topic,
        "partition": str(where.partition),
        "offset": str(where.offset),
        "timestamp": str(record.timestamp()[1]),
        "group": group,
        "stage": "scoring" if rejection.reason == "scoring_failed" else "validation",
        "code": rejection.reason.value,
        "message": message,
        "first_failed_at": failed_at,
        "replay.count": str(_replays(original)),
    }
    headers: Headers = [(ID, str(where).encode())]
    for name, text in now.items():
        first = _first(original, name) if original else None
        # A field's name may hold half a surrogate pair, which is no UTF-8.
        own = text.encode(errors="backslashreplace")
        headers.append((PREFIX + name, own if first is None else first))
    return headers


def _first(original: Headers, name: str) -> bytes | None:
    """Return what the first failure said, unless it is longer than any of ours."""
    first = newest(original, PREFIX + name) if name in ORIGIN else None
    return first if first is not None and len(first) <= _LONGEST_ORIGIN else None


def _replays(original: Headers) -> int:
    """Count how often this letter came back: 0 for a record that fails for the first time."""
    count = newest(original, PREFIX + "replay.count")
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
    size = 10 * len(headers)
    for name, value in headers:
        size += len(name) if name.isascii() else len(name.encode())
        size += len(value) if value else 0
    return size
