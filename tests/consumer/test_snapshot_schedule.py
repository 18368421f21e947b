"""When memories are written down, and which snapshots stay."""

from dataclasses import replace

import pytest

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import SnapshotAt, open_account
from sensorwatch.consumer.snapshot_schedule import KEPT, Schedule

ZERO = Partition("sensors", 0)
TAKEN = replace(
    open_account(0, model_version="m", fingerprint="f"),
    next_offset=100,
    consumed=90,
    snapshot=SnapshotAt(7, 100),
)


class Rig:
    def __init__(self, *, every_rows: int = 50, every_seconds: float = 60.0) -> None:
        self.now = 0.0
        self.schedule = Schedule(
            every_rows=every_rows, every_seconds=every_seconds, clock=lambda: self.now
        )
        self.schedule.begin(ZERO, TAKEN)

    def due(self, rows: int, *, sensors: int = 1) -> bool:
        account = replace(TAKEN, next_offset=TAKEN.next_offset + rows)
        return self.schedule.due(ZERO, account, sensors)


def test_a_snapshot_is_due_after_so_many_rows() -> None:
    assert [Rig().due(rows) for rows in (0, 49, 50)] == [False, False, True]


def test_many_sensors_are_written_down_less_often() -> None:
    assert [Rig().due(rows, sensors=50) for rows in (249, 250)] == [False, True]


def test_a_snapshot_is_due_after_so_many_seconds_if_there_was_a_row() -> None:
    rig = Rig()
    rig.now = 59.9
    assert not rig.due(1)
    rig.now = 60.0
    assert rig.due(1, sensors=100_000)
    assert not rig.due(0)

    rig.schedule.taken(ZERO, 9)
    assert not rig.due(1)


def test_rebalances_do_not_put_a_snapshot_off() -> None:
    rig = Rig()
    for rig.now in (20.0, 40.0, 60.0):
        rig.schedule.forget([ZERO])
        rig.schedule.begin(ZERO, TAKEN)
    assert rig.due(1)

    rig.schedule.begin(ZERO, replace(TAKEN, snapshot=SnapshotAt(9, 100)))
    assert not rig.due(1), "others took another one"


@pytest.mark.parametrize(("consumed", "due"), [(0, False), (1, True)])
def test_only_an_account_of_nothing_needs_no_snapshot(consumed: int, due: bool) -> None:
    """Without one only a cold memory can be restored."""
    account = replace(TAKEN, snapshot=None, consumed=consumed)

    assert Rig().schedule.due(ZERO, account, 1) is due


def test_the_newest_snapshots_stay() -> None:
    """What lies before them is forgotten, up to the manifest of the one before the oldest kept."""
    rig = Rig()

    answers = [rig.schedule.taken(ZERO, manifest) for manifest in range(10, 10 * (KEPT + 3), 10)]

    assert answers[: KEPT - 1] == [None] * (KEPT - 1)
    assert answers[KEPT - 1 :] == [8, 11, 21]


def test_a_partition_that_comes_back_begins_anew() -> None:
    rig = Rig()
    for manifest in range(KEPT):
        rig.schedule.taken(ZERO, manifest)
    rig.schedule.forget([ZERO, Partition("sensors", 9)])

    rig.schedule.begin(ZERO, TAKEN)

    assert rig.schedule.taken(ZERO, 99) is None
