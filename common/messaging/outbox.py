"""Where results leave: messages and next offsets together, all of them or none."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import KafkaException, Producer, TopicPartition

from common.messaging.records import OutgoingMessage, Partition


@dataclass(frozen=True, slots=True)
class Commit:
    """The next offset of an input partition, with its account as metadata."""

    partition: Partition
    next_offset: int
    metadata: str

    def to_client(self) -> TopicPartition:
        """Return it as the client's own type."""
        where = self.partition
        return TopicPartition(where.topic, where.number, self.next_offset, metadata=self.metadata)


class Outbox(Protocol):
    """Publishes a micro-batch's results."""

    def publish(
        self, messages: Iterable[OutgoingMessage], commits: Sequence[Commit], membership: object
    ) -> None:
        """Publish messages and commit next offsets, or raise one of the errors of errors.py."""

    def close(self) -> None:
        """Leave nothing open."""


def serve(producer: Producer) -> None:
    """Let the client call back. A fatal error is raised here; the next call names it again."""
    with suppress(KafkaException):
        producer.poll(0.05)
