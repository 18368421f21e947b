"""Micro-batches hold only records that are ours, and errors become what is done about them."""

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
    BATCH_BYTES,
    POLL_ROWS,
    KafkaSource,
)
from tests.consumer.fakes import MEMBERSHIP, TOPIC, FailedFetch, FakeConsumer, records
from tests.kafka.record_builders import StoredRecord


@dataclass
class FakeOwner:
    """Every partition goes on at 10 times its number."""

    held: set[Partition] = field(default_factory=set)
    forgotten: set[Partition] = field(default_factory=set)
    """Partitions whose memory is not there."""

    def assign(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        self.held |= set(partitions)
        return {partition: 10 * partition.number for partition in partitions}

    def revoke(self, partitions: Sequence[Partition]) -> None:
        self.held -= set(partitions)

    def reload(self) -> dict[Partition, int]:
        return {partition: 10 * partition.number for partition in sorted(self.held)}

    def has_memory(self, partition: Partition) -> bool:
        return partition not in self.forgotten


class Rig:
    def __init__(self, consumer: FakeConsumer, *, incremental: bool = False) -> None:
        self.positions = FakeOwner()
        self.told: list[tuple[str, list[int]]] = []
        ticks = iter(range(1_000))
        self.source = KafkaSource(
            consumer.as_client(),
            TOPIC,
            self.positions,
            incremental=incremental,
            on_rebalance=lambda kind, gone: self.told.append((kind, [p.number for p in gone])),
            clock=lambda: float(next(ticks)),
        )


def where(batch: MicroBatch) -> list[tuple[int, int]]:
    return [
        (partition_batch.partition.number, int(offset))
        for partition_batch in batch.partition_batches
        for offset in partition_batch.offsets
    ]


def test_a_batch_is_what_is_there_and_carries_the_membership() -> None:
    consumer = FakeConsumer(records(0, 5), records(0, 6, 7), [], records(0, 8))

    batch = Rig(consumer).source.next_batch(100, 0.05)

    assert where(batch) == [(0, 5), (0, 6), (0, 7)]
    assert batch.membership == MEMBERSHIP


def test_a_worker_that_is_behind_fills_its_batch_and_one_that_caught_up_does_not_wait() -> None:
    """Else at a rate that it could easily bear it would wait for a full batch, for a second."""
    calls = BACKLOG_ROWS // POLL_ROWS
    full = [records(0, *range(1 + n * POLL_ROWS, 1 + (n + 1) * POLL_ROWS)) for n in range(calls)]
    consumer = FakeConsumer(records(0, 0), *full, records(0, 9_000), records(0, 9_001))
    rig = Rig(consumer)

    (partition_batch,) = rig.source.next_batch(50_000, 0.05).partition_batches

    assert partition_batch.offsets.tolist() == [*range(BACKLOG_ROWS + 1), 9_000]
    assert consumer.waited == [0.05, *[0.0] * calls, BACKLOG_WAIT_SECONDS]


def test_a_batch_is_never_larger_than_asked() -> None:
    consumer = FakeConsumer(records(0, 5), records(0, 6), records(0, 7))
    rig = Rig(consumer)

    assert where(rig.source.next_batch(2, 0.05)) == [(0, 5), (0, 6)]
    assert where(rig.source.next_batch(2, 0.05)) == [(0, 7)]


def test_a_batch_takes_no_more_once_its_values_are_large() -> None:
    """So many rows of so many bytes are never in memory, nor in the producer's queue, at once."""
    size = BATCH_BYTES // 4
    large = [StoredRecord(bytes(size), offset) for offset in range(6)]
    consumer = FakeConsumer(*[[record] for record in large], [StoredRecord(None, 6)])
    rig = Rig(consumer)

    assert where(rig.source.next_batch(100, 0.05)) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert where(rig.source.next_batch(100, 0.05)) == [(0, 4), (0, 5), (0, 6)]


def test_nothing_there_is_an_empty_batch() -> None:
    assert where(Rig(FakeConsumer()).source.next_batch(10, 0.05)) == []


@pytest.mark.parametrize(("kind", "told"), [("on_revoke", "revoked"), ("on_lost", "lost")])
def test_records_of_a_partition_that_goes_are_dropped_from_the_unfinished_batch(
    kind: str, told: str
) -> None:
    """Else they would be committed under the generation that comes after."""

    def rebalance(consumer: FakeConsumer) -> list[object]:
        consumer.revoke_partitions(0, kind=kind)
        return [*records(1, 11)]

    consumer = FakeConsumer(records(0, 5), [*records(1, 10), *records(0, 6)], rebalance)
    rig = Rig(consumer)
    consumer.assign_partitions(0, 1)
    rig.source.resume_partitions([Partition(TOPIC, 0), Partition(TOPIC, 1)])

    assert where(rig.source.next_batch(100, 0.05)) == [(1, 10), (1, 11)]
    assert rig.positions.held == {Partition(TOPIC, 1)}
    assert rig.told == [("assigned", [0, 1]), (told, [0])]


@pytest.mark.parametrize("incremental", [False, True])
def test_partitions_begin_at_their_accounts(incremental: bool) -> None:
    consumer = FakeConsumer()
    Rig(consumer, incremental=incremental)

    consumer.assign_partitions(1, 2)

    assert [(p.partition, p.offset) for p in consumer.assigned] == [(1, 10), (2, 20)]
    assert consumer.incremental is incremental


def test_rewinding_seeks_every_partition_that_is_ours() -> None:
    consumer = FakeConsumer(records(0, 5))
    rig = Rig(consumer)
    consumer.assign_partitions(0, 2)
    rig.source.next_batch(10, 0.05)

    rig.source.rewind()

    assert consumer.sought == [(0, 0), (2, 20)]


def test_rewinding_tries_again_and_drops_what_comes_meanwhile() -> None:
    consumer = FakeConsumer(records(0, 5))
    consumer.seek_failures = [KafkaException(KafkaError(KafkaError._STATE))]
    rig = Rig(consumer)
    consumer.assign_partitions(0, 2)

    rig.source.rewind()

    assert consumer.sought == [(0, 0), (2, 20)]
    assert where(rig.source.next_batch(10, 0.05)) == []


def test_rewinding_in_vain_ends_the_process() -> None:
    consumer = FakeConsumer()
    consumer.seek_failures = [KafkaException(KafkaError(KafkaError._STATE))] * 1_000
    rig = Rig(consumer)
    consumer.assign_partitions(0)

    with pytest.raises(Unrecoverable, match="go back"):
        rig.source.rewind()


def test_paused_it_stays_a_member_and_new_partitions_are_paused_too() -> None:
    def rebalance(consumer: FakeConsumer) -> list[object]:
        consumer.assign_partitions(0, 1)
        return []

    consumer = FakeConsumer(rebalance)
    rig = Rig(consumer)
    consumer.assign_partitions(0)
    rig.source.resume_partitions([Partition(TOPIC, 0)])

    rig.source.pause()
    rig.source.poll_paused(0.1)
    assert set(consumer.paused) == {0, 1}
    rig.source.resume_partitions([Partition(TOPIC, 0), Partition(TOPIC, 1)])
    assert set(consumer.paused) == {0, 1}, "while all of them are paused"
    rig.source.resume()
    assert set(consumer.paused) == set()


def test_new_partitions_wait_until_they_may_go_on() -> None:
    consumer = FakeConsumer()
    rig = Rig(consumer)
    zero, one = Partition(TOPIC, 0), Partition(TOPIC, 1)
    rig.positions.forgotten = {zero, one}

    consumer.assign_partitions(0, 1)
    assert set(consumer.paused) == {0, 1}
    rig.source.resume_partitions([one])
    assert set(consumer.paused) == {0}
    rig.source.pause()
    rig.source.resume()
    assert set(consumer.paused) == {0}, "the breaker lets nothing go on that has no memory"
    rig.source.resume_partitions([zero])
    assert set(consumer.paused) == set()


def test_a_partition_that_has_its_memory_does_not_wait() -> None:
    consumer = FakeConsumer()
    rig = Rig(consumer)
    rig.positions.forgotten = {Partition(TOPIC, 1)}

    consumer.assign_partitions(0, 1)

    assert set(consumer.paused) == {1}


def test_a_record_that_comes_before_its_partition_may_go_on_is_read_again() -> None:
    """The client promises that none comes; but one that got lost here would never be scored."""
    consumer = FakeConsumer(records(1, 10), records(0, 5), records(1, 11), [])
    rig = Rig(consumer)
    rig.positions.forgotten = {Partition(TOPIC, 1)}
    consumer.assign_partitions(0, 1)

    assert where(rig.source.next_batch(100, 0.05)) == []
    assert where(rig.source.next_batch(100, 0.05)) == [(0, 5)]
    rig.positions.forgotten = set()
    rig.source.resume_partitions([Partition(TOPIC, 1)])
    assert consumer.sought == [], "a micro-batch may still wait for its commit"

    rig.source.next_batch(100, 0.05)

    assert consumer.sought == [(0, 0), (1, 10)]


def test_a_partition_whose_memory_is_lost_waits_again_after_going_back() -> None:
    consumer = FakeConsumer()
    rig = Rig(consumer)
    consumer.assign_partitions(0, 1)
    rig.source.resume_partitions([Partition(TOPIC, 0), Partition(TOPIC, 1)])
    rig.positions.forgotten = {Partition(TOPIC, 1)}

    rig.source.rewind()

    assert set(consumer.paused) == {1}


ERRORS: list[tuple[FailedFetch, type[Exception] | None]] = [
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
    ("failed", "raised"), ERRORS, ids=lambda value: getattr(value, "__name__", "fetch")
)
def test_each_error_of_fetching_has_its_reaction(
    failed: FailedFetch, raised: type[Exception] | None
) -> None:
    source = Rig(FakeConsumer([failed])).source

    if raised is None:
        assert where(source.next_batch(10, 0.05)) == []
    else:
        with pytest.raises(raised) as caught:
            source.next_batch(10, 0.05)
        assert type(caught.value) is raised


def test_closing_leaves_the_group() -> None:
    consumer = FakeConsumer()

    Rig(consumer).source.close()

    assert consumer.closed
