"""A partition's memory comes back by its snapshot and the input since, and proves itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from confluent_kafka import TopicPartition

from sensorwatch.common.errors import StateRefused
from sensorwatch.common.kafka.ledger_text import Cause, to_metadata
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account, open_account
from sensorwatch.common.scoring.memory_bytes import memory_to_bytes
from sensorwatch.consumer.accounts import Accounts
from sensorwatch.consumer.memories import Memories
from sensorwatch.consumer.ownership import Ownership
from sensorwatch.consumer.restoration import MemoryRestorer, RestoreSources
from sensorwatch.consumer.snapshot_schedule import SnapshotSchedule
from tests.consumer.fakes import TOPIC
from tests.consumer.group_state import GroupState
from tests.consumer.rig import NEWER, Rig
from tests.consumer.test_exactness import an_input
from tests.kafka.record_builders import StoredRecord
from tests.reading_builders import a_detector

ZERO, ONE = Partition(TOPIC, 0), Partition(TOPIC, 1)


def a_world(*, until: int = 80) -> tuple[GroupState, Rig]:
    """A group that has consumed the first records of 120, with snapshots where 36 were there."""
    group_state, all_of_it = GroupState(an_input()), an_input()
    for there in (36, until):
        group_state.input[:] = all_of_it[:there]
        rig = group_state.run_worker()
    group_state.input[:] = all_of_it
    return group_state, rig


def bytes_of(rig: Rig) -> list[bytes]:
    return [memory_to_bytes(rig.memories[partition]) for partition in (ZERO, ONE)]


def test_a_restored_memory_is_the_one_that_was_lost_bit_for_bit() -> None:
    group_state, _ = a_world()
    events = len(group_state.published)
    committed = group_state.accounts()
    whole = GroupState(an_input())

    again = group_state.run_worker()

    assert bytes_of(again) == bytes_of(whole.run_worker())
    assert again.replayed == [
        (Partition(TOPIC, number), at.next_offset, account.next_offset)
        for number, account in sorted(committed.items())
        if (at := account.snapshot) is not None
    ]
    assert group_state.results(0) + group_state.results(1) == whole.results(0) + whole.results(1)
    assert len(group_state.published) > events


def test_only_an_account_of_nothing_begins_cold() -> None:
    group_state, _ = a_world()
    account = replace(group_state.accounts()[0], snapshot=None)
    commit(group_state, account)

    with pytest.raises(StateRefused, match=r"names no snapshot.*state reset"):
        group_state.run_worker()


def commit(group_state: GroupState, account: Account, number: int = 0) -> None:
    text = to_metadata(account)
    group_state.offsets[number] = TopicPartition(TOPIC, number, account.next_offset, metadata=text)


def without_a_record(group_state: GroupState) -> None:
    kept = group_state.accounts()[0]
    assert kept.snapshot is not None
    group_state.input.remove(
        next(
            r
            for r in group_state.partition_records(0)
            if r.stored_offset >= kept.snapshot.next_offset
        )
    )


def with_another_record(group_state: GroupState) -> None:
    """Of the same outcome, but with other score bits."""
    kept = group_state.accounts()[0]
    account = replace(kept, digest=kept.digest ^ 1)
    commit(group_state, account)


def without_the_snapshot(group_state: GroupState) -> None:
    group_state.state.snapshots.clear()


def with_a_damaged_snapshot(group_state: GroupState) -> None:
    changed = {
        at: replace(s, content=s.content[:-8]) for at, s in group_state.state.snapshots.items()
    }
    group_state.state.snapshots.update(changed)


def with_the_snapshot_of_another_model(group_state: GroupState) -> None:
    changed = {at: replace(s, model_version=NEWER) for at, s in group_state.state.snapshots.items()}
    group_state.state.snapshots.update(changed)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (without_a_record, "consumed"),
        (with_another_record, "digest"),
        (without_the_snapshot, "no snapshot"),
        (with_a_damaged_snapshot, "tables have"),
        (with_the_snapshot_of_another_model, "is of model version"),
    ],
)
def test_what_does_not_prove_itself_is_refused(
    damage: Callable[[GroupState], None], why: str
) -> None:
    group_state, _ = a_world(until=60)
    published = len(group_state.published)
    damage(group_state)

    with pytest.raises(StateRefused, match=f"{why}.*state reset"):
        group_state.run_worker()

    assert len(group_state.published) == published, "nothing is scored before"


def test_a_version_that_the_registry_lost_is_named_with_the_remedy() -> None:
    group_state, _ = a_world()

    with pytest.raises(StateRefused, match=r"no version default-0001.*state reset"):
        group_state.run_worker(champion=NEWER, versions=(NEWER,))


def test_a_partition_that_was_added_is_refused() -> None:
    """With another number of partitions a key, and its sensor's past, is in another one."""
    rig = Rig()
    rig.consumer.assign_partitions(4)

    with pytest.raises(StateRefused, match=r"sensors-4 is new.*had 4 partitions.*state reset"):
        rig.restorer.step(a_detector())


def test_a_champion_that_came_meanwhile_takes_over_after_the_restore() -> None:
    """The replay is by the version that scored; the ledger tells where the other one begins."""
    group_state, before = a_world()
    stood = {number: account.next_offset for number, account in group_state.accounts().items()}
    told = len(group_state.ledger())

    group_state.run_worker(champion=NEWER)

    news = [record for record in group_state.ledger()[told:] if record.cause is Cause.MODEL]
    assert {record.partition: record.account.next_offset for record in news} == stood
    assert {record.account.model_version for record in news} == {a_detector().version}
    for record in news:
        at = record.account.snapshot
        assert at is not None
        assert at.next_offset == record.account.next_offset
        assert group_state.state.snapshots[at].model_version == NEWER
    assert before.champion.detector.version != NEWER


def test_other_code_is_held_to_the_counts_and_begins_a_segment_at_once() -> None:
    group_state, _ = a_world()
    with_another_record(group_state)  # as if the last bits had been others
    stood = group_state.accounts()
    told = len(group_state.ledger())

    group_state.run_worker(fingerprint="g")

    news = [record for record in group_state.ledger()[told:] if record.cause is Cause.SEGMENT]
    assert {record.partition: record.account.digest for record in news} == {
        number: account.digest for number, account in stood.items()
    }
    for record in news:
        assert record.account.snapshot is not None
        assert record.account.snapshot.next_offset == record.account.next_offset
    assert {account.segment for account in group_state.accounts().values()} == {1}


class SlowRestore:
    """Two partitions whose input comes piece by piece, with waiting in between."""

    def __init__(self) -> None:
        self.now = 0.0
        self.closed: list[int] = []
        self.went_on: list[Partition] = []
        group_state, _ = a_world()
        rig = Rig()
        self.accounts: Accounts = rig.accounts
        self.by_partition = self.accounts._by_partition
        committed = group_state.accounts()
        self.by_partition |= {ZERO: committed[0], ONE: committed[1]}
        self.group_state = group_state
        self.ownership = Ownership(
            self.accounts, Memories(), SnapshotSchedule(every_rows=1, every_seconds=1)
        )
        sources = RestoreSources(group_state.state.read, self._read, lambda _: a_detector(), "f", 2)
        self.restorer = MemoryRestorer(
            self.ownership, self, sources, on_restored=lambda *_: None, clock=self._clock
        )

    def step(self) -> int:
        return self.restorer.step(a_detector())

    def resume_partitions(self, partitions: Sequence[Partition]) -> None:
        self.went_on += partitions

    def _read(self, partition: Partition, begin: int, end: int) -> Iterator[list[StoredRecord]]:
        try:
            for record in self.group_state.partition_records(partition.number):
                if begin <= record.stored_offset < end:
                    yield [record]
                    yield []
        finally:
            self.closed.append(partition.number)

    def _clock(self) -> float:
        self.now += 1.0
        return self.now


def test_between_two_pieces_the_loop_may_poll() -> None:
    slow = SlowRestore()

    left = [slow.step() for _ in range(5)]

    assert left == [2] * 5
    while slow.step():
        assert slow.now < 1_000
    assert slow.went_on == [ZERO, ONE]
    assert slow.ownership.awaiting_memory == []


def test_a_revocation_cancels_a_restore() -> None:
    slow = SlowRestore()
    for _ in range(4):
        slow.step()
    slow.ownership.revoke([ZERO])

    slow.step()

    assert slow.closed == [0], "its reader is closed"
    assert ZERO not in slow.ownership.memories
    while slow.step():
        assert slow.now < 1_000
    assert slow.went_on == [ONE]


def test_a_partition_that_comes_back_moved_on_is_restored_anew() -> None:
    slow = SlowRestore()
    for _ in range(4):
        slow.step()
    other = open_account(7, model_version=a_detector().version, fingerprint="f")
    slow.by_partition[ZERO] = other

    while slow.step():
        assert slow.now < 1_000

    assert slow.went_on == [ZERO, ONE]
    slow.ownership.memories.begin(ZERO, other)
    assert slow.ownership.memories[ZERO].sensors == 0
