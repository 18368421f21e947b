"""The outbox protocol: publish messages and next offsets together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot

OnDelivery = Callable[[KafkaError | None, Message], None]
"""A callback that the client runs when the delivery of a message has succeeded or failed."""
_ANY_PARTITION = -1
"""With this partition number, the client derives the partition from the key."""
_TIME_OF_SENDING = 0
"""For this timestamp, the client uses the time of sending."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The next offset of an input partition, with its account as metadata."""

    partition: Partition
    next_offset: int
    metadata: str

    def to_client(self) -> TopicPartition:
        """Return the commit as a TopicPartition, the type that the client accepts."""
        input_partition = self.partition
        return TopicPartition(
            input_partition.topic, input_partition.number, self.next_offset, metadata=self.metadata
        )


@dataclass(frozen=True, slots=True)
class CommitPlan:
    """The ledger messages and the next offsets of a transaction.

    Ledger messages and commit metadata contain the offsets of the new snapshots.
    """

    messages: list[OutgoingMessage]
    commits: list[Commit]


CommitPlanner = Callable[[Mapping[Partition, int]], CommitPlan]
"""Returns the commit plan, given the manifest offset of the new snapshot of each partition."""


class Outbox(Protocol):
    """Publishes the results and the next offsets of a micro-batch."""

    def publish(
        self,
        messages: Iterable[OutgoingMessage],
        plan_commit: CommitPlanner,
        membership: object,
        *,
        snapshots: Sequence[Snapshot] = (),
    ) -> None:
        """Publish messages and snapshots, then the commit plan.

        With transactions, either all of these are committed or none. `snapshots` has at most one
        snapshot per partition. `plan_commit` is called with the offsets of the snapshot manifests.
        Raises an error of `common/errors.py`.
        """

    def publish_last(
        self,
        plan_commit: CommitPlanner,
        membership: object,
        *,
        snapshots: Sequence[Snapshot],
        seconds: float,
    ) -> None:
        """Publish snapshots and the commit plan as `publish` does, before the process exits.

        Takes at most about `seconds`, even if the broker does not answer. Raises SnapshotNotWritten
        after any failure, without a retry by a new producer: call only `close` afterwards.
        """

    def close(self) -> None:
        """Abort an open transaction."""


def produce(
    producer: Producer, message: OutgoingMessage, on_delivery: OnDelivery | None = None
) -> None:
    """Add a message to the client's queue; raises BufferError if the queue is full."""
    producer.produce(
        message.topic,
        message.value,
        message.key,
        _ANY_PARTITION if message.partition is None else message.partition,
        on_delivery=on_delivery,
        headers=message.headers,  # type: ignore[arg-type]  # the client only reads the list
        timestamp=message.timestamp_ms or _TIME_OF_SENDING,
    )


def flush(producer: Producer, seconds: float) -> int:
    """Wait for deliveries, and return the number of messages that are not delivered yet.

    Raises KafkaException after a fatal error.
    """
    try:
        return producer.flush(seconds)
    except SystemError:
        # The client was observed to raise SystemError if a fatal error and a log line occur in the
        # same call. The fatal error follows in a delivery report or in the next call.
        return len(producer)


def poll_callbacks(producer: Producer) -> None:
    """Let the client run callbacks; ignore a fatal error, because the next call raises it again."""
    with suppress(KafkaException):
        producer.poll(0.05)
