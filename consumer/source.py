"""The input: micro-batches of records, and the accounts of the partitions that are ours."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable, OffsetsLost, Unrecoverable, UsageError
from sensorwatch.common.kafka.broker_errors import transient
from sensorwatch.common.kafka.records import Partition
from sensorwatch.consumer.micro_batch import BatchBuilder, MicroBatch, Timestamp

_HANDLED_BY_CLIENT = {
    KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001 - the client's names for its own errors
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.UNKNOWN_MEMBER_ID,
}
"""It joins the group again or asks again by itself; what must not be committed is fenced."""
POLL_ROWS = 1_000
"""Records a call: more is slower (the client hands them over in one go)."""
BATCH_BYTES = 64 * 1024 * 1024
"""Values at which a micro-batch is full: with `max_rows` records of a megabyte each it would fill
the memory and, with their dead letters, the producer's queue (128 MiB).
"""
BACKLOG_ROWS = 5_000
"""Who finds so many at once is behind."""
BACKLOG_WAIT_SECONDS = 0.005
SEEK_TIMEOUT_SECONDS = 10.0


class PartitionOwner(Protocol):
    """Knows where each partition goes on; declared here, because the source asks it."""

    def assigned(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Load the accounts of newly assigned partitions; return each one's next offset."""

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Forget the accounts of partitions that are ours no more."""

    def reload(self) -> dict[Partition, int]:
        """Read all accounts again; return each partition's next offset."""

    def has_memory(self, partition: Partition) -> bool:
        """Say whether the partition's records can be scored; else it waits for `resume_partitions`."""


class KafkaSource:
    """Consumes one topic as a member of a group."""

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
        self._skipped: set[Partition] = set()
        """Partitions of which the client gave a record while they waited."""
        self._rewind_pending = False
        consumer.subscribe(
            [topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lost
        )

    def next_batch(self, max_rows: int, max_wait_seconds: float) -> MicroBatch:
        """Wait for the first record, then take what is there, up to `max_rows`.

        It takes no more once its values reach BATCH_BYTES; the last call may have given more.
        Under load the batches grow by themselves: what arrives during a commit is there after it.
        """
        if self._rewind_pending:  # not earlier: the micro-batch before is committed only now
            self.rewind()
        builder = self._new_batch()
        self._add(self._consumer.consume(1, max_wait_seconds))
        while 0 < len(builder) < max_rows and self._bytes < BATCH_BYTES:
            max_records = min(POLL_ROWS, max_rows - len(builder))
            wait_seconds = self._next_wait_seconds()
            messages = self._consumer.consume(max_records, wait_seconds)
            self._add(messages)
            if not messages or (wait_seconds and len(messages) < max_records):
                break
        # Taken right after the last consume(): later it might be of another generation.
        membership = self._consumer.consumer_group_metadata()
        return MicroBatch(builder.partition_batches(self._topic), membership)

    def _new_batch(self) -> BatchBuilder:
        self._builder = BatchBuilder()
        self._bytes = 0
        return self._builder

    def _next_wait_seconds(self) -> float:
        """Say how long the next call may wait for more, in seconds.

        Who is behind waits for the client to fetch: a transaction costs as much for few as for
        many. It ends where less comes than could: who has caught up does not wait for more.
        """
        return BACKLOG_WAIT_SECONDS if len(self._builder) >= BACKLOG_ROWS else 0.0

    def rewind(self) -> None:
        """Go back to the committed offsets, after a micro-batch that was not committed."""
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
                # Let a rebalance happen. A record that comes meanwhile is dropped, and comes again:
                # every partition is sought once more after it.
                self._add(self._consumer.consume(1, 0.05))
            else:
                return

    def pause(self) -> None:
        """Fetch nothing more, but stay a member: keep calling `poll_paused`."""
        self._paused = True
        self._consumer.pause(self._consumer.assignment())

    def resume(self) -> None:
        """Fetch again, apart from partitions that still wait for their memory."""
        self._paused = False
        assignment = self._consumer.assignment()
        self._consumer.resume(
            [
                topic_partition
                for topic_partition in assignment
                if _partition(topic_partition) not in self._awaiting_memory
            ]
        )

    def resume_partitions(self, partitions: Sequence[Partition]) -> None:
        """Give the records of partitions that have waited for their memory."""
        self._awaiting_memory.difference_update(partitions)
        if self._skipped.intersection(partitions):
            self._skipped.difference_update(partitions)
            self._rewind_pending = True
        if not self._paused:
            self.resume()

    def poll_paused(self, seconds: float) -> None:
        """Stay a member of the group while paused; go on with `rewind`, then `resume`."""
        self._new_batch()
        self._add(self._consumer.consume(1, seconds))

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _add(self, messages: Sequence[Message]) -> None:
        timestamps = [message.timestamp() for message in messages]
        if 0 in [kind for kind, _ in timestamps]:
            messages, timestamps = _without_errors(messages, timestamps)
        if self._awaiting_memory:
            messages, timestamps = self._without_paused(messages, timestamps)
        self._bytes += self._builder.extend(messages, timestamps)

    def _without_paused(
        self, messages: Sequence[Message], timestamps: Sequence[Timestamp]
    ) -> tuple[list[Message], list[Timestamp]]:
        """Leave out what is of partitions that wait, and note that it has to be read again."""
        numbers = [message.partition() or 0 for message in messages]
        paused = {Partition(self._topic, number) for number in numbers} & self._awaiting_memory
        self._skipped |= paused
        waiting = {partition.number for partition in paused}
        kept = [row for row, number in enumerate(numbers) if number not in waiting]
        return [messages[row] for row in kept], [timestamps[row] for row in kept]

    def _assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        offsets = self._owner.assigned(
            [_partition(topic_partition) for topic_partition in partitions]
        )
        starts = [TopicPartition(p.topic, p.number, offset) for p, offset in offsets.items()]
        if self._incremental:
            self._consumer.incremental_assign(starts)
        else:
            self._consumer.assign(starts)
        if self._paused:
            self._consumer.pause(starts)
        self._pause_until_restored(
            [partition for partition in offsets if not self._owner.has_memory(partition)]
        )
        self._on_rebalance("assigned", list(offsets))

    def _pause_until_restored(self, partitions: Sequence[Partition]) -> None:
        """Give no records of partitions that have no memory yet, until they may go on."""
        self._awaiting_memory.update(partitions)
        self._consumer.pause([TopicPartition(p.topic, p.number) for p in partitions])

    def _revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._drop([_partition(topic_partition) for topic_partition in partitions], "revoked")

    def _lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._drop([_partition(topic_partition) for topic_partition in partitions], "lost")

    def _drop(self, partitions: list[Partition], kind: str) -> None:
        # Records of an earlier consume() of the same micro-batch must not be committed under the
        # generation that comes after this rebalance: they are no longer ours.
        self._builder.drop({partition.number for partition in partitions})
        self._awaiting_memory.difference_update(partitions)
        self._skipped.difference_update(partitions)
        self._owner.revoked(partitions)
        self._on_rebalance(kind, partitions)


def _partition(topic_partition: TopicPartition) -> Partition:
    return Partition(topic_partition.topic, topic_partition.partition)


def _without_errors(
    messages: Sequence[Message], timestamps: Sequence[Timestamp]
) -> tuple[list[Message], list[Timestamp]]:
    """Leave out what is no record; an error has no timestamp, so only what has none is asked.

    Raises what is done about an error that the client does not mend by itself.
    """
    row_numbers = []
    for row, (kind, _) in enumerate(timestamps):
        error = messages[row].error() if kind == 0 else None
        if error is None:
            row_numbers.append(row)
        else:
            _raise_if_serious(error)
    return [messages[row] for row in row_numbers], [timestamps[row] for row in row_numbers]


def _raise_if_serious(error: KafkaError) -> None:
    match error.code():
        case KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's name for it
            return
        case KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise BrokerUnavailable(
                f"{error.str()}: create the topic with `sensorwatch topics create`, or name yours "
                "in [topics] readings"
            )
        case KafkaError._AUTO_OFFSET_RESET | KafkaError.OFFSET_OUT_OF_RANGE:  # noqa: SLF001
            raise OffsetsLost(
                f"{error.str()}: the committed offset is outside what the topic still holds, so "
                "records were deleted before they were scored (retention), or the topic was made "
                "anew. Nothing was skipped. Decide where to go on, set the offset with "
                "kafka-consumer-groups --reset-offsets, and let a new account begin there with "
                "`sensorwatch state reset`"
            )
        case KafkaError.TOPIC_AUTHORIZATION_FAILED | KafkaError.GROUP_AUTHORIZATION_FAILED:
            raise UsageError(f"{error.str()}: the broker's ACLs do not let this client in")
    if error.fatal() or not (transient(error) or error.code() in _HANDLED_BY_CLIENT):
        # Also what has no flag: after a corrupt answer the client may go on at a made-up offset.
        raise Unrecoverable(f"consume: {error.name()}: {error.str()}")
