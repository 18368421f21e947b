"""A memory is restored from a snapshot and the records after it; a wrong memory is refused."""

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
from tests.consumer.rig import NEW_VERSION, LoopRig
from tests.consumer.test_exactness import an_input
from tests.kafka.record_builders import StoredRecord
from tests.reading_builders import a_detector

PARTITION_0, PARTITION_1 = Partition(TOPIC, 0), Partition(TOPIC, 1)


def a_group(*, consumed_records: int = 80) -> tuple[GroupState, LoopRig]:
    """Return a group that has consumed `consumed_records` of 120 records.

    Its snapshots were written after 36 records.
    """
    group_state, records = GroupState(an_input()), an_input()
    for count in (36, consumed_records):
        group_state.input_records[:] = records[:count]
        rig = group_state.run_worker()
    group_state.input_records[:] = records
    return group_state, rig


def memory_bytes_of(rig: LoopRig) -> list[bytes]:
    return [memory_to_bytes(rig.memories[partition]) for partition in (PARTITION_0, PARTITION_1)]


def test_a_restored_memory_has_the_same_bytes_as_the_lost_memory() -> None:
    group_state, _ = a_group()
    message_count = len(group_state.published_messages)
    committed_accounts = group_state.accounts()
    uninterrupted_group = GroupState(an_input())

    rig = group_state.run_worker()

    assert memory_bytes_of(rig) == memory_bytes_of(uninterrupted_group.run_worker())
    assert rig.replays == [
        (Partition(TOPIC, number), snapshot_ref.next_offset, account.next_offset)
        for number, account in sorted(committed_accounts.items())
        if (snapshot_ref := account.snapshot) is not None
    ]
    assert group_state.results(0) + group_state.results(1) == uninterrupted_group.results(
        0
    ) + uninterrupted_group.results(1)
    assert len(group_state.published_messages) > message_count


def test_an_account_with_records_but_without_a_snapshot_is_refused() -> None:
    group_state, _ = a_group()
    account = replace(group_state.accounts()[0], snapshot=None)
    commit_account(group_state, account)

    with pytest.raises(StateRefused, match=r"names no snapshot.*state reset"):
        group_state.run_worker()


def commit_account(group_state: GroupState, account: Account, number: int = 0) -> None:
    text = to_metadata(account)
    group_state.offsets[number] = TopicPartition(TOPIC, number, account.next_offset, metadata=text)


def remove_a_record(group_state: GroupState) -> None:
    account = group_state.accounts()[0]
    assert account.snapshot is not None
    group_state.input_records.remove(
        next(
            r
            for r in group_state.partition_records(0)
            if r.stored_offset >= account.snapshot.next_offset
        )
    )


def change_digest(group_state: GroupState) -> None:
    """Commit an account with another digest but the same counts, as if the scores differed."""
    account = group_state.accounts()[0]
    commit_account(group_state, replace(account, digest=account.digest ^ 1))


def remove_the_snapshots(group_state: GroupState) -> None:
    group_state.state_topic.snapshots.clear()


def damage_the_snapshots(group_state: GroupState) -> None:
    changed_snapshots = {
        snapshot_ref: replace(s, content=s.content[:-8])
        for snapshot_ref, s in group_state.state_topic.snapshots.items()
    }
    group_state.state_topic.snapshots.update(changed_snapshots)


def change_the_model_of_the_snapshots(group_state: GroupState) -> None:
    changed_snapshots = {
        snapshot_ref: replace(s, model_version=NEW_VERSION)
        for snapshot_ref, s in group_state.state_topic.snapshots.items()
    }
    group_state.state_topic.snapshots.update(changed_snapshots)


@pytest.mark.parametrize(
    ("damage_group", "reason"),
    [
        (remove_a_record, "consumed"),
        (change_digest, "digest"),
        (remove_the_snapshots, "no snapshot"),
        (damage_the_snapshots, "tables have"),
        (change_the_model_of_the_snapshots, "was written by model version"),
    ],
)
def test_a_memory_that_does_not_reproduce_its_account_is_refused(
    damage_group: Callable[[GroupState], None], reason: str
) -> None:
    group_state, _ = a_group(consumed_records=60)
    message_count = len(group_state.published_messages)
    damage_group(group_state)

    with pytest.raises(StateRefused, match=f"{reason}.*state reset"):
        group_state.run_worker()

    assert len(group_state.published_messages) == message_count, "no record was scored"


def test_the_error_for_a_missing_version_names_the_version_and_the_remedy() -> None:
    group_state, _ = a_group()

    with pytest.raises(StateRefused, match=r"no version default-0001.*state reset"):
        group_state.run_worker(champion=NEW_VERSION, versions=(NEW_VERSION,))


def test_a_partition_added_to_the_topic_is_refused() -> None:
    """In a topic with more partitions, a sensor's next records may be in another partition."""
    rig = LoopRig()
    rig.consumer.assign_partitions(4)

    with pytest.raises(StateRefused, match=r"sensors-4 is new.*had 4 partitions.*state reset"):
        rig.restorer.step(a_detector())


def test_a_new_champion_is_used_after_the_restore() -> None:
    """The replay uses the old version; a ledger record reports where the new version begins."""
    group_state, first_rig = a_group()
    offsets = {n: account.next_offset for n, account in group_state.accounts().items()}
    ledger_length = len(group_state.ledger())

    group_state.run_worker(champion=NEW_VERSION)

    new_ledger_records = group_state.ledger()[ledger_length:]
    change_records = [record for record in new_ledger_records if record.cause is Cause.MODEL]
    assert {record.partition: record.account.next_offset for record in change_records} == offsets
    assert {record.account.model_version for record in change_records} == {a_detector().version}
    for record in change_records:
        snapshot_ref = record.account.snapshot
        assert snapshot_ref is not None
        assert snapshot_ref.next_offset == record.account.next_offset
        assert group_state.state_topic.snapshots[snapshot_ref].model_version == NEW_VERSION
    assert first_rig.champion.detector.version != NEW_VERSION


def test_another_fingerprint_starts_a_segment_and_needs_the_same_counts_only() -> None:
    group_state, _ = a_group()
    change_digest(group_state)  # another version of the code may compute other last bits
    accounts = group_state.accounts()
    ledger_length = len(group_state.ledger())

    group_state.run_worker(fingerprint="g")

    new_ledger_records = group_state.ledger()[ledger_length:]
    change_records = [record for record in new_ledger_records if record.cause is Cause.SEGMENT]
    assert {record.partition: record.account.digest for record in change_records} == {
        number: account.digest for number, account in accounts.items()
    }
    for record in change_records:
        assert record.account.snapshot is not None
        assert record.account.snapshot.next_offset == record.account.next_offset
    assert {account.segment for account in group_state.accounts().values()} == {1}


class SlowRestore:
    """A restore of the memories of two partitions; each step reads one record."""

    def __init__(self) -> None:
        self.now = 0.0
        self.closed_partitions: list[int] = []
        self.resumed_partitions: list[Partition] = []
        group_state, _ = a_group()
        rig = LoopRig()
        self.accounts: Accounts = rig.accounts
        self.by_partition = self.accounts._by_partition
        committed_accounts = group_state.accounts()
        self.by_partition |= {
            PARTITION_0: committed_accounts[0],
            PARTITION_1: committed_accounts[1],
        }
        self.group_state = group_state
        self.ownership = Ownership(
            self.accounts, Memories(), SnapshotSchedule(every_rows=1, every_seconds=1)
        )
        restore_sources = RestoreSources(
            group_state.state_topic.read, self._read_input, lambda *_: a_detector(), "f", 2
        )
        self.restorer = MemoryRestorer(
            self.ownership,
            self,
            restore_sources,
            on_restored=lambda *_: None,
            clock=self._read_clock,
        )

    def step(self) -> int:
        return self.restorer.step(a_detector())

    def resume_partitions(self, partitions: Sequence[Partition]) -> None:
        self.resumed_partitions += partitions

    def _read_input(
        self, partition: Partition, begin: int, end: int
    ) -> Iterator[list[StoredRecord]]:
        try:
            for record in self.group_state.partition_records(partition.number):
                if begin <= record.stored_offset < end:
                    yield [record]
                    yield []
        finally:
            self.closed_partitions.append(partition.number)

    def _read_clock(self) -> float:
        self.now += 1.0
        return self.now


def test_each_restore_step_returns_early_so_that_the_loop_can_poll() -> None:
    slow_restore = SlowRestore()

    waiting_counts = [slow_restore.step() for _ in range(5)]

    assert waiting_counts == [2] * 5
    while slow_restore.step():
        assert slow_restore.now < 1_000
    assert slow_restore.resumed_partitions == [PARTITION_0, PARTITION_1]
    assert slow_restore.ownership.awaiting_memory == []


def test_a_revocation_cancels_a_restore() -> None:
    slow_restore = SlowRestore()
    for _ in range(4):
        slow_restore.step()
    slow_restore.ownership.revoke([PARTITION_0])

    slow_restore.step()

    assert slow_restore.closed_partitions == [0], "the reader is closed"
    assert PARTITION_0 not in slow_restore.ownership.memories
    while slow_restore.step():
        assert slow_restore.now < 1_000
    assert slow_restore.resumed_partitions == [PARTITION_1]


def test_a_restore_starts_again_if_the_account_has_changed() -> None:
    slow_restore = SlowRestore()
    for _ in range(4):
        slow_restore.step()
    new_account = open_account(7, model_version=a_detector().version, fingerprint="f")
    slow_restore.by_partition[PARTITION_0] = new_account

    while slow_restore.step():
        assert slow_restore.now < 1_000

    assert slow_restore.resumed_partitions == [PARTITION_0, PARTITION_1]
    slow_restore.ownership.memories.begin(PARTITION_0, new_account)
    assert slow_restore.ownership.memories[PARTITION_0].sensors == 0
