"""Memories stand where their accounts do, whatever became of a micro-batch."""

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
    """Two partitions, a micro-batch of the first of them in flight."""

    def __init__(self) -> None:
        self.memories = Memories()
        for partition in (ZERO, ONE):
            self.memories.put(partition, a_detector().empty_memory(), BEFORE)
        self.empty_memory = self.bytes()
        memory = self.memories.begin(ZERO, BEFORE)
        a_detector().detect(some_readings(40), memory)
        self.written = self.bytes()
        assert self.written != self.empty_memory
        self.memories.expect_commit({ZERO: AFTER})

    def bytes(self) -> bytes:
        return memory_to_bytes(self.memories[ZERO])

    def stands_at(self, account: Account) -> bool:
        try:
            self.memories.begin(ZERO, account)
        except Unrecoverable:
            return False
        return True


def test_a_commit_moves_a_memory_on() -> None:
    rig = Rig()

    rig.memories.advance()

    assert rig.bytes() == rig.written
    assert not rig.stands_at(BEFORE)
    assert rig.stands_at(AFTER)


def test_what_was_not_committed_is_put_back() -> None:
    rig = Rig()

    rig.memories.undo()

    assert rig.bytes() == rig.empty_memory
    assert not rig.stands_at(AFTER)
    assert rig.stands_at(BEFORE)


@pytest.mark.parametrize("committed", [False, True])
def test_the_committed_account_tells_what_became_of_a_memory(committed: bool) -> None:
    rig = Rig()
    found = AFTER if committed else BEFORE

    rig.memories.reconcile({ZERO: found, ONE: BEFORE})

    assert rig.bytes() == (rig.written if committed else rig.empty_memory)
    assert rig.stands_at(found)
    assert ONE in rig.memories


@pytest.mark.parametrize(
    "found",
    [OTHER, replace(AFTER, next_offset=41), replace(AFTER, model_version="n"), None],
    ids=["another digest", "another offset", "another model", "not ours"],
)
def test_a_memory_that_stands_nowhere_is_forgotten(found: Account | None) -> None:
    rig = Rig()

    rig.memories.reconcile({ONE: BEFORE} if found is None else {ZERO: found, ONE: BEFORE})

    assert ZERO not in rig.memories
    assert ONE in rig.memories


def test_also_an_idle_memory_has_to_stand_at_its_account() -> None:
    rig = Rig()

    rig.memories.reconcile({ZERO: AFTER, ONE: OTHER})

    assert ZERO in rig.memories
    assert ONE not in rig.memories


def test_two_micro_batches_are_never_written_into_one_memory() -> None:
    """Else putting back the second would leave the first in it."""
    rig = Rig()

    assert not rig.stands_at(BEFORE)
    assert not rig.stands_at(AFTER)


def test_a_swap_that_was_not_committed_leaves_the_old_memory() -> None:
    rig = Rig()
    rig.memories.advance()
    memory = rig.memories.begin(ZERO, AFTER)
    memory.adopt(a_detector("default-0002-00000000", seed=8))
    rig.memories.expect_commit({ZERO: replace(AFTER, model_version="n")})

    rig.memories.reconcile({ZERO: AFTER, ONE: BEFORE})

    assert rig.bytes() == rig.written
    assert rig.stands_at(AFTER)


def test_an_idle_memory_that_is_only_written_down_stays_as_it_is() -> None:
    rig = Rig()
    rig.memories.advance()

    rig.memories.expect_commit({ZERO: AFTER})
    rig.memories.reconcile({ZERO: AFTER, ONE: BEFORE})

    assert rig.bytes() == rig.written
    assert rig.stands_at(AFTER)


def test_what_was_set_aside_comes_back_where_it_stands_and_is_forgotten_otherwise() -> None:
    rig = Rig()
    rig.memories.advance()
    rig.memories.set_aside([ZERO, ONE, Partition("sensors", 9)])
    assert ZERO not in rig.memories

    assert rig.memories.take_back({ZERO: AFTER, ONE: OTHER}) == [ZERO]

    assert rig.bytes() == rig.written
    assert rig.stands_at(AFTER)
    assert ONE not in rig.memories
    assert rig.memories.take_back({ONE: BEFORE}) == [], "it is not kept for longer"


@pytest.mark.parametrize("committed", [False, True])
def test_also_what_was_set_aside_in_flight_goes_by_the_committed_account(committed: bool) -> None:
    rig = Rig()
    rig.memories.set_aside([ZERO])

    rig.memories.take_back({ZERO: AFTER if committed else BEFORE})

    assert rig.bytes() == (rig.written if committed else rig.empty_memory)


def test_what_is_given_to_others_is_not_used_meanwhile() -> None:
    rig = Rig()

    rig.memories.set_aside([ZERO])

    assert rig.memories.take_back({ONE: BEFORE}) == []
    assert ZERO not in rig.memories
