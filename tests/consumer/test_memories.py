"""The memory of a partition always matches its account, even after a failed micro-batch."""

from dataclasses import replace

import pytest

from sensorwatch.common.errors import Unrecoverable
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account, open_account
from sensorwatch.common.scoring.memory_bytes import memory_to_bytes
from sensorwatch.consumer.memories import Memories
from tests.reading_builders import a_detector, some_readings

PARTITION_0, PARTITION_1 = Partition("sensors", 0), Partition("sensors", 1)
OLD_ACCOUNT = open_account(0, model_version="m", fingerprint="f")
NEW_ACCOUNT = replace(OLD_ACCOUNT, next_offset=40, consumed=40, digest=7)
OTHER_ACCOUNT = replace(NEW_ACCOUNT, digest=8)


class MemoriesRig:
    """The memories of two partitions; partition 0 has updates that are not committed yet."""

    def __init__(self) -> None:
        self.memories = Memories()
        for partition in (PARTITION_0, PARTITION_1):
            self.memories.put(partition, a_detector().empty_memory(), OLD_ACCOUNT)
        self.empty_memory = self.memory_bytes()
        memory = self.memories.begin(PARTITION_0, OLD_ACCOUNT)
        a_detector().detect(some_readings(40), memory)
        self.updated_memory = self.memory_bytes()
        assert self.updated_memory != self.empty_memory
        self.memories.expect_commit({PARTITION_0: NEW_ACCOUNT})

    def memory_bytes(self) -> bytes:
        return memory_to_bytes(self.memories[PARTITION_0])

    def belongs_to(self, account: Account) -> bool:
        try:
            self.memories.begin(PARTITION_0, account)
        except Unrecoverable:
            return False
        return True


def test_a_commit_advances_a_memory() -> None:
    rig = MemoriesRig()

    rig.memories.advance()

    assert rig.memory_bytes() == rig.updated_memory
    assert not rig.belongs_to(OLD_ACCOUNT)
    assert rig.belongs_to(NEW_ACCOUNT)


def test_updates_without_a_commit_are_undone() -> None:
    rig = MemoriesRig()

    rig.memories.undo()

    assert rig.memory_bytes() == rig.empty_memory
    assert not rig.belongs_to(NEW_ACCOUNT)
    assert rig.belongs_to(OLD_ACCOUNT)


@pytest.mark.parametrize("is_committed", [False, True])
def test_the_committed_account_decides_whether_updates_are_kept(is_committed: bool) -> None:
    rig = MemoriesRig()
    account = NEW_ACCOUNT if is_committed else OLD_ACCOUNT

    rig.memories.reconcile({PARTITION_0: account, PARTITION_1: OLD_ACCOUNT})

    assert rig.memory_bytes() == (rig.updated_memory if is_committed else rig.empty_memory)
    assert rig.belongs_to(account)
    assert PARTITION_1 in rig.memories


@pytest.mark.parametrize(
    "account",
    [
        OTHER_ACCOUNT,
        replace(NEW_ACCOUNT, next_offset=41),
        replace(NEW_ACCOUNT, model_version="n"),
        None,
    ],
    ids=["another digest", "another offset", "another model", "not assigned"],
)
def test_a_memory_that_matches_no_account_is_removed(account: Account | None) -> None:
    rig = MemoriesRig()

    rig.memories.reconcile(
        {PARTITION_1: OLD_ACCOUNT}
        if account is None
        else {PARTITION_0: account, PARTITION_1: OLD_ACCOUNT}
    )

    assert PARTITION_0 not in rig.memories
    assert PARTITION_1 in rig.memories


def test_a_memory_without_updates_must_match_its_account() -> None:
    rig = MemoriesRig()

    rig.memories.reconcile({PARTITION_0: NEW_ACCOUNT, PARTITION_1: OTHER_ACCOUNT})

    assert PARTITION_0 in rig.memories
    assert PARTITION_1 not in rig.memories


def test_a_second_micro_batch_cannot_update_a_memory_before_the_commit() -> None:
    """`undo` can undo only one micro-batch, so each must be committed before the next begins."""
    rig = MemoriesRig()

    assert not rig.belongs_to(OLD_ACCOUNT)
    assert not rig.belongs_to(NEW_ACCOUNT)


def test_a_swap_without_a_commit_is_undone() -> None:
    rig = MemoriesRig()
    rig.memories.advance()
    memory = rig.memories.begin(PARTITION_0, NEW_ACCOUNT)
    memory.adopt(a_detector("default-0002-00000000", seed=8))
    rig.memories.expect_commit({PARTITION_0: replace(NEW_ACCOUNT, model_version="n")})

    rig.memories.reconcile({PARTITION_0: NEW_ACCOUNT, PARTITION_1: OLD_ACCOUNT})

    assert rig.memory_bytes() == rig.updated_memory
    assert rig.belongs_to(NEW_ACCOUNT)


def test_a_snapshot_of_a_memory_without_updates_changes_nothing() -> None:
    rig = MemoriesRig()
    rig.memories.advance()

    rig.memories.expect_commit({PARTITION_0: NEW_ACCOUNT})
    rig.memories.reconcile({PARTITION_0: NEW_ACCOUNT, PARTITION_1: OLD_ACCOUNT})

    assert rig.memory_bytes() == rig.updated_memory
    assert rig.belongs_to(NEW_ACCOUNT)


def test_a_memory_set_aside_is_reused_only_if_it_matches_its_account() -> None:
    rig = MemoriesRig()
    rig.memories.advance()
    rig.memories.set_aside([PARTITION_0, PARTITION_1, Partition("sensors", 9)])
    assert PARTITION_0 not in rig.memories

    assert rig.memories.take_back({PARTITION_0: NEW_ACCOUNT, PARTITION_1: OTHER_ACCOUNT}) == [
        PARTITION_0
    ]

    assert rig.memory_bytes() == rig.updated_memory
    assert rig.belongs_to(NEW_ACCOUNT)
    assert PARTITION_1 not in rig.memories
    assert rig.memories.take_back({PARTITION_1: OLD_ACCOUNT}) == [], (
        "a memory that does not match at the next assignment is dropped"
    )


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_memory_set_aside_with_uncommitted_updates_follows_the_committed_account(
    is_committed: bool,
) -> None:
    rig = MemoriesRig()
    rig.memories.set_aside([PARTITION_0])

    rig.memories.take_back({PARTITION_0: NEW_ACCOUNT if is_committed else OLD_ACCOUNT})

    assert rig.memory_bytes() == (rig.updated_memory if is_committed else rig.empty_memory)


def test_a_memory_of_a_revoked_partition_is_not_used() -> None:
    rig = MemoriesRig()

    rig.memories.set_aside([PARTITION_0])

    assert rig.memories.take_back({PARTITION_1: OLD_ACCOUNT}) == []
    assert PARTITION_0 not in rig.memories
