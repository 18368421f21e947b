"""The snapshot schedule decides when a snapshot is due and which old snapshots to delete."""

from dataclasses import replace

import pytest

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import SnapshotRef, open_account
from sensorwatch.consumer.snapshot_schedule import KEPT_SNAPSHOTS, SnapshotSchedule

PARTITION_0 = Partition("sensors", 0)
ACCOUNT = replace(
    open_account(0, model_version="m", fingerprint="f"),
    next_offset=100,
    consumed=90,
    snapshot=SnapshotRef(7, 100),
)


class ScheduleRig:
    """A snapshot schedule with a fake clock; the account has a snapshot at offset 100."""

    def __init__(self, *, every_rows: int = 50, every_seconds: float = 60.0) -> None:
        self.now = 0.0
        self.snapshot_schedule = SnapshotSchedule(
            every_rows=every_rows, every_seconds=every_seconds, clock=lambda: self.now
        )
        self.snapshot_schedule.begin(PARTITION_0, ACCOUNT)

    def snapshot_due(self, rows: int, *, sensor_count: int = 1) -> bool:
        account = replace(ACCOUNT, next_offset=ACCOUNT.next_offset + rows)
        return self.snapshot_schedule.snapshot_due(PARTITION_0, account, sensor_count)


def test_a_snapshot_is_due_after_the_configured_number_of_rows() -> None:
    assert [ScheduleRig().snapshot_due(rows) for rows in (0, 49, 50)] == [False, False, True]


def test_snapshots_of_many_sensors_are_due_less_often() -> None:
    assert [ScheduleRig().snapshot_due(rows, sensor_count=50) for rows in (249, 250)] == [
        False,
        True,
    ]


def test_a_snapshot_is_due_after_the_configured_seconds_if_there_was_a_row() -> None:
    rig = ScheduleRig()
    rig.now = 59.9
    assert not rig.snapshot_due(1)
    rig.now = 60.0
    assert rig.snapshot_due(1, sensor_count=100_000)
    assert not rig.snapshot_due(0)

    rig.snapshot_schedule.snapshot_committed(PARTITION_0, 9)
    assert not rig.snapshot_due(1)


def test_rebalances_do_not_delay_a_snapshot() -> None:
    rig = ScheduleRig()
    for rig.now in (20.0, 40.0, 60.0):
        rig.snapshot_schedule.forget([PARTITION_0])
        rig.snapshot_schedule.begin(PARTITION_0, ACCOUNT)
    assert rig.snapshot_due(1)

    rig.snapshot_schedule.begin(PARTITION_0, replace(ACCOUNT, snapshot=SnapshotRef(9, 100)))
    assert not rig.snapshot_due(1), "another worker wrote a newer snapshot"


@pytest.mark.parametrize(("consumed", "snapshot_due"), [(0, False), (1, True)])
def test_an_account_without_records_needs_no_snapshot(consumed: int, snapshot_due: bool) -> None:
    """After consumed records the memory is no longer cold, so a restore needs a snapshot."""
    account = replace(ACCOUNT, snapshot=None, consumed=consumed)

    assert ScheduleRig().snapshot_schedule.snapshot_due(PARTITION_0, account, 1) is snapshot_due


def test_a_commit_returns_the_offset_before_which_snapshots_can_be_deleted() -> None:
    """The offset is directly after the manifest of the newest snapshot to delete."""
    rig = ScheduleRig()

    deletable_offsets = [
        rig.snapshot_schedule.snapshot_committed(PARTITION_0, manifest_offset)
        for manifest_offset in range(10, 10 * (KEPT_SNAPSHOTS + 3), 10)
    ]

    assert deletable_offsets[: KEPT_SNAPSHOTS - 1] == [None] * (KEPT_SNAPSHOTS - 1)
    assert deletable_offsets[KEPT_SNAPSHOTS - 1 :] == [8, 11, 21]


def test_a_partition_that_is_assigned_again_starts_without_known_snapshots() -> None:
    rig = ScheduleRig()
    for manifest_offset in range(KEPT_SNAPSHOTS):
        rig.snapshot_schedule.snapshot_committed(PARTITION_0, manifest_offset)
    rig.snapshot_schedule.forget([PARTITION_0, Partition("sensors", 9)])

    rig.snapshot_schedule.begin(PARTITION_0, ACCOUNT)

    assert rig.snapshot_schedule.snapshot_committed(PARTITION_0, 99) is None
