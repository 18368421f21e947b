"""Writes snapshots to the state topic: first their chunks, then their manifests."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice

from confluent_kafka import KafkaError, Message

from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.snapshot_text import (
    CHUNK_BYTES,
    Snapshot,
    chunk_count,
    chunk_messages,
    manifest_message,
)


def write_snapshots(
    snapshots: Sequence[Snapshot],
    topic: str,
    deliver: Callable[[Iterable[OutgoingMessage]], Sequence[int]],
    *,
    chunk_bytes: int = CHUNK_BYTES,
) -> dict[Partition, int]:
    """Write snapshots to the state topic; return each manifest's offset, by partition.

    `deliver` produces messages, waits for their delivery, and returns their offsets. Raises
    ValueError if two snapshots have the same partition.
    """
    if not snapshots:
        return {}
    sources = [snapshot.source for snapshot in snapshots]
    if len(set(sources)) < len(sources):
        raise ValueError(f"two snapshots have the same partition: {sources}")
    chunks = (chunk_messages(snapshot, topic, chunk_bytes=chunk_bytes) for snapshot in snapshots)
    offsets = iter(deliver(chain.from_iterable(chunks)))
    manifests = [
        manifest_message(
            snapshot, topic, [*islice(offsets, chunk_count(snapshot, chunk_bytes=chunk_bytes))]
        )
        for snapshot in snapshots
    ]
    return dict(zip(sources, deliver(manifests), strict=True))


class DeliveryTracker:
    """Collects the delivery reports of messages whose offsets are needed."""

    def __init__(self) -> None:
        self._offsets: list[int | None] = []
        self._undelivered_count = 0
        self.first_error: KafkaError | None = None
        """The first delivery error that the client reported."""

    def next_callback(self) -> Callable[[KafkaError | None, Message], None]:
        """Return the delivery callback of the next message."""
        position = len(self._offsets)
        self._offsets.append(None)
        self._undelivered_count += 1

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            self._undelivered_count -= 1
            if error is not None:
                self.first_error = self.first_error or error
            else:
                self._offsets[position] = message.offset()

        return on_delivery

    @property
    def is_finished(self) -> bool:
        """True once every message is delivered or one has failed."""
        return self.first_error is not None or not self._undelivered_count

    @property
    def offsets(self) -> list[int] | None:
        """The offsets of the messages, in the order of the callbacks; None if one is unknown.

        If the broker's answer to a stored message is lost, the client sends the message again. The
        broker then answers "duplicate", and the client reports a delivery without an offset.
        """
        stored_offsets = [offset for offset in self._offsets if offset is not None and offset >= 0]
        return stored_offsets if len(stored_offsets) == len(self._offsets) else None
