"""The state topic: a snapshot read back by the offset that the ledger names, old ones deleted."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.broker_errors import transient
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.records import Coordinates, Partition
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.silent_logger import quiet_logger
from sensorwatch.common.kafka.snapshot_text import (
    Snapshot,
    parse_snapshot_manifest,
    raise_state_refused,
    require_matching_manifest,
    snapshot_of,
)
from sensorwatch.common.kafka.topic_reader import SHORT_RETRY, partition_bounds, topic_partitions
from sensorwatch.common.ledger.account import SnapshotRef

STALL_TIMEOUT_SECONDS = 30.0
_FETCH_BYTES = 16_000_000
"""A snapshot comes in a few answers of the broker, not in one for each chunk."""
_FETCH_WAIT_MS = 10
"""A manifest is often the last record: its successor, which may never come, holds up the chunks."""
_NO_GROUP = "sensorwatch-reader"
"""The client wants a group id even for a consumer that never joins one."""


def read_snapshot(
    kafka: Mapping[str, Any],
    topic: str,
    at: SnapshotRef,
    *,
    group: str,
    source: Partition,
    partitions: int,
    stall_seconds: float = STALL_TIMEOUT_SECONDS,
    retry: RetryPolicy = SHORT_RETRY,
    clock: Callable[[], float] = time.monotonic,
) -> Snapshot:
    """Read the snapshot of a partition of the input that a *committed* account names.

    `partitions`: how many the input has now. Every record is asked for by its exact offset, and
    with `read_uncommitted`: an offset that stands in a committed account names records that were
    committed with it, so there is no need to wait for a transaction that somebody else holds open
    below or above them; and whatever else lies there, aborted or open, no offset names. The digest
    in the manifest has the last word.

    Raises StateRefused where a record is gone, or is not what the account means; BrokerUnavailable
    if the broker still does not answer after `retry`, or if no record comes for `stall_seconds`.
    """
    where = Coordinates(topic, source.number, at.offset)
    config = reader_config(kafka, group=_NO_GROUP) | {
        "isolation.level": "read_uncommitted",
        "auto.offset.reset": "error",
        "fetch.message.max.bytes": _FETCH_BYTES,
        "fetch.wait.max.ms": _FETCH_WAIT_MS,
    }
    consumer = Consumer(config, logger=quiet_logger())
    try:
        reader = _PartitionReader(consumer, topic, source.number, stall_seconds, retry, clock)
        reader.require_partition()
        (value,) = reader.read_values([at.offset])
        manifest = parse_snapshot_manifest(value, where)
        require_matching_manifest(
            manifest, where, group=group, source=source, partitions=partitions, at=at
        )
        chunks = reader.read_values(manifest.chunks)
        return snapshot_of(manifest, [chunk or b"" for chunk in chunks], where)
    except KafkaException as error:
        raise BrokerUnavailable(f'"{topic}" cannot be read: {error.args[0].str()}') from error
    finally:
        consumer.close()


class _PartitionReader:
    """Records of one partition by their exact offsets."""

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        number: int,
        stall_seconds: float,
        retry: RetryPolicy,
        clock: Callable[[], float],
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._number = number
        self._stall_seconds = stall_seconds
        self._retry = retry
        self._clock = clock

    def require_partition(self) -> None:
        """Raise StateRefused if the metadata has no such partition.

        The error of reading a partition does not say it: if only its leader is away, the error is
        the same.
        """
        if self._number not in topic_partitions(self._consumer, self._topic, retry=self._retry):
            raise_state_refused(f'there is no partition {self._number} in "{self._topic}"')

    def read_values(self, offsets: Sequence[int]) -> list[bytes | None]:
        """Return the values of the records at these rising offsets.

        Raises StateRefused naming the first that is not there.
        """
        if not offsets:
            return []
        self._require_retained(offsets)
        self._consumer.assign([TopicPartition(self._topic, self._number, offsets[0])])
        values_by_offset: dict[int, bytes | None] = {}
        wanted = set(offsets)
        for message in self._messages():
            offset = message.offset() or 0
            if message.error() is None and offset in wanted:
                values_by_offset[offset] = message.value()
            if offset > offsets[-1] or len(values_by_offset) == len(wanted):
                break
        for offset in offsets:
            if offset not in values_by_offset:
                raise_state_refused(
                    f"there is no record at {self._coordinates(offset)}, which belongs to a snapshot "
                    "(deleted, or a transaction's marker: was the topic made anew?)"
                )
        return [values_by_offset[offset] for offset in offsets]

    def _require_retained(self, offsets: Sequence[int]) -> None:
        # Asked of the broker with read_uncommitted: up to the end, open transactions included.
        topic_partition = TopicPartition(self._topic, self._number)
        low, high = partition_bounds(self._consumer, topic_partition, retry=self._retry)
        if not (low <= offsets[0] and offsets[-1] < high):
            raise_state_refused(
                f"the records of a snapshot, at {self._coordinates(offsets[0])} to {offsets[-1]}, are "
                f"not among what the topic holds there (offsets {low} to {high - 1}): deleted, "
                "expired, or the topic was made anew"
            )

    def _messages(self) -> Iterator[Message]:
        """Yield what comes, the news that the partition's end is reached included."""
        deadline = self._clock() + self._stall_seconds
        while self._clock() < deadline:
            for message in self._consumer.consume(1_000, 0.05):
                error = message.error()
                if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its name
                    # A new leader may say too early where the end is; then more follows.
                    yield message
                    deadline = self._clock() + self._stall_seconds
                elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
                    raise_state_refused(
                        f'a snapshot in "{self._topic}" was deleted while it was read'
                    )
                elif not transient(error):
                    raise KafkaException(error)
        raise BrokerUnavailable(
            f'"{self._topic}": no record came for {self._stall_seconds:g} s of a snapshot in '
            f"partition {self._number}: is the broker up?"
        )

    def _coordinates(self, offset: int) -> Coordinates:
        return Coordinates(self._topic, self._number, offset)


_UNSUPPORTED_ERRORS = {
    KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001 - the client's name for it
    KafkaError.UNSUPPORTED_VERSION,
}


class OldSnapshotDeleter:
    """Deletes what no account names any more, as well as it can: what stays only takes room."""

    def __init__(self, admin: AdminClient, topic: str, *, warn: Callable[[str], None]) -> None:
        """`warn`: is told once, where the broker refuses."""
        self._admin = admin
        self._topic = topic
        self._warn = warn
        self._warned = False
        self._pending: dict[int, Future[Any]] = {}

    def delete_before(self, partition: int, offset: int) -> None:
        """Ask for the records of a partition below `offset` to be deleted; never waits.

        `offset`: one past the manifest of the snapshot that a newer, committed one replaces; what
        it needs lies below its manifest, what the newer one needs above.
        """
        previous = self._pending.pop(partition, None)
        if previous is not None and previous.done():
            self._check_answer(previous)
        request = [TopicPartition(self._topic, partition, offset)]
        try:
            (self._pending[partition],) = self._admin.delete_records(request).values()
        except KafkaException as error:
            self._warn_once(error)

    def _check_answer(self, answer: "Future[Any]") -> None:
        error = answer.exception()
        if isinstance(error, KafkaException):
            self._warn_once(error)

    def _warn_once(self, failure: KafkaException) -> None:
        error = failure.args[0]
        # What passes, the next time mends; and a broker that cannot delete does not have to.
        harmless = transient(error) or error.code() in _UNSUPPORTED_ERRORS
        if not harmless and not self._warned:
            self._warned = True
            self._warn(
                f'old snapshots in "{self._topic}" cannot be deleted: {error.str()}. The topic '
                "grows until this program may delete its records, or somebody does it instead"
            )
