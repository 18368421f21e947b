"""Snapshots on a real Kafka: written in a transaction, found by offset past anybody's open one."""

import random
from collections.abc import Iterator, Mapping

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from sensorwatch.common.errors import StateRefused
from sensorwatch.common.kafka.client_config import producer_config
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.silent_logger import quiet_logger
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.kafka.state_topic import OldSnapshotDeleter, read_snapshot
from sensorwatch.common.kafka.topic_reader import watermarks
from sensorwatch.common.ledger.account import SnapshotRef
from sensorwatch.consumer.publishing.outbox import Commit, CommitPlan
from sensorwatch.consumer.publishing.transactional_outbox import TransactionalOutbox
from tests.brokers.child_processes import wait_until
from tests.brokers.kafka import Kafka
from tests.kafka.snapshot_builders import a_snapshot

pytestmark = [pytest.mark.broker, pytest.mark.slow]

CHUNK_BYTES = 1_000


class Rig:
    """A worker's outbox, and what is read back of its snapshots."""

    def __init__(self, kafka: Kafka) -> None:
        self.kafka = {"bootstrap.servers": kafka.address}
        self.state = kafka.unused_topic("state", partitions=2)
        self.input = kafka.unused_topic("input", partitions=2)
        self.outbox = self.new_outbox()
        # A group of one, that assigns itself, is one without generations.
        self.consumer = Consumer({**self.kafka, "group.id": self.state}, logger=quiet_logger())
        self.committed: dict[int, SnapshotRef] = {}

    def new_outbox(self) -> TransactionalOutbox:
        return TransactionalOutbox(
            lambda: self.producer("worker"),
            transactional_id="worker",
            start_seconds=20,
            transaction_seconds=20,
            state_topic=self.state,
            chunk_bytes=CHUNK_BYTES,
        )

    def producer(self, name: str) -> Producer:
        config = producer_config(self.kafka, transactional_id=f"{self.state}.{name}")
        return Producer(config, logger=quiet_logger())

    def other(self) -> Producer:
        """Another producer with an open transaction and records in both partitions."""
        other = self.producer("other")
        other.init_transactions(20)
        other.begin_transaction()
        for number in (0, 1):
            other.produce(self.state, b"of another producer", partition=number)
        assert other.flush(20) == 0
        return other

    def snapshot(self, content: bytes, *, number: int = 0, next_offset: int = 7) -> Snapshot:
        where = Partition(self.input, number)
        return a_snapshot(content, source=where, next_offset=next_offset)

    def publish(self, *snapshots: Snapshot, failing: Exception | None = None) -> None:
        messages: dict[Partition, int] = {}

        def plan_commit(manifests: Mapping[Partition, int]) -> CommitPlan:
            messages.update(manifests)
            if failing is not None:
                raise failing
            return CommitPlan([], [Commit(s.source, s.next_offset, "") for s in snapshots])

        message = OutgoingMessage(self.input, None, b"a result", [])
        membership = self.consumer.consumer_group_metadata()
        self.outbox.publish([message], plan_commit, membership, snapshots=snapshots)
        for snapshot in snapshots:
            at = SnapshotRef(messages[snapshot.source], snapshot.next_offset)
            self.committed[snapshot.source.number] = at

    def read(self, number: int = 0, *, at: SnapshotRef | None = None) -> Snapshot:
        return read_snapshot(
            self.kafka,
            self.state,
            at or self.committed[number],
            group="g",
            source=Partition(self.input, number),
            partitions=4,
        )


@pytest.fixture
def rig(kafka: Kafka) -> Iterator[Rig]:
    rig = Rig(kafka)
    yield rig
    rig.outbox.close()
    rig.consumer.close()


def noise(size: int, *, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def test_snapshots_are_read_past_anybodys_open_transaction(rig: Rig) -> None:
    """One is open below the snapshots and one above: a reader of what is committed would wait."""
    below = rig.other()
    one, two = rig.snapshot(noise(4_500)), rig.snapshot(noise(1, seed=2), number=1, next_offset=9)

    rig.publish(one, two)
    below.produce(rig.state, b"above as well", partition=0)
    assert below.flush(20) == 0

    assert rig.read(0) == one
    assert rig.read(1) == two
    assert below_last_stable(rig) == 0
    below.abort_transaction(20)
    assert rig.read(0) == one


def below_last_stable(rig: Rig) -> int:
    """How much of the state a reader of what is committed would find."""
    config = {**rig.kafka, "group.id": "unused", "isolation.level": "read_committed"}
    consumer = Consumer(config, logger=quiet_logger())
    try:
        low, stable = consumer.get_watermark_offsets(TopicPartition(rig.state, 0), 10)
        return stable - low
    finally:
        consumer.close()


def test_what_was_aborted_is_named_by_no_manifest(rig: Rig) -> None:
    """Chunks of another producer and of our own first try are skipped."""
    with pytest.raises(ZeroDivisionError):
        rig.publish(rig.snapshot(noise(3_000, seed=3)), failing=ZeroDivisionError())
    rig.outbox.close()
    rig.outbox = rig.new_outbox()
    other = rig.other()
    snapshot = rig.snapshot(noise(3_000))

    rig.publish(snapshot)
    other.abort_transaction(20)

    # Three chunks, a manifest and a marker of the first try; a record of another producer; ours.
    assert rig.committed[0].offset == 5 + 1 + 3
    assert rig.read() == snapshot


def test_a_cold_memory_has_a_manifest_and_no_chunks(rig: Rig) -> None:
    rig.publish(rig.snapshot(b""))

    assert rig.committed[0].offset == 0
    assert rig.read() == rig.snapshot(b"")


def test_what_a_newer_snapshot_replaces_is_deleted(rig: Rig) -> None:
    first, second = rig.snapshot(noise(2_500)), rig.snapshot(noise(500), next_offset=8)
    rig.publish(first)
    before = rig.committed[0]
    rig.publish(second)
    warnings: list[str] = []
    old = OldSnapshotDeleter(AdminClient({**rig.kafka}), rig.state, warn=warnings.append)

    old.delete_before(0, before.offset + 1)

    wait_until(
        lambda: watermarks(rig.kafka, rig.state)[0][0] == before.offset + 1,
        deadline=20,
        what="the first snapshot to be deleted",
    )
    assert rig.read() == second
    with pytest.raises(StateRefused, match=f"offsets {before.offset + 1} to .*deleted"):
        rig.read(at=before)
    old.delete_before(0, before.offset + 1)
    assert warnings == []


def test_what_is_not_there_is_refused_with_the_remedy(rig: Rig) -> None:
    rig.publish(rig.snapshot(noise(1_500)))
    manifest = rig.committed[0].offset

    for offset, said in (
        (manifest + 1, f"the record at {rig.state}-0-{manifest + 1}, .* is missing"),  # the marker
        (manifest + 2, r"are outside the offsets 0 to 3"),
        (manifest - 1, "is not a snapshot manifest"),
    ):
        with pytest.raises(StateRefused, match=said) as caught:
            rig.read(at=SnapshotRef(offset, 7))
        assert "`sensorwatch state reset`" in str(caught.value)
    with pytest.raises(StateRefused, match=rf'no partition 5 in "{rig.state}"'):
        rig.read(5, at=SnapshotRef(0, 7))
