"""Memories always match their accounts, also after a failed micro-batch."""

from dataclasses import replace

import pytest

from sensorwatch.common.errors import Unrecoverable
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account, open_account
from sensorwatch.common.scoring.memory_bytes import memory_to_bytes
from sensorwatch.consumer.memories import Memories
from tests.reading_builders import a_detector, some_readings

ZERO, ONE = Partition("sensors", 0), Partition("sensors", 1)
BEFORE = open_account(0, model_version="m", fingerprint="f")
AFTER = replace(BEFORE, next_offset=40, consumed=40, digest=7)
OTHER = replace(AFTER, digest=8)


class Rig:
    """Two partitions; a micro-batch of the first one is not committed yet."""

    def __init__(self) -> None:
        self.memories = Memories()
        for partition in (ZERO, ONE):
            self.memories.put(partition, a_detector().empty_memory(), BEFORE)
        self.empty_memory = self.bytes()
        memory = self.memories.begin(ZERO, BEFORE)
        a_detector().detect(some_readings(40), memory)
        self.updated = self.bytes()
        assert self.updated != self.empty_memory
        self.memories.expect_commit({ZERO: AFTER})

    def bytes(self) -> bytes:
        return memory_to_bytes(self.memories[ZERO])

    def belongs_to(self, account: Account) -> bool:
        try:
            self.memories.begin(ZERO, account)
        except Unrecoverable:
            return False
        return True


def test_a_commit_advances_a_memory() -> None:
    rig = Rig()

    rig.memories.advance()

    assert rig.bytes() == rig.updated
    assert not rig.belongs_to(BEFORE)
    assert rig.belongs_to(AFTER)


def test_updates_without_a_commit_are_undone() -> None:
    rig = Rig()

    rig.memories.undo()

    assert rig.bytes() == rig.empty_memory
    assert not rig.belongs_to(AFTER)
    assert rig.belongs_to(BEFORE)


@pytest.mark.parametrize("committed", [False, True])
def test_the_committed_account_decides_whether_updates_are_kept(committed: bool) -> None:
    rig = Rig()
    account = AFTER if committed else BEFORE

    rig.memories.reconcile({ZERO: account, ONE: BEFORE})

    assert rig.bytes() == (rig.updated if committed else rig.empty_memory)
    assert rig.belongs_to(account)
    assert ONE in rig.memories


@pytest.mark.parametrize(
    "account",
    [OTHER, replace(AFTER, next_offset=41), replace(AFTER, model_version="n"), None],
    ids=["another digest", "another offset", "another model", "not assigned"],
)
def test_a_memory_that_matches_no_account_is_removed(account: Account | None) -> None:
    rig = Rig()

    rig.memories.reconcile({ONE: BEFORE} if account is None else {ZERO: account, ONE: BEFORE})

    assert ZERO not in rig.memories
    assert ONE in rig.memories


def test_a_memory_without_updates_must_match_its_account_too() -> None:
    rig = Rig()

    rig.memories.reconcile({ZERO: AFTER, ONE: OTHER})

    assert ZERO in rig.memories
    assert ONE not in rig.memories


def test_a_second_micro_batch_cannot_update_a_memory_before_the_commit() -> None:
    """Otherwise `undo` would undo only the second one."""
    rig = Rig()

    assert not rig.belongs_to(BEFORE)
    assert not rig.belongs_to(AFTER)


def test_a_swap_without_a_commit_is_undone() -> None:
    rig = Rig()
    rig.memories.advance()
    memory = rig.memories.begin(ZERO, AFTER)
    memory.adopt(a_detector("default-0002-00000000", seed=8))
    rig.memories.expect_commit({ZERO: replace(AFTER, model_version="n")})

    rig.memories.reconcile({ZERO: AFTER, ONE: BEFORE})

    assert rig.bytes() == rig.updated
    assert rig.belongs_to(AFTER)


def test_a_snapshot_of_a_memory_without_updates_changes_nothing() -> None:
    rig = Rig()
    rig.memories.advance()

    rig.memories.expect_commit({ZERO: AFTER})
    rig.memories.reconcile({ZERO: AFTER, ONE: BEFORE})

    assert rig.bytes() == rig.updated
    assert rig.belongs_to(AFTER)


def test_a_memory_set_aside_is_reused_if_it_matches_and_is_dropped_otherwise() -> None:
    rig = Rig()
    rig.memories.advance()
    rig.memories.set_aside([ZERO, ONE, Partition("sensors", 9)])
    assert ZERO not in rig.memories

    assert rig.memories.take_back({ZERO: AFTER, ONE: OTHER}) == [ZERO]

    assert rig.bytes() == rig.updated
    assert rig.belongs_to(AFTER)
    assert ONE not in rig.memories
    assert rig.memories.take_back({ONE: BEFORE}) == [], "it is kept until the next assignment only"


@pytest.mark.parametrize("committed", [False, True])
def test_a_memory_set_aside_with_uncommitted_updates_follows_the_committed_account(
    committed: bool,
) -> None:
    rig = Rig()
    rig.memories.set_aside([ZERO])

    rig.memories.take_back({ZERO: AFTER if committed else BEFORE})

    assert rig.bytes() == (rig.updated if committed else rig.empty_memory)


def test_a_memory_of_a_revoked_partition_is_not_used() -> None:
    rig = Rig()

    rig.memories.set_aside([ZERO])

    assert rig.memories.take_back({ONE: BEFORE}) == []
    assert ZERO not in rig.memories
