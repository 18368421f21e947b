"""The source returns only records of assigned partitions; it raises errors of this project."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from confluent_kafka import KafkaError, KafkaException

from sensorwatch.common.errors import BrokerUnavailable, OffsetsLost, Unrecoverable, UsageError
from sensorwatch.common.kafka.records import Partition
from sensorwatch.consumer.micro_batch import MicroBatch
from sensorwatch.consumer.source import (
    BACKLOG_ROWS,
    BACKLOG_WAIT_SECONDS,
    MAX_BATCH_BYTES,
    MAX_POLL_ROWS,
    KafkaSource,
)
from tests.consumer.fakes import MEMBERSHIP, TOPIC, FailedFetch, FakeConsumer, records_at
from tests.kafka.record_builders import StoredRecord


@dataclass
class FakeOwner:
    """A fake of the class Ownership; the next offset of partition n is 10 times n."""

    owned_partitions: set[Partition] = field(default_factory=set)
    partitions_without_memory: set[Partition] = field(default_factory=set)

    def assign(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        self.owned_partitions |= set(partitions)
        return {partition: 10 * partition.number for partition in partitions}

    def revoke(self, partitions: Sequence[Partition]) -> None:
        self.owned_partitions -= set(partitions)

    def reload(self) -> dict[Partition, int]:
        return {partition: 10 * partition.number for partition in sorted(self.owned_partitions)}

    def has_memory(self, partition: Partition) -> bool:
        return partition not in self.partitions_without_memory


class SourceRig:
    """A source with a fake owner; `rebalances` has the rebalances that the source reported."""

    def __init__(self, consumer: FakeConsumer, *, incremental: bool = False) -> None:
        self.owner = FakeOwner()
        self.rebalances: list[tuple[str, list[int]]] = []
        clock_readings = iter(range(1_000))
        self.source = KafkaSource(
            consumer.as_client(),
            TOPIC,
            self.owner,
            incremental=incremental,
            on_rebalance=self._store_rebalance,
            clock=lambda: float(next(clock_readings)),
        )

    def _store_rebalance(self, kind: str, partitions: Sequence[Partition]) -> None:
        self.rebalances.append((kind, [partition.number for partition in partitions]))


def record_positions(batch: MicroBatch) -> list[tuple[int, int]]:
    return [
        (partition_batch.partition.number, int(offset))
        for partition_batch in batch.partition_batches
        for offset in partition_batch.offsets
    ]


def test_a_micro_batch_has_the_available_records_and_the_membership() -> None:
    consumer = FakeConsumer(records_at(0, 5), records_at(0, 6, 7), [], records_at(0, 8))

    batch = SourceRig(consumer).source.next_batch(100, 0.05)

    assert record_positions(batch) == [(0, 5), (0, 6), (0, 7)]
    assert batch.membership == MEMBERSHIP


def test_a_worker_waits_for_more_records_only_if_it_has_a_backlog() -> None:
    """A worker without a backlog must not wait a second for a full micro-batch."""
    full_polls = BACKLOG_ROWS // MAX_POLL_ROWS
    full_batches = [
        records_at(0, *range(1 + n * MAX_POLL_ROWS, 1 + (n + 1) * MAX_POLL_ROWS))
        for n in range(full_polls)
    ]
    consumer = FakeConsumer(
        records_at(0, 0), *full_batches, records_at(0, 9_000), records_at(0, 9_001)
    )
    rig = SourceRig(consumer)

    (partition_batch,) = rig.source.next_batch(50_000, 0.05).partition_batches

    assert partition_batch.offsets.tolist() == [*range(BACKLOG_ROWS + 1), 9_000]
    assert consumer.consume_timeouts == [0.05, *[0.0] * full_polls, BACKLOG_WAIT_SECONDS]


def test_a_micro_batch_never_exceeds_max_rows() -> None:
    consumer = FakeConsumer(records_at(0, 5), records_at(0, 6), records_at(0, 7))
    rig = SourceRig(consumer)

    assert record_positions(rig.source.next_batch(2, 0.05)) == [(0, 5), (0, 6)]
    assert record_positions(rig.source.next_batch(2, 0.05)) == [(0, 7)]


def test_a_micro_batch_is_full_when_its_values_are_large() -> None:
    """A limit on the bytes of a micro-batch limits memory use and the producer's queue."""
    value_size = MAX_BATCH_BYTES // 4
    large_records = [StoredRecord(bytes(value_size), offset) for offset in range(6)]
    consumer = FakeConsumer(*[[record] for record in large_records], [StoredRecord(None, 6)])
    rig = SourceRig(consumer)

    assert record_positions(rig.source.next_batch(100, 0.05)) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert record_positions(rig.source.next_batch(100, 0.05)) == [(0, 4), (0, 5), (0, 6)]


def test_without_records_a_micro_batch_is_empty() -> None:
    assert record_positions(SourceRig(FakeConsumer()).source.next_batch(10, 0.05)) == []


@pytest.mark.parametrize(("callback", "kind"), [("on_revoke", "revoked"), ("on_lost", "lost")])
def test_records_of_a_revoked_partition_are_dropped_from_the_unfinished_micro_batch(
    callback: str, kind: str
) -> None:
    """Another worker consumes the records of a revoked partition, so this worker drops them."""

    def rebalance(consumer: FakeConsumer) -> list[object]:
        consumer.revoke_partitions(0, kind=callback)
        return [*records_at(1, 11)]

    consumer = FakeConsumer(records_at(0, 5), [*records_at(1, 10), *records_at(0, 6)], rebalance)
    rig = SourceRig(consumer)
    consumer.assign_partitions(0, 1)
    rig.source.resume_partitions([Partition(TOPIC, 0), Partition(TOPIC, 1)])

    assert record_positions(rig.source.next_batch(100, 0.05)) == [(1, 10), (1, 11)]
    assert rig.owner.owned_partitions == {Partition(TOPIC, 1)}
    assert rig.rebalances == [("assigned", [0, 1]), (kind, [0])]


@pytest.mark.parametrize("incremental", [False, True])
def test_partitions_start_at_their_next_offsets(incremental: bool) -> None:
    consumer = FakeConsumer()
    SourceRig(consumer, incremental=incremental)

    consumer.assign_partitions(1, 2)

    assert [(p.partition, p.offset) for p in consumer.assigned_partitions] == [(1, 10), (2, 20)]
    assert consumer.incremental is incremental


def test_rewinding_seeks_every_assigned_partition() -> None:
    consumer = FakeConsumer(records_at(0, 5))
    rig = SourceRig(consumer)
    consumer.assign_partitions(0, 2)
    rig.source.next_batch(10, 0.05)

    rig.source.rewind()

    assert consumer.seeks == [(0, 0), (2, 20)]


def test_rewinding_repeats_a_failed_seek_and_drops_records_that_arrive() -> None:
    consumer = FakeConsumer(records_at(0, 5))
    consumer.seek_failures = [KafkaException(KafkaError(KafkaError._STATE))]
    rig = SourceRig(consumer)
    consumer.assign_partitions(0, 2)

    rig.source.rewind()

    assert consumer.seeks == [(0, 0), (2, 20)]
    assert record_positions(rig.source.next_batch(10, 0.05)) == []


def test_rewinding_that_keeps_failing_ends_the_process() -> None:
    consumer = FakeConsumer()
    consumer.seek_failures = [KafkaException(KafkaError(KafkaError._STATE))] * 1_000
    rig = SourceRig(consumer)
    consumer.assign_partitions(0)

    with pytest.raises(Unrecoverable, match="go back"):
        rig.source.rewind()


def test_partitions_assigned_while_paused_are_paused_too() -> None:
    def rebalance(consumer: FakeConsumer) -> list[object]:
        consumer.assign_partitions(0, 1)
        return []

    consumer = FakeConsumer(rebalance)
    rig = SourceRig(consumer)
    consumer.assign_partitions(0)
    rig.source.resume_partitions([Partition(TOPIC, 0)])

    rig.source.pause()
    rig.source.poll_paused(0.1)
    assert set(consumer.paused_partitions) == {0, 1}
    rig.source.resume_partitions([Partition(TOPIC, 0), Partition(TOPIC, 1)])
    assert set(consumer.paused_partitions) == {0, 1}, "all partitions are still paused"
    rig.source.resume()
    assert set(consumer.paused_partitions) == set()


def test_new_partitions_without_a_memory_are_paused_until_resumed() -> None:
    consumer = FakeConsumer()
    rig = SourceRig(consumer)
    partition_0, partition_1 = Partition(TOPIC, 0), Partition(TOPIC, 1)
    rig.owner.partitions_without_memory = {partition_0, partition_1}

    consumer.assign_partitions(0, 1)
    assert set(consumer.paused_partitions) == {0, 1}
    rig.source.resume_partitions([partition_1])
    assert set(consumer.paused_partitions) == {0}
    rig.source.pause()
    rig.source.resume()
    assert set(consumer.paused_partitions) == {0}, (
        "`resume` does not resume a partition without a memory"
    )
    rig.source.resume_partitions([partition_0])
    assert set(consumer.paused_partitions) == set()


def test_a_new_partition_with_a_memory_is_not_paused() -> None:
    consumer = FakeConsumer()
    rig = SourceRig(consumer)
    rig.owner.partitions_without_memory = {Partition(TOPIC, 1)}

    consumer.assign_partitions(0, 1)

    assert set(consumer.paused_partitions) == {1}


def test_a_record_of_a_partition_without_a_memory_is_read_again() -> None:
    """If the client returns a record of a paused partition, that record must not be lost."""
    consumer = FakeConsumer(records_at(1, 10), records_at(0, 5), records_at(1, 11), [])
    rig = SourceRig(consumer)
    rig.owner.partitions_without_memory = {Partition(TOPIC, 1)}
    consumer.assign_partitions(0, 1)

    assert record_positions(rig.source.next_batch(100, 0.05)) == []
    assert record_positions(rig.source.next_batch(100, 0.05)) == [(0, 5)]
    rig.owner.partitions_without_memory = set()
    rig.source.resume_partitions([Partition(TOPIC, 1)])
    assert consumer.seeks == [], "the previous micro-batch may not be committed yet"

    rig.source.next_batch(100, 0.05)

    assert consumer.seeks == [(0, 0), (1, 10)]


def test_a_partition_that_lost_its_memory_is_paused_after_a_rewind() -> None:
    consumer = FakeConsumer()
    rig = SourceRig(consumer)
    consumer.assign_partitions(0, 1)
    rig.source.resume_partitions([Partition(TOPIC, 0), Partition(TOPIC, 1)])
    rig.owner.partitions_without_memory = {Partition(TOPIC, 1)}

    rig.source.rewind()

    assert set(consumer.paused_partitions) == {1}


FETCH_ERRORS: list[tuple[FailedFetch, type[Exception] | None]] = [
    (FailedFetch(KafkaError._PARTITION_EOF), None),
    (FailedFetch(KafkaError._TRANSPORT), None),
    (FailedFetch(KafkaError._ALL_BROKERS_DOWN), None),
    (FailedFetch(KafkaError.UNKNOWN_TOPIC_OR_PART), BrokerUnavailable),
    (FailedFetch(KafkaError._AUTO_OFFSET_RESET), OffsetsLost),
    (FailedFetch(KafkaError.OFFSET_OUT_OF_RANGE), OffsetsLost),
    (FailedFetch(KafkaError.TOPIC_AUTHORIZATION_FAILED), UsageError),
    (FailedFetch(KafkaError.GROUP_AUTHORIZATION_FAILED), UsageError),
    (FailedFetch(KafkaError.UNSUPPORTED_VERSION, fatal=True), Unrecoverable),
]


@pytest.mark.parametrize(
    ("failed_fetch", "error_class"),
    FETCH_ERRORS,
    ids=lambda value: getattr(value, "__name__", "fetch"),
)
def test_each_client_error_is_ignored_or_raised_as_a_project_error(
    failed_fetch: FailedFetch, error_class: type[Exception] | None
) -> None:
    source = SourceRig(FakeConsumer([failed_fetch])).source

    if error_class is None:
        assert record_positions(source.next_batch(10, 0.05)) == []
    else:
        with pytest.raises(error_class) as error_info:
            source.next_batch(10, 0.05)
        assert type(error_info.value) is error_class


def test_closing_leaves_the_group() -> None:
    consumer = FakeConsumer()

    SourceRig(consumer).source.close()

    assert consumer.is_closed
