"""At least once, for brokers without transactions: flush the results, then commit offsets."""

import time
from collections.abc import Callable, Iterable, Sequence

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from common.errors import MicroBatchAborted, Unrecoverable
from common.messaging.broker_errors import Reaction, Stage, reaction
from common.messaging.outbox import Conclude, OnDelivery, flush, produce, serve
from common.messaging.records import OutgoingMessage
from common.messaging.retrying import RetryPolicy
from common.messaging.snapshot_text import CHUNK_BYTES, Snapshot
from common.messaging.snapshot_writing import Deliveries, write_snapshots

CALL_SECONDS = 0.5
"""The longest that one call into the client waits: signals are only handled between calls."""


class FlushingOutbox:
    """A plain idempotent producer beside a plain commit."""

    def __init__(
        self,
        producer: Producer,
        commit: Callable[[list[TopicPartition]], list[TopicPartition] | None],
        *,
        deadline_seconds: float,
        state_topic: str,
        chunk_bytes: int = CHUNK_BYTES,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`commit`: returns once it is answered, with the error of each partition."""
        self._producer = producer
        self._commit = commit
        self._deadline_seconds = deadline_seconds
        self._state_topic = state_topic
        self._chunk_bytes = chunk_bytes
        self._clock = clock
        self._retry = RetryPolicy(deadline_seconds, clock, sleep)
        self._failed: KafkaError | None = None

    def publish(
        self,
        messages: Iterable[OutgoingMessage],
        conclude: Conclude,
        membership: object,
        *,
        snapshots: Sequence[Snapshot] = (),
    ) -> None:
        """Flush, then commit; after a crash between the two, messages are published again.

        Raises MicroBatchAborted where the group's membership was lost, else Unrecoverable.
        """
        del membership  # a plain commit is fenced by the consumer's own
        deadline = self._clock() + self._deadline_seconds
        self._failed = None
        for message in messages:
            self._produce(message, deadline, self._delivered)
        conclusion = conclude(
            write_snapshots(
                snapshots,
                self._state_topic,
                lambda parts: self._deliver(parts, deadline),
                chunk_bytes=self._chunk_bytes,
            )
        )
        for message in conclusion.messages:
            self._produce(message, deadline, self._delivered)
        self._flush()
        offsets = [commit.to_client() for commit in conclusion.commits]
        try:
            self._retry.ask(lambda: _raise_first(self._commit(offsets) or []))
        except KafkaException as error:
            if reaction(error.args[0], Stage.SEND_OFFSETS) is Reaction.ABORT_AND_REWIND:
                raise MicroBatchAborted(f"commit: {error.args[0].str()}") from error
            raise Unrecoverable(f"commit: {error.args[0].str()}") from error

    def close(self) -> None:
        """Nothing stays open between two publications."""

    def _deliver(self, messages: Iterable[OutgoingMessage], deadline: float) -> list[int]:
        """Produce messages and wait until their offsets are known."""
        deliveries = Deliveries()
        for message in messages:
            self._produce(message, deadline, deliveries.expect())
        self._flush()
        if deliveries.failed is not None:
            raise Unrecoverable(f"snapshot not delivered: {deliveries.failed}")
        if deliveries.offsets is None:
            raise MicroBatchAborted("the broker has a part of a snapshot, but did not say where")
        return deliveries.offsets

    def _flush(self) -> None:
        deadline = self._clock() + self._deadline_seconds
        left = 1
        while left and not self._failed and self._clock() < deadline:
            try:
                left = flush(self._producer, CALL_SECONDS)
            except KafkaException as error:  # a fatal one
                raise Unrecoverable(f"not delivered: {error.args[0].str()}") from error
        if left or self._failed:
            why = self._failed or f"{left} messages still waiting"
            raise Unrecoverable(f"not delivered within {self._deadline_seconds:g} s: {why}")

    def _produce(self, message: OutgoingMessage, deadline: float, on_delivery: OnDelivery) -> None:
        while True:
            try:
                return produce(self._producer, message, on_delivery)
            except BufferError:
                if self._clock() > deadline:
                    raise Unrecoverable("the producer's queue stays full") from None
                serve(self._producer)
            except KafkaException as error:
                raise Unrecoverable(f"produce: {error.args[0].str()}") from error

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        if error is not None and self._failed is None:
            self._failed = error


def _raise_first(answer: Sequence[TopicPartition]) -> None:
    """Raise what one partition's commit failed with: the call itself succeeds all the same."""
    for where in answer:
        if where.error is not None:
            raise KafkaException(where.error)
