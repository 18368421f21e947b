"""Where results leave: messages and next offsets together, all of them or none."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot

OnDelivery = Callable[[KafkaError | None, Message], None]
"""What the client calls once a message is delivered or given up."""
_ANY_PARTITION = -1
"""To the client: choose by the key."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The next offset of an input partition, with its account as metadata."""

    partition: Partition
    next_offset: int
    metadata: str

    def to_client(self) -> TopicPartition:
        """Return it as the client's own type."""
        input_partition = self.partition
        return TopicPartition(
            input_partition.topic, input_partition.number, self.next_offset, metadata=self.metadata
        )


@dataclass(frozen=True, slots=True)
class CommitPlan:
    """What ends a publication: said only once it is known where the snapshots stand."""

    messages: list[OutgoingMessage]
    commits: list[Commit]


CommitPlanner = Callable[[Mapping[Partition, int]], CommitPlan]
"""Takes, for the partition of each snapshot, the offset of its manifest; decides, without I/O."""


class Outbox(Protocol):
    """Publishes a micro-batch's results."""

    def publish(
        self,
        messages: Iterable[OutgoingMessage],
        plan_commit: CommitPlanner,
        membership: object,
        *,
        snapshots: Sequence[Snapshot] = (),
    ) -> None:
        """Publish messages and snapshots, then what `plan_commit` makes of the snapshots' places.

        `snapshots`: one per partition at the most. All or none of it is committed. Raises one of
        the errors of errors.py.
        """

    def close(self) -> None:
        """Leave nothing open."""


def produce(
    producer: Producer, message: OutgoingMessage, on_delivery: OnDelivery | None = None
) -> None:
    """Hand a message to the client; raises what the client raises, BufferError where it is full."""
    producer.produce(
        message.topic,
        message.value,
        message.key,
        _ANY_PARTITION if message.partition is None else message.partition,
        on_delivery=on_delivery,
        headers=list(message.headers),
    )


def flush(producer: Producer, seconds: float) -> int:
    """Wait for deliveries; return how many are still open. Raises KafkaException, a fatal one."""
    try:
        return producer.flush(seconds)
    except SystemError:
        # Seen with a fatal error and lines of the client's log in one call: it says that there is
        # an exception, and has lost it. The deliveries or the next call tell it.
        return len(producer)


def poll_callbacks(producer: Producer) -> None:
    """Let the client call back. A fatal error is raised here; the next call names it again."""
    with suppress(KafkaException):
        producer.poll(0.05)
