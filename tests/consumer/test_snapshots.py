"""A snapshot and a ledger record are written in each interval and at each model swap."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sensorwatch.common.errors import MicroBatchAborted, OutcomeUnknown, SensorwatchError
from sensorwatch.common.kafka.ledger_text import Cause, LedgerRecord, ledger_record, to_metadata
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.ledger.account import SnapshotRef
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes, memory_to_bytes
from sensorwatch.consumer.snapshot_schedule import KEPT_SNAPSHOTS
from tests.consumer.fakes import TOPIC, FakeConsumer
from tests.consumer.rig import (
    NEW_VERSION,
    OLD_VERSION,
    PARTITION_0,
    THREE_PAYLOADS,
    LoopRig,
    batch_steps,
)
from tests.kafka.record_builders import StoredRecord
from tests.reading_builders import a_detector

PARTITION_1 = Partition(TOPIC, 1)


def ledger_records(messages: Sequence[OutgoingMessage]) -> list[LedgerRecord]:
    return [ledger_record(m.value) for m in messages if m.topic == "g.ledger"]


def ledger_summaries(rig: LoopRig) -> list[tuple[int, Cause, int, str]]:
    """Return partition, cause, offset and model version of every ledger record."""
    return [
        (record.partition, record.cause, record.account.next_offset, record.account.model_version)
        for messages, _ in rig.outbox.published_batches
        for record in ledger_records(messages)
    ]


def require_snapshots(rig: LoopRig) -> None:
    """Check that each ledger record names a snapshot at its offset, except with Cause.OPENED."""
    for messages, _ in rig.outbox.published_batches:
        for record in ledger_records(messages):
            snapshot_ref = record.account.snapshot
            if record.cause is Cause.OPENED:
                assert snapshot_ref is None
                continue
            assert snapshot_ref is not None
            assert snapshot_ref.next_offset == record.account.next_offset
            assert snapshot_ref in rig.state_topic.snapshots


def test_snapshots_are_written_at_the_first_commit_and_each_interval_of_rows() -> None:
    steps = [
        step
        for first_offset in range(0, 18, 3)
        for step in batch_steps(*THREE_PAYLOADS, first_offset=first_offset)
    ]
    rig = LoopRig(*steps, snapshot_every_rows=6).with_opened_account()

    rig.run()

    assert [(cause, offset) for _, cause, offset, _ in ledger_summaries(rig)] == [
        (Cause.INTERVAL, offset) for offset in (3, 9, 15)
    ]
    require_snapshots(rig)
    assert rig.metric("snapshots_total") == 3
    assert rig.accounts.by_partition[PARTITION_0].snapshot == max(
        rig.state_topic.snapshots, key=lambda snapshot_ref: snapshot_ref.offset
    )


def test_an_idle_partition_gets_a_snapshot_after_each_interval_of_seconds() -> None:
    """With an old snapshot, a replay could need input that retention has deleted."""
    steps = [
        *batch_steps(*THREE_PAYLOADS),
        *batch_steps(*THREE_PAYLOADS, first_offset=3),
        *[[]] * 60,
    ]
    rig = LoopRig(*steps, snapshot_every_seconds=3, clock_step_seconds=0.05).with_opened_account()

    rig.run()

    assert [(cause, offset) for _, cause, offset, _ in ledger_summaries(rig)] == [
        (Cause.INTERVAL, 3),
        (Cause.INTERVAL, 6),
    ]
    require_snapshots(rig)


@pytest.mark.parametrize("failure_class", [MicroBatchAborted, OutcomeUnknown])
def test_a_failed_snapshot_does_not_change_an_idle_memory(
    failure_class: type[SensorwatchError],
) -> None:
    """A failed snapshot must not undo updates of the memory that are already committed."""
    steps = [
        *batch_steps(*THREE_PAYLOADS),
        *batch_steps(*THREE_PAYLOADS, first_offset=3),
        *[[]] * 60,
    ]
    failures = [None, None, failure_class("injected")]
    rig = LoopRig(
        *steps, failures=failures, snapshot_every_seconds=3, clock_step_seconds=0.05
    ).with_opened_account()
    reference_rig = LoopRig(
        *steps, snapshot_every_seconds=3, clock_step_seconds=0.05
    ).with_opened_account()

    rig.run()
    reference_rig.run()

    assert len(rig.outbox.attempts) == len(reference_rig.outbox.attempts) + 1
    assert (
        rig.accounts.by_partition[PARTITION_0].digest
        == reference_rig.accounts.by_partition[PARTITION_0].digest
    )
    assert memory_to_bytes(rig.memories[PARTITION_0]) == memory_to_bytes(
        reference_rig.memories[PARTITION_0]
    )


def test_old_snapshots_are_deleted_only_after_newer_snapshots_are_committed() -> None:
    first_offsets = range(0, 6 * (KEPT_SNAPSHOTS + 4), 6)
    steps = [
        step
        for first_offset in first_offsets
        for step in batch_steps(*THREE_PAYLOADS, *THREE_PAYLOADS, first_offset=first_offset)
    ]
    failures: list[SensorwatchError | None] = [
        *[None] * (KEPT_SNAPSHOTS + 2),
        MicroBatchAborted("injected"),
    ]
    rig = LoopRig(*steps, snapshot_every_rows=1, failures=failures).with_opened_account()

    rig.run()

    assert len(rig.outbox.published_batches) == KEPT_SNAPSHOTS + 3
    snapshot_refs = sorted(rig.state_topic.snapshots, key=lambda snapshot_ref: snapshot_ref.offset)
    assert rig.state_topic.deletions == [
        (0, snapshot_ref.offset + 1) for snapshot_ref in snapshot_refs[:3]
    ]


def assign_idle_partition(consumer: FakeConsumer) -> list[StoredRecord]:
    consumer.assign_partitions(1)
    return []


SWAP_STEPS = [*batch_steps(*THREE_PAYLOADS), assign_idle_partition, *[[]] * 8]
"""Steps that consume records of partition 0 and then assign partition 1, which is empty."""


def test_a_swap_writes_all_snapshots_in_a_separate_transaction() -> None:
    rig = LoopRig(
        *SWAP_STEPS,
        *batch_steps(*THREE_PAYLOADS, first_offset=3),
        swap_at_refresh=2,
        clock_step_seconds=0.15,
    ).with_opened_account()

    rig.run()

    ((messages, commits),) = [batch for batch in rig.outbox.published_batches if is_swap(batch[0])]
    assert [message.topic for message in messages] == ["g.ledger"] * 2
    assert [(commit.partition, commit.next_offset) for commit in commits] == [
        (PARTITION_0, 3),
        (PARTITION_1, 0),
    ]
    assert {record.account.model_version for record in ledger_records(messages)} == {OLD_VERSION}
    require_snapshots(rig)
    snapshots = [
        rig.state_topic.snapshots[r.account.snapshot]
        for r in ledger_records(messages)
        if r.account.snapshot
    ]
    assert {snapshot.model_version for snapshot in snapshots} == {NEW_VERSION}
    assert {account.model_version for account in rig.accounts.by_partition.values()} == {
        NEW_VERSION
    }
    assert all(
        account.model_version == NEW_VERSION for account in rig.accounts.by_partition.values()
    )


def test_a_memory_that_another_worker_swapped_and_swapped_back_is_restored() -> None:
    """Two swaps change the memory even if no record arrives between them."""
    swapped_bytes: list[bytes] = []

    def swap_on_another_worker(consumer: FakeConsumer) -> list[StoredRecord]:
        account, memory = rig.accounts.by_partition[PARTITION_0], rig.memories[PARTITION_0]
        consumer.revoke_partitions(0)
        memory = memory_from_bytes(
            memory_to_bytes(memory), a_detector(), max_sensors=memory.max_sensors
        )
        memory.adopt(a_detector(NEW_VERSION))
        memory.adopt(a_detector(OLD_VERSION))
        swapped_bytes.append(memory_to_bytes(memory))
        snapshot_ref = SnapshotRef(99, account.next_offset)
        account = replace(account, snapshot=snapshot_ref)
        (old_snapshot,) = rig.state_topic.snapshots.values()
        rig.state_topic.snapshots[snapshot_ref] = replace(
            old_snapshot, account=account, content=swapped_bytes[0]
        )
        consumer.commit_offset(0, account.next_offset, to_metadata(account))
        consumer.assign_partitions(0)
        return []

    rig = LoopRig(
        *batch_steps(*THREE_PAYLOADS), swap_on_another_worker, *[[]] * 3
    ).with_opened_account()

    rig.run()

    assert memory_to_bytes(rig.memories[PARTITION_0]) == swapped_bytes[0]


def is_swap(messages: Sequence[OutgoingMessage]) -> bool:
    return Cause.MODEL in {record.cause for record in ledger_records(messages)}


@pytest.mark.parametrize(
    ("failure", "fail_after_commit"),
    [
        (MicroBatchAborted("injected"), False),
        (OutcomeUnknown("injected"), False),
        (OutcomeUnknown("committed"), True),
    ],
    ids=str,
)
def test_a_failed_swap_keeps_the_old_memory_and_is_repeated(
    failure: SensorwatchError, *, fail_after_commit: bool
) -> None:
    """The worker repeats a failed swap, unless the swap was committed after all."""
    observations: list[tuple[bytes, str]] = []

    def observe(_consumer: FakeConsumer) -> list[StoredRecord]:
        version = rig.accounts.by_partition[PARTITION_0].model_version
        observations.append((memory_to_bytes(rig.memories[PARTITION_0]), version))
        return []

    steps = [
        *batch_steps(*THREE_PAYLOADS),
        observe,
        *[observe] * 12,
        *batch_steps(*THREE_PAYLOADS, first_offset=3),
    ]
    failures = [None, failure]
    rig = LoopRig(
        *steps,
        failures=failures,
        fail_after_commit=fail_after_commit,
        swap_at_refresh=2,
        clock_step_seconds=0.15,
    ).with_opened_account()

    rig.run()

    assert sum(is_swap(messages) for messages in rig.outbox.attempts) == (
        1 if fail_after_commit else 2
    )
    assert sum(is_swap(messages) for messages, _ in rig.outbox.published_batches) == 1
    assert {version for _, version in observations} == {OLD_VERSION, NEW_VERSION}
    assert rig.accounts.by_partition[PARTITION_0].consumed == 6
    reference_rig = LoopRig(
        *steps, swap_at_refresh=2, clock_step_seconds=0.15
    ).with_opened_account()
    memory_bytes = memory_to_bytes(rig.memories[PARTITION_0])
    rig = reference_rig  # now `observe` reads the reference rig
    rig.run()
    assert memory_bytes == memory_to_bytes(rig.memories[PARTITION_0])


def test_the_memory_metrics_change_only_with_a_commit() -> None:
    rig = LoopRig(
        *batch_steps(*THREE_PAYLOADS), [], failures=[MicroBatchAborted("injected")]
    ).with_opened_account()
    rig.run()
    assert rig.metric("rows_by_status_total", status="scored") == 0
    assert rig.metric("sensors", topic=TOPIC, partition="0") == 0
    assert rig.metric("restore_seconds_count") == 1

    rig.consumer.steps = [*batch_steps(*THREE_PAYLOADS)]
    rig.run()

    rows = [rig.metric("rows_by_status_total", status=s) or 0 for s in ("scored", "duplicate")]
    assert sum(rows) == 2
    assert rig.metric("sensors", topic=TOPIC, partition="0") == 1
    assert rig.metric("snapshot_bytes_count") == 1
    assert rig.metric("sensors_evicted_total") == 0
    rig.consumer.revoke_partitions(0)
    assert rig.metric("sensors", topic=TOPIC, partition="0") is None


def test_a_worker_that_restores_a_memory_is_not_ready() -> None:
    rig = LoopRig().with_opened_account()

    rig.observation.set_awaiting_memory(2)

    assert rig.observation.not_ready_reason() == "the memory of 2 partitions is being restored"
    rig.observation.set_awaiting_memory(0)
    assert rig.observation.not_ready_reason() is None
