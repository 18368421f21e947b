"""An at-least-once outbox, for brokers without transactions."""

import time
from collections.abc import Callable, Iterable, Sequence

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from sensorwatch.common.errors import MicroBatchAborted, SnapshotNotWritten, Unrecoverable
from sensorwatch.common.kafka.broker_errors import ClientOperation, Reaction, reaction
from sensorwatch.common.kafka.records import OutgoingMessage
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.snapshot_text import CHUNK_BYTES, Snapshot
from sensorwatch.consumer.publishing.outbox import (
    CommitPlanner,
    OnDelivery,
    flush,
    poll_callbacks,
    produce,
)
from sensorwatch.consumer.publishing.snapshot_writing import DeliveryTracker, write_snapshots

CALL_TIMEOUT_SECONDS = 0.5
"""Timeout of one call into the client. Signals are handled only between calls."""


class FlushingOutbox:
    """Publishes messages with an idempotent producer, then commits offsets with the consumer."""

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
        """Create an outbox; `commit` commits offsets and returns the result of each partition."""
        self._producer = producer
        self._commit = commit
        self._deadline_seconds = deadline_seconds
        self._state_topic = state_topic
        self._chunk_bytes = chunk_bytes
        self._clock = clock
        self._sleep = sleep
        self._delivery_error: KafkaError | None = None

    def publish(
        self,
        messages: Iterable[OutgoingMessage],
        plan_commit: CommitPlanner,
        membership: object,
        *,
        snapshots: Sequence[Snapshot] = (),
    ) -> None:
        """Flush the messages, then commit the next offsets.

        After a crash between the two steps, the messages are published again. Raises
        MicroBatchAborted if the membership was lost, and Unrecoverable after any other error.
        """
        del membership  # the consumer commits with its own membership
        self._publish(messages, plan_commit, snapshots, self._deadline_seconds)

    def publish_last(
        self,
        plan_commit: CommitPlanner,
        membership: object,
        *,
        snapshots: Sequence[Snapshot],
        seconds: float,
    ) -> None:
        """Flush the snapshots, then commit the next offsets, before the process exits.

        Takes about `seconds` if the broker does not answer. Raises SnapshotNotWritten after any
        failure.
        """
        del membership
        try:
            self._publish([], plan_commit, snapshots, min(seconds, self._deadline_seconds))
        except (MicroBatchAborted, Unrecoverable) as error:
            raise SnapshotNotWritten(str(error)) from error

    def _publish(
        self,
        messages: Iterable[OutgoingMessage],
        plan_commit: CommitPlanner,
        snapshots: Sequence[Snapshot],
        seconds: float,
    ) -> None:
        """Publish as `publish` does; `seconds` is the time limit of each wait."""
        deadline = self._clock() + seconds
        self._delivery_error = None
        for message in messages:
            self._produce(message, deadline, self._on_delivery)
        commit_plan = plan_commit(
            write_snapshots(
                snapshots,
                self._state_topic,
                lambda outgoing: self._deliver(outgoing, seconds),
                chunk_bytes=self._chunk_bytes,
            )
        )
        for message in commit_plan.messages:
            self._produce(message, deadline, self._on_delivery)
        self._flush(seconds)
        offsets = [commit.to_client() for commit in commit_plan.commits]
        try:
            RetryPolicy(seconds, self._clock, self._sleep).ask(
                lambda: _raise_first_error(self._commit(offsets) or [])
            )
        except KafkaException as error:
            if reaction(error.args[0], ClientOperation.SEND_OFFSETS) is Reaction.ABORT_AND_REWIND:
                raise MicroBatchAborted(f"commit: {error.args[0].str()}") from error
            raise Unrecoverable(f"commit: {error.args[0].str()}") from error

    def close(self) -> None:
        """Do nothing, because this outbox opens no transactions."""

    def _deliver(self, messages: Iterable[OutgoingMessage], seconds: float) -> list[int]:
        """Produce messages, wait for their delivery, and return their offsets."""
        deadline = self._clock() + seconds
        tracker = DeliveryTracker()
        for message in messages:
            self._produce(message, deadline, tracker.next_callback())
        self._flush(seconds)
        if tracker.first_error is not None:
            raise Unrecoverable(f"a snapshot was not delivered: {tracker.first_error}")
        if tracker.offsets is None:
            raise MicroBatchAborted(
                "the broker stored a chunk of a snapshot but did not return its offset"
            )
        return tracker.offsets

    def _flush(self, seconds: float) -> None:
        deadline = self._clock() + seconds
        undelivered_count = 1
        while undelivered_count and not self._delivery_error and self._clock() < deadline:
            try:
                undelivered_count = flush(self._producer, CALL_TIMEOUT_SECONDS)
            except KafkaException as error:  # a fatal error
                raise Unrecoverable(f"not delivered: {error.args[0].str()}") from error
        if undelivered_count or self._delivery_error:
            reason = self._delivery_error or f"{undelivered_count} messages are still in the queue"
            raise Unrecoverable(f"not delivered within {seconds:g} s: {reason}")

    def _produce(self, message: OutgoingMessage, deadline: float, on_delivery: OnDelivery) -> None:
        while True:
            try:
                return produce(self._producer, message, on_delivery)
            except BufferError:
                if self._clock() > deadline:
                    raise Unrecoverable(
                        f"the producer's queue was full for {self._deadline_seconds:g} s"
                    ) from None
                poll_callbacks(self._producer)
            except KafkaException as error:
                raise Unrecoverable(f"produce: {error.args[0].str()}") from error

    def _on_delivery(self, error: KafkaError | None, _message: object) -> None:
        if error is not None and self._delivery_error is None:
            self._delivery_error = error


def _raise_first_error(partition_results: Sequence[TopicPartition]) -> None:
    """Raise the first error in the results of `commit`, which does not raise these errors."""
    for topic_partition in partition_results:
        if topic_partition.error is not None:
            raise KafkaException(topic_partition.error)
