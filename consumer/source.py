"""The input: micro-batches of records, and the accounts of the partitions that are ours."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from common.errors import BrokerUnavailable, OffsetsLost, Unrecoverable, UsageError
from common.messaging.broker_errors import transient
from common.messaging.records import Partition
from consumer.micro_batch import Columns, MicroBatch, Stamp

_MENDED_BY_THE_CLIENT = {
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
SEEK_SECONDS = 10.0


class Positions(Protocol):
    """Knows where each partition goes on; declared here, because the source asks it."""

    def assigned(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Load the accounts of newly assigned partitions; return each one's next offset."""

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Forget the accounts of partitions that are ours no more."""

    def reload(self) -> dict[Partition, int]:
        """Read all accounts again; return each partition's next offset."""

    def has(self, partition: Partition) -> bool:
        """Say whether the partition's records can be scored; else it waits for `go_on`."""


class KafkaSource:
    """Consumes one topic as a member of a group."""

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        positions: Positions,
        *,
        incremental: bool,
        on_rebalance: Callable[[str, Sequence[Partition]], None],
        seek_seconds: float = SEEK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._positions = positions
        self._incremental = incremental
        self._on_rebalance = on_rebalance
        self._seek_seconds = seek_seconds
        self._clock = clock
        self._columns = Columns()
        self._bytes = 0
        self._paused = False
        self._waiting: set[Partition] = set()
        self._passed_over: set[Partition] = set()
        """Partitions of which the client gave a record while they waited."""
        self._go_back = False
        consumer.subscribe(
            [topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
        )

    def next_batch(self, max_rows: int, max_wait_seconds: float) -> MicroBatch:
        """Wait for the first record, then take what is there, up to `max_rows`.

        It takes no more once its values reach BATCH_BYTES; the last call may have given more.
        Under load the batches grow by themselves: what arrives during a commit is there after it.
        """
        if self._go_back:  # not earlier: the micro-batch before is committed only now
            self.rewind()
        columns = self._begin()
        self._take(self._consumer.consume(1, max_wait_seconds))
        while 0 < len(columns) < max_rows and self._bytes < BATCH_BYTES:
            most = min(POLL_ROWS, max_rows - len(columns))
            patience = self._patience()
            messages = self._consumer.consume(most, patience)
            self._take(messages)
            if not messages or (patience and len(messages) < most):
                break
        # Taken right after the last consume(): later it might be of another generation.
        membership = self._consumer.consumer_group_metadata()
        return MicroBatch(columns.portions(self._topic), membership)

    def _begin(self) -> Columns:
        self._columns = Columns()
        self._bytes = 0
        return self._columns

    def _patience(self) -> float:
        """Say how long the next call may wait for more, in seconds.

        Who is behind waits for the client to fetch: a transaction costs as much for few as for
        many. It ends where less comes than could: who has caught up does not wait for more.
        """
        return BACKLOG_WAIT_SECONDS if len(self._columns) >= BACKLOG_ROWS else 0.0

    def rewind(self) -> None:
        """Go back to the committed offsets, after a micro-batch that was not committed."""
        self._go_back = False
        deadline = self._clock() + self._seek_seconds
        while True:
            self._begin()
            try:
                for partition, offset in self._positions.reload().items():
                    self._consumer.seek(TopicPartition(partition.topic, partition.number, offset))
                    if not self._positions.has(partition):
                        self._wait([partition])
            except KafkaException as error:
                if self._clock() > deadline:
                    raise Unrecoverable(
                        f"cannot go back to the committed offsets: {error}"
                    ) from error
                # Let a rebalance happen. A record that comes meanwhile is dropped, and comes again:
                # every partition is sought once more after it.
                self._take(self._consumer.consume(1, 0.05))
            else:
                return

    def pause(self) -> None:
        """Fetch nothing more, but stay a member: keep calling `wait`."""
        self._paused = True
        self._consumer.pause(self._consumer.assignment())

    def resume(self) -> None:
        """Fetch again, apart from partitions that still wait for their memory."""
        self._paused = False
        ours = self._consumer.assignment()
        self._consumer.resume([where for where in ours if _partition(where) not in self._waiting])

    def go_on(self, partitions: Sequence[Partition]) -> None:
        """Give the records of partitions that have waited for their memory."""
        self._waiting.difference_update(partitions)
        if self._passed_over.intersection(partitions):
            self._passed_over.difference_update(partitions)
            self._go_back = True
        if not self._paused:
            self.resume()

    def wait(self, seconds: float) -> None:
        """Stay a member of the group while paused; go on with `rewind`, then `resume`."""
        self._begin()
        self._take(self._consumer.consume(1, seconds))

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _take(self, messages: Sequence[Message]) -> None:
        stamps = [message.timestamp() for message in messages]
        if 0 in [kind for kind, _ in stamps]:
            messages, stamps = _without_errors(messages, stamps)
        if self._waiting:
            messages, stamps = self._without_early(messages, stamps)
        self._bytes += self._columns.extend(messages, stamps)

    def _without_early(
        self, messages: Sequence[Message], stamps: Sequence[Stamp]
    ) -> tuple[list[Message], list[Stamp]]:
        """Leave out what is of partitions that wait, and note that it has to be read again."""
        numbers = [message.partition() or 0 for message in messages]
        early = {Partition(self._topic, number) for number in numbers} & self._waiting
        self._passed_over |= early
        waiting = {partition.number for partition in early}
        kept = [row for row, number in enumerate(numbers) if number not in waiting]
        return [messages[row] for row in kept], [stamps[row] for row in kept]

    def _assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        offsets = self._positions.assigned([_partition(where) for where in partitions])
        starts = [TopicPartition(p.topic, p.number, offset) for p, offset in offsets.items()]
        if self._incremental:
            self._consumer.incremental_assign(starts)
        else:
            self._consumer.assign(starts)
        if self._paused:
            self._consumer.pause(starts)
        self._wait([partition for partition in offsets if not self._positions.has(partition)])
        self._on_rebalance("assigned", list(offsets))

    def _wait(self, partitions: Sequence[Partition]) -> None:
        """Give no records of partitions that have no memory yet, until they may go on."""
        self._waiting.update(partitions)
        self._consumer.pause([TopicPartition(p.topic, p.number) for p in partitions])

    def _revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._drop([_partition(where) for where in partitions], "revoked")

    def _lose(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._drop([_partition(where) for where in partitions], "lost")

    def _drop(self, partitions: list[Partition], kind: str) -> None:
        # Records of an earlier consume() of the same micro-batch must not be committed under the
        # generation that comes after this rebalance: they are no longer ours.
        self._columns.drop({partition.number for partition in partitions})
        self._waiting.difference_update(partitions)
        self._passed_over.difference_update(partitions)
        self._positions.revoked(partitions)
        self._on_rebalance(kind, partitions)


def _partition(where: TopicPartition) -> Partition:
    return Partition(where.topic, where.partition)


def _without_errors(
    messages: Sequence[Message], stamps: Sequence[Stamp]
) -> tuple[list[Message], list[Stamp]]:
    """Leave out what is no record; an error has no timestamp, so only what has none is asked.

    Raises what is done about an error that the client does not mend by itself.
    """
    good = []
    for row, (kind, _) in enumerate(stamps):
        error = messages[row].error() if kind == 0 else None
        if error is None:
            good.append(row)
        else:
            _raise_if_serious(error)
    return [messages[row] for row in good], [stamps[row] for row in good]


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
    if error.fatal() or not (transient(error) or error.code() in _MENDED_BY_THE_CLIENT):
        # Also what has no flag: after a corrupt answer the client may go on at a made-up offset.
        raise Unrecoverable(f"consume: {error.name()}: {error.str()}")
