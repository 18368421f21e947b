"""Reads snapshots from the state topic by exact offsets, and deletes replaced snapshots."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.broker_errors import is_transient
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.records import Coordinates, Partition
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.silent_logger import silent_logger
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
"""Size of a fetch, large enough that a snapshot needs only a few fetches."""
_FETCH_WAIT_MS = 10
"""Longest time that the broker waits for more bytes before it answers. A manifest is often the last
record of its partition, so a long wait for a further record would delay the read of the chunks."""
_NO_GROUP = "sensorwatch-reader"
"""A group id, which the client requires even if the consumer never joins a group."""


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
    """Return the snapshot `at`, which a *committed* account of an input partition names.

    `partitions`: the current number of input partitions. Every record is read by its exact offset
    with `read_uncommitted`. This level is safe, because a committed account names only records that
    were committed with it. The level avoids a wait for other open transactions. At the end, the
    chunks are compared with the digest in the manifest.

    Raises StateRefused if a record is missing or does not match the account or the manifest. Raises
    BrokerUnavailable if the broker still does not answer after `retry`, or if no record comes for
    `stall_seconds`.
    """
    manifest_position = Coordinates(topic, source.number, at.offset)
    config = reader_config(kafka, group=_NO_GROUP) | {
        "isolation.level": "read_uncommitted",
        "auto.offset.reset": "error",
        "fetch.message.max.bytes": _FETCH_BYTES,
        "fetch.wait.max.ms": _FETCH_WAIT_MS,
    }
    consumer = Consumer(config, logger=silent_logger())
    try:
        reader = _PartitionReader(consumer, topic, source.number, stall_seconds, retry, clock)
        reader.require_partition()
        (value,) = reader.read_values([at.offset])
        manifest = parse_snapshot_manifest(value, manifest_position)
        require_matching_manifest(
            manifest, manifest_position, group=group, source=source, partitions=partitions, at=at
        )
        chunks = reader.read_values(manifest.chunks)
        return snapshot_of(manifest, [chunk or b"" for chunk in chunks], manifest_position)
    except KafkaException as error:
        raise BrokerUnavailable(f'"{topic}" cannot be read: {error.args[0].str()}') from error
    finally:
        consumer.close()


class _PartitionReader:
    """Reads records of one partition by their exact offsets."""

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
        """Raise StateRefused if the topic's metadata does not contain the partition.

        A failed read does not show a missing partition, because the error is the same if only the
        partition's leader is down.
        """
        if self._number not in topic_partitions(self._consumer, self._topic, retry=self._retry):
            raise_state_refused(f'there is no partition {self._number} in "{self._topic}"')

    def read_values(self, offsets: Sequence[int]) -> list[bytes | None]:
        """Return the values of the records at `offsets`, which must be ascending.

        If records are missing, raises StateRefused with the position of the first missing record.
        """
        if not offsets:
            return []
        self._require_retained(offsets)
        self._consumer.assign([TopicPartition(self._topic, self._number, offsets[0])])
        values_by_offset: dict[int, bytes | None] = {}
        wanted_offsets = set(offsets)
        for message in self._messages():
            offset = message.offset() or 0
            if message.error() is None and offset in wanted_offsets:
                values_by_offset[offset] = message.value()
            if offset > offsets[-1] or len(values_by_offset) == len(wanted_offsets):
                break
        for offset in offsets:
            if offset not in values_by_offset:
                raise_state_refused(
                    f"the record at {self._coordinates(offset)}, which belongs to a snapshot, is "
                    "missing (it was deleted, or the topic was deleted and created again)"
                )
        return [values_by_offset[offset] for offset in offsets]

    def _require_retained(self, offsets: Sequence[int]) -> None:
        # With read_uncommitted the end offset is above the records of open transactions.
        topic_partition = TopicPartition(self._topic, self._number)
        first_offset, end_offset = partition_bounds(
            self._consumer, topic_partition, retry=self._retry
        )
        if not (first_offset <= offsets[0] and offsets[-1] < end_offset):
            raise_state_refused(
                f"the records of a snapshot, at {self._coordinates(offsets[0])} to {offsets[-1]}, "
                f"are outside the offsets {first_offset} to {end_offset - 1} that the topic has: "
                "they expired or were deleted, or the topic was deleted and created again"
            )

    def _messages(self) -> Iterator[Message]:
        """Yield messages, including the client's event that reports the end of the partition."""
        deadline = self._clock() + self._stall_seconds
        while self._clock() < deadline:
            for message in self._consumer.consume(1_000, 0.05):
                error = message.error()
                if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                    # A new leader may report the end too early, so continue to read.
                    yield message
                    deadline = self._clock() + self._stall_seconds
                elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
                    raise_state_refused(
                        f'a snapshot in "{self._topic}" was deleted while it was read'
                    )
                elif not is_transient(error):
                    raise KafkaException(error)
        raise BrokerUnavailable(
            f'"{self._topic}": no record of a snapshot came for {self._stall_seconds:g} s from '
            f"partition {self._number}: check that the broker is up"
        )

    def _coordinates(self, offset: int) -> Coordinates:
        return Coordinates(self._topic, self._number, offset)


_UNSUPPORTED_ERRORS = {
    KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001 - the client's name for it
    KafkaError.UNSUPPORTED_VERSION,
}


class OldSnapshotDeleter:
    """Deletes replaced snapshots. Deletion is best-effort; leftovers are harmless."""

    def __init__(self, admin: AdminClient, topic: str, *, warn: Callable[[str], None]) -> None:
        """Create a deleter, which calls `warn` once if the broker refuses a deletion."""
        self._admin = admin
        self._topic = topic
        self._warn = warn
        self._warned = False
        self._pending_answers: dict[int, Future[Any]] = {}

    def delete_before(self, partition: int, offset: int) -> None:
        """Request deletion of a partition's records below `offset`; do not wait for the answer.

        `offset`: the offset after the manifest of the replaced snapshot. All records of that
        snapshot are below `offset`, and all records of the newer committed snapshot are at or above
        it.
        """
        previous_answer = self._pending_answers.pop(partition, None)
        if previous_answer is not None and previous_answer.done():
            self._check_answer(previous_answer)
        request = [TopicPartition(self._topic, partition, offset)]
        try:
            (self._pending_answers[partition],) = self._admin.delete_records(request).values()
        except KafkaException as error:
            self._warn_once(error)

    def _check_answer(self, answer: "Future[Any]") -> None:
        error = answer.exception()
        if isinstance(error, KafkaException):
            self._warn_once(error)

    def _warn_once(self, failure: KafkaException) -> None:
        error = failure.args[0]
        # No warning is needed after a transient error, because the next request deletes these
        # records too. No warning is needed either if the broker does not support the deletion of
        # records.
        is_harmless = is_transient(error) or error.code() in _UNSUPPORTED_ERRORS
        if not is_harmless and not self._warned:
            self._warned = True
            self._warn(
                f'old snapshots in "{self._topic}" cannot be deleted: {error.str()}. The topic '
                "grows: give this program the right to delete records, or delete them yourself"
            )
