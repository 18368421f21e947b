"""Snapshots are written at each interval and each swap, with a ledger record."""

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
from tests.consumer.rig import NEWER, OLDER, THREE_RECORDS, ZERO, Rig, batch
from tests.kafka.record_builders import StoredRecord
from tests.reading_builders import a_detector

ONE = Partition(TOPIC, 1)


def ledger_records(messages: Sequence[OutgoingMessage]) -> list[LedgerRecord]:
    return [ledger_record(m.value) for m in messages if m.topic == "g.ledger"]


def history(rig: Rig) -> list[tuple[int, Cause, int, str]]:
    """Return partition, cause, offset and model version of every ledger record."""
    return [
        (record.partition, record.cause, record.account.next_offset, record.account.model_version)
        for messages, _ in rig.outbox.published
        for record in ledger_records(messages)
    ]


def require_snapshots(rig: Rig) -> None:
    """Assert that every ledger record, except Cause.OPENED, names a snapshot at its offset."""
    for messages, _ in rig.outbox.published:
        for record in ledger_records(messages):
            at = record.account.snapshot
            if record.cause is Cause.OPENED:
                assert at is None
                continue
            assert at is not None
            assert at.next_offset == record.account.next_offset
            assert at in rig.state.snapshots


def test_the_first_commit_has_a_snapshot_and_later_ones_after_every_rows() -> None:
    steps = [step for first in range(0, 18, 3) for step in batch(*THREE_RECORDS, first=first)]
    rig = Rig(*steps, snapshot_every_rows=6).with_opened_account()

    rig.run()

    assert [(cause, offset) for _, cause, offset, _ in history(rig)] == [
        (Cause.INTERVAL, offset) for offset in (3, 9, 15)
    ]
    require_snapshots(rig)
    assert rig.metric("snapshots_total") == 3
    assert rig.accounts.by_partition[ZERO].snapshot == max(
        rig.state.snapshots, key=lambda at: at.offset
    )


def test_an_idle_partition_gets_a_snapshot_after_every_seconds() -> None:
    """Otherwise retention could delete the input since the last snapshot."""
    steps = [*batch(*THREE_RECORDS), *batch(*THREE_RECORDS, first=3), *[[]] * 60]
    rig = Rig(*steps, snapshot_every_seconds=3, clock_step_seconds=0.05).with_opened_account()

    rig.run()

    assert [(cause, offset) for _, cause, offset, _ in history(rig)] == [
        (Cause.INTERVAL, 3),
        (Cause.INTERVAL, 6),
    ]
    require_snapshots(rig)


@pytest.mark.parametrize("kind", [MicroBatchAborted, OutcomeUnknown])
def test_a_failed_snapshot_does_not_change_an_idle_memory(
    kind: type[SensorwatchError],
) -> None:
    """Its earlier updates are committed and must not be undone."""
    steps = [*batch(*THREE_RECORDS), *batch(*THREE_RECORDS, first=3), *[[]] * 60]
    failures = [None, None, kind("injected")]
    rig = Rig(
        *steps, failures=failures, snapshot_every_seconds=3, clock_step_seconds=0.05
    ).with_opened_account()
    undisturbed = Rig(
        *steps, snapshot_every_seconds=3, clock_step_seconds=0.05
    ).with_opened_account()

    rig.run()
    undisturbed.run()

    assert len(rig.outbox.tried) == len(undisturbed.outbox.tried) + 1
    assert rig.accounts.by_partition[ZERO].digest == undisturbed.accounts.by_partition[ZERO].digest
    assert memory_to_bytes(rig.memories[ZERO]) == memory_to_bytes(undisturbed.memories[ZERO])


def test_old_snapshots_are_deleted_only_after_newer_ones_are_committed() -> None:
    firsts = range(0, 6 * (KEPT_SNAPSHOTS + 4), 6)
    steps = [
        step for first in firsts for step in batch(*THREE_RECORDS, *THREE_RECORDS, first=first)
    ]
    failures: list[SensorwatchError | None] = [
        *[None] * (KEPT_SNAPSHOTS + 2),
        MicroBatchAborted("injected"),
    ]
    rig = Rig(*steps, snapshot_every_rows=1, failures=failures).with_opened_account()

    rig.run()

    assert len(rig.outbox.published) == KEPT_SNAPSHOTS + 3
    kept = sorted(rig.state.snapshots, key=lambda at: at.offset)
    assert rig.state.deleted == [(0, at.offset + 1) for at in kept[:3]]


def idle(consumer: FakeConsumer) -> list[StoredRecord]:
    consumer.assign_partitions(1)
    return []


SWAP = [*batch(*THREE_RECORDS), idle, *[[]] * 8]
"""Records of partition 0, then partition 1 is assigned and has none."""


def test_a_swap_writes_all_snapshots_in_a_separate_transaction() -> None:
    rig = Rig(
        *SWAP, *batch(*THREE_RECORDS, first=3), swap_at=2, clock_step_seconds=0.15
    ).with_opened_account()

    rig.run()

    ((messages, commits),) = [one for one in rig.outbox.published if is_swap(one[0])]
    assert [message.topic for message in messages] == ["g.ledger"] * 2
    assert [(commit.partition, commit.next_offset) for commit in commits] == [(ZERO, 3), (ONE, 0)]
    assert {record.account.model_version for record in ledger_records(messages)} == {OLDER}
    require_snapshots(rig)
    snapshots = [
        rig.state.snapshots[r.account.snapshot]
        for r in ledger_records(messages)
        if r.account.snapshot
    ]
    assert {snapshot.model_version for snapshot in snapshots} == {NEWER}
    assert {account.model_version for account in rig.accounts.by_partition.values()} == {NEWER}
    assert all(account.model_version == NEWER for account in rig.accounts.by_partition.values())


def test_a_memory_that_another_worker_swapped_and_swapped_back_is_restored() -> None:
    """A swap changes the memory even if no record arrives between the two swaps."""
    swapped: list[bytes] = []

    def swap_elsewhere(consumer: FakeConsumer) -> list[StoredRecord]:
        account, memory = rig.accounts.by_partition[ZERO], rig.memories[ZERO]
        consumer.revoke_partitions(0)
        memory = memory_from_bytes(
            memory_to_bytes(memory), a_detector(), max_sensors=memory.max_sensors
        )
        memory.adopt(a_detector(NEWER))
        memory.adopt(a_detector(OLDER))
        swapped.append(memory_to_bytes(memory))
        at = SnapshotRef(99, account.next_offset)
        account = replace(account, snapshot=at)
        (before,) = rig.state.snapshots.values()
        rig.state.snapshots[at] = replace(before, account=account, content=swapped[0])
        consumer.commit_offset(0, account.next_offset, to_metadata(account))
        consumer.assign_partitions(0)
        return []

    rig = Rig(*batch(*THREE_RECORDS), swap_elsewhere, *[[]] * 3).with_opened_account()

    rig.run()

    assert memory_to_bytes(rig.memories[ZERO]) == swapped[0]


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
    """A swap with an unknown outcome that was committed is not repeated."""
    seen: list[tuple[bytes, str]] = []

    def look(_consumer: FakeConsumer) -> list[StoredRecord]:
        model = rig.accounts.by_partition[ZERO].model_version
        seen.append((memory_to_bytes(rig.memories[ZERO]), model))
        return []

    steps = [*batch(*THREE_RECORDS), look, *[look] * 12, *batch(*THREE_RECORDS, first=3)]
    failing = [None, failure]
    rig = Rig(
        *steps,
        failures=failing,
        fail_after_commit=fail_after_commit,
        swap_at=2,
        clock_step_seconds=0.15,
    ).with_opened_account()

    rig.run()

    assert sum(is_swap(messages) for messages in rig.outbox.tried) == (
        1 if fail_after_commit else 2
    )
    assert sum(is_swap(messages) for messages, _ in rig.outbox.published) == 1
    assert {model for _, model in seen} == {OLDER, NEWER}
    assert rig.accounts.by_partition[ZERO].consumed == 6
    undisturbed = Rig(*steps, swap_at=2, clock_step_seconds=0.15).with_opened_account()
    actual = memory_to_bytes(rig.memories[ZERO])
    rig = undisturbed  # `look` reads this variable
    rig.run()
    assert actual == memory_to_bytes(rig.memories[ZERO])


def test_the_memory_metrics_change_only_with_a_commit() -> None:
    rig = Rig(
        *batch(*THREE_RECORDS), [], failures=[MicroBatchAborted("injected")]
    ).with_opened_account()
    rig.run()
    assert rig.metric("rows_by_status_total", status="scored") == 0
    assert rig.metric("sensors", topic=TOPIC, partition="0") == 0
    assert rig.metric("restore_seconds_count") == 1

    rig.consumer.steps = [*batch(*THREE_RECORDS)]
    rig.run()

    rows = [rig.metric("rows_by_status_total", status=s) or 0 for s in ("scored", "duplicate")]
    assert sum(rows) == 2
    assert rig.metric("sensors", topic=TOPIC, partition="0") == 1
    assert rig.metric("snapshot_bytes_count") == 1
    assert rig.metric("sensors_evicted_total") == 0
    rig.consumer.revoke_partitions(0)
    assert rig.metric("sensors", topic=TOPIC, partition="0") is None


def test_a_worker_that_restores_a_memory_is_not_ready() -> None:
    rig = Rig().with_opened_account()

    rig.observation.set_awaiting_memory(2)

    assert rig.observation.not_ready_reason() == "the memory of 2 partitions is being restored"
    rig.observation.set_awaiting_memory(0)
    assert rig.observation.not_ready_reason() is None
