"""Snapshots on a real Kafka are written in a transaction and read by offset.

Open transactions of other producers do not block the reader.
"""

import random
from collections.abc import Iterator, Mapping

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from sensorwatch.common.errors import StateRefused
from sensorwatch.common.kafka.client_config import producer_config
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.silent_logger import silent_logger
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


class WorkerRig:
    """A worker's outbox for messages, with methods that publish snapshots and read them back."""

    def __init__(self, kafka: Kafka) -> None:
        self.kafka = {"bootstrap.servers": kafka.address}
        self.state_topic = kafka.create_unique_topic("state", partitions=2)
        self.input_topic = kafka.create_unique_topic("input", partitions=2)
        self.outbox = self.new_outbox()
        # This consumer chooses its partitions by itself, so it has no group generation.
        self.consumer = Consumer(
            {**self.kafka, "group.id": self.state_topic}, logger=silent_logger()
        )
        self.committed_snapshots: dict[int, SnapshotRef] = {}

    def new_outbox(self) -> TransactionalOutbox:
        return TransactionalOutbox(
            lambda: self.producer("worker"),
            transactional_id="worker",
            start_seconds=20,
            transaction_seconds=20,
            state_topic=self.state_topic,
            chunk_bytes=CHUNK_BYTES,
        )

    def producer(self, name: str) -> Producer:
        config = producer_config(self.kafka, transactional_id=f"{self.state_topic}.{name}")
        return Producer(config, logger=silent_logger())

    def open_other_transaction(self) -> Producer:
        """Return another producer that has an open transaction with records in both partitions."""
        producer = self.producer("other")
        producer.init_transactions(20)
        producer.begin_transaction()
        for partition in (0, 1):
            producer.produce(self.state_topic, b"of another producer", partition=partition)
        assert producer.flush(20) == 0
        return producer

    def snapshot(self, content: bytes, *, partition: int = 0, next_offset: int = 7) -> Snapshot:
        source = Partition(self.input_topic, partition)
        return a_snapshot(content, source=source, next_offset=next_offset)

    def publish(self, *snapshots: Snapshot, error: Exception | None = None) -> None:
        manifest_offsets: dict[Partition, int] = {}

        def plan_commit(manifests: Mapping[Partition, int]) -> CommitPlan:
            manifest_offsets.update(manifests)
            if error is not None:
                raise error
            return CommitPlan(
                [], [Commit(snapshot.source, snapshot.next_offset, "") for snapshot in snapshots]
            )

        message = OutgoingMessage(self.input_topic, None, b"a result", [])
        membership = self.consumer.consumer_group_metadata()
        self.outbox.publish([message], plan_commit, membership, snapshots=snapshots)
        for snapshot in snapshots:
            snapshot_ref = SnapshotRef(manifest_offsets[snapshot.source], snapshot.next_offset)
            self.committed_snapshots[snapshot.source.number] = snapshot_ref

    def read(self, partition: int = 0, *, snapshot_ref: SnapshotRef | None = None) -> Snapshot:
        return read_snapshot(
            self.kafka,
            self.state_topic,
            snapshot_ref or self.committed_snapshots[partition],
            group="g",
            source=Partition(self.input_topic, partition),
            partitions=4,
        )


@pytest.fixture
def rig(kafka: Kafka) -> Iterator[WorkerRig]:
    rig = WorkerRig(kafka)
    yield rig
    rig.outbox.close()
    rig.consumer.close()


def random_content(content_bytes: int, *, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(content_bytes)


def test_open_transactions_do_not_block_the_reader_of_snapshots(rig: WorkerRig) -> None:
    """An open transaction of another producer has records before and after the snapshots.

    A consumer that reads only committed records would wait until that transaction ends.
    """
    other_producer = rig.open_other_transaction()
    first_snapshot = rig.snapshot(random_content(4_500))
    second_snapshot = rig.snapshot(random_content(1, seed=2), partition=1, next_offset=9)

    rig.publish(first_snapshot, second_snapshot)
    other_producer.produce(rig.state_topic, b"above as well", partition=0)
    assert other_producer.flush(20) == 0

    assert rig.read(0) == first_snapshot
    assert rig.read(1) == second_snapshot
    assert readable_records(rig) == 0
    other_producer.abort_transaction(20)
    assert rig.read(0) == first_snapshot


def readable_records(rig: WorkerRig) -> int:
    """Return how many records of the state topic a consumer with `read_committed` could read."""
    config = {**rig.kafka, "group.id": "unused", "isolation.level": "read_committed"}
    consumer = Consumer(config, logger=silent_logger())
    try:
        low_watermark, last_stable_offset = consumer.get_watermark_offsets(
            TopicPartition(rig.state_topic, 0), 10
        )
        return last_stable_offset - low_watermark
    finally:
        consumer.close()


def test_a_manifest_names_no_aborted_chunk(rig: WorkerRig) -> None:
    """A reader skips aborted chunks, both of another producer and of the worker's first attempt."""
    with pytest.raises(ZeroDivisionError):
        rig.publish(rig.snapshot(random_content(3_000, seed=3)), error=ZeroDivisionError())
    rig.outbox.close()
    rig.outbox = rig.new_outbox()
    other_producer = rig.open_other_transaction()
    snapshot = rig.snapshot(random_content(3_000))

    rig.publish(snapshot)
    other_producer.abort_transaction(20)

    # The manifest follows five records of the first attempt (three chunks, a manifest and a
    # transaction marker), one of the other producer, and three chunks of the second attempt.
    assert rig.committed_snapshots[0].offset == 5 + 1 + 3
    assert rig.read() == snapshot


def test_the_snapshot_of_a_cold_memory_has_a_manifest_and_no_chunks(rig: WorkerRig) -> None:
    rig.publish(rig.snapshot(b""))

    assert rig.committed_snapshots[0].offset == 0
    assert rig.read() == rig.snapshot(b"")


def test_a_snapshot_is_deleted_after_a_newer_snapshot_replaced_it(rig: WorkerRig) -> None:
    first_snapshot = rig.snapshot(random_content(2_500))
    second_snapshot = rig.snapshot(random_content(500), next_offset=8)
    rig.publish(first_snapshot)
    first_ref = rig.committed_snapshots[0]
    rig.publish(second_snapshot)
    warnings: list[str] = []
    deleter = OldSnapshotDeleter(AdminClient({**rig.kafka}), rig.state_topic, warn=warnings.append)

    deleter.delete_before(0, first_ref.offset + 1)

    wait_until(
        lambda: watermarks(rig.kafka, rig.state_topic)[0][0] == first_ref.offset + 1,
        deadline=20,
        what="the first snapshot to be deleted",
    )
    assert rig.read() == second_snapshot
    with pytest.raises(StateRefused, match=f"offsets {first_ref.offset + 1} to .*deleted"):
        rig.read(snapshot_ref=first_ref)
    deleter.delete_before(0, first_ref.offset + 1)
    assert warnings == []


def test_the_error_for_a_missing_snapshot_names_the_remedy(rig: WorkerRig) -> None:
    rig.publish(rig.snapshot(random_content(1_500)))
    manifest = rig.committed_snapshots[0].offset

    marker_offset = manifest + 1  # of the transaction marker
    for offset, message in (
        (marker_offset, f"the record at {rig.state_topic}-0-{marker_offset}, .* is missing"),
        (manifest + 2, r"are outside the offsets 0 to 3"),
        (manifest - 1, "is not a snapshot manifest"),
    ):
        with pytest.raises(StateRefused, match=message) as error_info:
            rig.read(snapshot_ref=SnapshotRef(offset, 7))
        assert "`sensorwatch state reset`" in str(error_info.value)
    with pytest.raises(StateRefused, match=rf'no partition 5 in "{rig.state_topic}"'):
        rig.read(5, snapshot_ref=SnapshotRef(0, 7))
