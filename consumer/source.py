"""Consumes the records of the assigned partitions as micro-batches."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable, OffsetsLost, Unrecoverable, UsageError
from sensorwatch.common.kafka.broker_errors import is_transient
from sensorwatch.common.kafka.records import Partition
from sensorwatch.consumer.micro_batch import BatchBuilder, MicroBatch, Timestamp

_ERRORS_HANDLED_BY_CLIENT = {
    KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001 - the client's names for its own errors
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.UNKNOWN_MEMBER_ID,
}
"""Errors after which the client joins the group again by itself; fencing protects the commits."""
MAX_POLL_ROWS = 1_000
"""Maximum number of records that one call into the client requests; larger calls are slower."""
MAX_BATCH_BYTES = 64 * 1024 * 1024
"""Total size of the records' values at which a micro-batch is full.

Without this limit, `max_rows` records of a megabyte would exhaust the RAM, and their dead letters
would fill the producer's queue (128 MiB).
"""
BACKLOG_ROWS = 5_000
"""A worker has a backlog if it consumed at least this number of records without waiting."""
BACKLOG_WAIT_SECONDS = 0.005
"""Longest wait for the next records if there is a backlog."""
SEEK_TIMEOUT_SECONDS = 10.0


class PartitionOwner(Protocol):
    """Stores accounts and memories of the assigned partitions; Ownership implements it."""

    def assign(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Add newly assigned partitions; return their next offsets."""

    def revoke(self, partitions: Sequence[Partition]) -> None:
        """Remove partitions that are no longer assigned to this worker."""

    def reload(self) -> dict[Partition, int]:
        """Return the next offsets of all assigned partitions, as committed on the broker."""

    def has_memory(self, partition: Partition) -> bool:
        """Return whether the partition's memory is available, so that records can be scored."""


class KafkaSource:
    """Consumes one topic as a member of a group.

    A newly assigned partition without a memory is paused until `resume_partitions` is called.
    """

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        owner: PartitionOwner,
        *,
        incremental: bool,
        on_rebalance: Callable[[str, Sequence[Partition]], None],
        seek_seconds: float = SEEK_TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Subscribe; the worker joins the group with its first `next_batch`.

        `incremental`: whether a rebalance reports only added and removed partitions. `on_rebalance`
        gets "assigned", "revoked" or "lost", and the partitions. `seek_seconds`: time limit of
        `rewind`.
        """
        self._consumer = consumer
        self._topic = topic
        self._owner = owner
        self._incremental = incremental
        self._on_rebalance = on_rebalance
        self._seek_seconds = seek_seconds
        self._clock = clock
        self._builder = BatchBuilder()
        self._bytes = 0
        self._paused = False
        self._awaiting_memory: set[Partition] = set()
        self._skipped_partitions: set[Partition] = set()
        """Partitions with dropped records, because their memory was not restored yet."""
        self._rewind_pending = False
        consumer.subscribe(
            [topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def next_batch(self, max_rows: int, max_wait_seconds: float) -> MicroBatch:
        """Wait for the first record, then take the available records, up to `max_rows`.

        The micro-batch also ends when its values reach MAX_BATCH_BYTES; the records of the last
        call into the client may exceed this size. Under load the micro-batches grow, because
        records arrive during each commit. Raises BrokerUnavailable, OffsetsLost, UsageError or
        Unrecoverable after an error of the client.
        """
        # Rewind here and not earlier, because the previous micro-batch had to be committed first.
        if self._rewind_pending:
            self.rewind()
        builder = self._new_batch()
        self._add(self._consumer.consume(1, max_wait_seconds))
        while 0 < len(builder) < max_rows and self._bytes < MAX_BATCH_BYTES:
            max_records = min(MAX_POLL_ROWS, max_rows - len(builder))
            wait_seconds = self._next_wait_seconds()
            messages = self._consumer.consume(max_records, wait_seconds)
            self._add(messages)
            if not messages or (wait_seconds and len(messages) < max_records):
                break
        # Read the membership here, because a later rebalance changes its generation.
        return MicroBatch(builder.partition_batches(self._topic), self.membership())

    def membership(self) -> bytes:
        """Return the client's current group metadata, which identifies the member and generation.

        A rebalance happens only inside a call that polls, so until the next such call the metadata
        belong to the currently assigned partitions.
        """
        membership: bytes = self._consumer.consumer_group_metadata()
        return membership

    def _new_batch(self) -> BatchBuilder:
        self._builder = BatchBuilder()
        self._bytes = 0
        return self._builder

    def _next_wait_seconds(self) -> float:
        """Return how many seconds the next call may wait for records.

        If there is a backlog, a short wait lets the client fetch more records. A transaction of few
        records costs as much as a transaction of many. Without a backlog there is no wait.
        """
        return BACKLOG_WAIT_SECONDS if len(self._builder) >= BACKLOG_ROWS else 0.0

    def rewind(self) -> None:
        """Go back to the committed offsets, after a micro-batch that was not committed.

        Raises Unrecoverable if the client still refuses to seek after `seek_seconds`.
        """
        self._rewind_pending = False
        deadline = self._clock() + self._seek_seconds
        while True:
            self._new_batch()
            try:
                for partition, offset in self._owner.reload().items():
                    self._consumer.seek(TopicPartition(partition.topic, partition.number, offset))
                    if not self._owner.has_memory(partition):
                        self._pause_until_restored([partition])
            except KafkaException as error:
                if self._clock() > deadline:
                    raise Unrecoverable(
                        f"cannot go back to the committed offsets: {error}"
                    ) from error
                # Poll, so that a rebalance can happen. The next iteration drops the records of this
                # poll and seeks every partition again.
                self._add(self._consumer.consume(1, 0.05))
            else:
                return

    def pause(self) -> None:
        """Pause all partitions; call `poll_paused` to stay a member of the group."""
        self._paused = True
        self._consumer.pause(self._consumer.assignment())

    def resume(self) -> None:
        """Resume all partitions, except those that wait for their memory."""
        self._paused = False
        assignment = self._consumer.assignment()
        self._consumer.resume(
            [
                topic_partition
                for topic_partition in assignment
                if _to_partition(topic_partition) not in self._awaiting_memory
            ]
        )

    def resume_partitions(self, partitions: Sequence[Partition]) -> None:
        """Resume partitions whose memory is available now.

        If the worker has paused all partitions, they stay paused.
        """
        self._awaiting_memory.difference_update(partitions)
        if self._skipped_partitions.intersection(partitions):
            self._skipped_partitions.difference_update(partitions)
            self._rewind_pending = True
        if not self._paused:
            self.resume()

    def poll_paused(self, seconds: float) -> None:
        """Stay a member of the group for `seconds` while paused.

        Records that arrive are dropped, so call `rewind` and then `resume` afterwards.
        """
        self._new_batch()
        self._add(self._consumer.consume(1, seconds))

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _add(self, messages: Sequence[Message]) -> None:
        timestamps = [message.timestamp() for message in messages]
        if 0 in [timestamp_type for timestamp_type, _ in timestamps]:
            messages, timestamps = _without_errors(messages, timestamps)
        if self._awaiting_memory:
            messages, timestamps = self._drop_awaiting_memory(messages, timestamps)
        self._bytes += self._builder.extend(messages, timestamps)

    def _drop_awaiting_memory(
        self, messages: Sequence[Message], timestamps: Sequence[Timestamp]
    ) -> tuple[list[Message], list[Timestamp]]:
        """Return the records of partitions with a memory; other records are read again later."""
        partition_numbers = [message.partition() or 0 for message in messages]
        partitions = {
            Partition(self._topic, partition_number) for partition_number in partition_numbers
        }
        partitions &= self._awaiting_memory
        self._skipped_partitions |= partitions
        skipped_numbers = {partition.number for partition in partitions}
        positions = [
            position
            for position, partition_number in enumerate(partition_numbers)
            if partition_number not in skipped_numbers
        ]
        kept_timestamps = [timestamps[position] for position in positions]
        return [messages[position] for position in positions], kept_timestamps

    def _on_assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        offsets = self._owner.assign(
            [_to_partition(topic_partition) for topic_partition in partitions]
        )
        start_positions = [
            TopicPartition(p.topic, p.number, offset) for p, offset in offsets.items()
        ]
        if self._incremental:
            self._consumer.incremental_assign(start_positions)
        else:
            self._consumer.assign(start_positions)
        if self._paused:
            self._consumer.pause(start_positions)
        self._pause_until_restored(
            [partition for partition in offsets if not self._owner.has_memory(partition)]
        )
        self._on_rebalance("assigned", list(offsets))

    def _pause_until_restored(self, partitions: Sequence[Partition]) -> None:
        """Pause partitions that have no memory yet."""
        self._awaiting_memory.update(partitions)
        self._consumer.pause([TopicPartition(p.topic, p.number) for p in partitions])

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._remove_partitions(
            [_to_partition(topic_partition) for topic_partition in partitions], "revoked"
        )

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._remove_partitions(
            [_to_partition(topic_partition) for topic_partition in partitions], "lost"
        )

    def _remove_partitions(self, partitions: list[Partition], rebalance_kind: str) -> None:
        # Drop the records of these partitions, because the unfinished micro-batch is committed
        # under the next generation, in which the partitions belong to another worker.
        self._builder.drop({partition.number for partition in partitions})
        self._awaiting_memory.difference_update(partitions)
        self._skipped_partitions.difference_update(partitions)
        self._owner.revoke(partitions)
        self._on_rebalance(rebalance_kind, partitions)


def _to_partition(topic_partition: TopicPartition) -> Partition:
    return Partition(topic_partition.topic, topic_partition.partition)


def _without_errors(
    messages: Sequence[Message], timestamps: Sequence[Timestamp]
) -> tuple[list[Message], list[Timestamp]]:
    """Return the records. Raise errors from which the client cannot recover; drop other errors.

    An error has no timestamp, so only messages without a timestamp are checked.
    """
    record_positions = []
    for position, (timestamp_type, _) in enumerate(timestamps):
        error = messages[position].error() if timestamp_type == 0 else None
        if error is None:
            record_positions.append(position)
        else:
            _raise_if_serious(error)
    return [messages[i] for i in record_positions], [timestamps[i] for i in record_positions]


def _raise_if_serious(error: KafkaError) -> None:
    match error.code():
        case KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's name for it
            return
        case KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise BrokerUnavailable(
                f"{error.str()}: create the topic with `sensorwatch topics create`, or set "
                "[topics] readings to an existing topic"
            )
        case KafkaError._AUTO_OFFSET_RESET | KafkaError.OFFSET_OUT_OF_RANGE:  # noqa: SLF001
            raise OffsetsLost(
                f"{error.str()}: the committed offset is outside the topic's range. Records were "
                "deleted before they were scored (retention), or the topic was created again. No "
                "record was skipped. Decide where to continue, set that offset with "
                "kafka-consumer-groups --reset-offsets, and start a new account there with "
                "`sensorwatch state reset`"
            )
        case KafkaError.TOPIC_AUTHORIZATION_FAILED | KafkaError.GROUP_AUTHORIZATION_FAILED:
            raise UsageError(f"{error.str()}: the broker's ACLs do not permit this client")
    if error.fatal() or not (is_transient(error) or error.code() in _ERRORS_HANDLED_BY_CLIENT):
        # Raise unknown errors too: after a corrupt answer the client may continue at a wrong
        # offset.
        raise Unrecoverable(f"consume: {error.name()}: {error.str()}")
