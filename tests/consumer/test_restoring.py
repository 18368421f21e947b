"""A partition's memory comes back by its snapshot and the input since, and proves itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from confluent_kafka import TopicPartition

from sensorwatch.common.errors import StateRefused
from sensorwatch.common.kafka.ledger_text import Cause, to_metadata
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account, open_account
from sensorwatch.common.scoring.memory_bytes import memory_bytes
from sensorwatch.consumer.accounts import Accounts
from sensorwatch.consumer.memories import Memories
from sensorwatch.consumer.ownership import Holdings
from sensorwatch.consumer.restoration import Stores
from sensorwatch.consumer.restoring import Restoring
from sensorwatch.consumer.snapshot_schedule import Schedule
from tests.consumer.fakes import TOPIC
from tests.consumer.rig import NEWER, Rig
from tests.consumer.test_exactness import an_input
from tests.consumer.world import World
from tests.kafka.record_builders import StoredRecord
from tests.reading_builders import a_detector

ZERO, ONE = Partition(TOPIC, 0), Partition(TOPIC, 1)


def a_world(*, until: int = 80) -> tuple[World, Rig]:
    """A group that has consumed the first records of 120, with snapshots where 36 were there."""
    world, all_of_it = World(an_input()), an_input()
    for there in (36, until):
        world.input[:] = all_of_it[:there]
        rig = world.live()
    world.input[:] = all_of_it
    return world, rig


def bytes_of(rig: Rig) -> list[bytes]:
    return [memory_bytes(rig.memories[partition]) for partition in (ZERO, ONE)]


def test_a_restored_memory_is_the_one_that_was_lost_bit_for_bit() -> None:
    world, _ = a_world()
    events = len(world.published)
    committed = world.accounts()
    whole = World(an_input())

    again = world.live()

    assert bytes_of(again) == bytes_of(whole.live())
    assert again.replayed == [
        (Partition(TOPIC, number), at.next_offset, account.next_offset)
        for number, account in sorted(committed.items())
        if (at := account.snapshot) is not None
    ]
    assert world.results(0) + world.results(1) == whole.results(0) + whole.results(1)
    assert len(world.published) > events


def test_only_an_account_of_nothing_begins_cold() -> None:
    world, _ = a_world()
    account = replace(world.accounts()[0], snapshot=None)
    commit(world, account)

    with pytest.raises(StateRefused, match=r"names no snapshot.*state reset"):
        world.live()


def commit(world: World, account: Account, number: int = 0) -> None:
    text = to_metadata(account)
    world.offsets[number] = TopicPartition(TOPIC, number, account.next_offset, metadata=text)


def without_a_record(world: World) -> None:
    kept = world.accounts()[0]
    assert kept.snapshot is not None
    world.input.remove(
        next(r for r in world.part(0) if r.stored_offset >= kept.snapshot.next_offset)
    )


def with_another_record(world: World) -> None:
    """Of the same outcome, but with other score bits."""
    kept = world.accounts()[0]
    account = replace(kept, digest=kept.digest ^ 1)
    commit(world, account)


def without_the_snapshot(world: World) -> None:
    world.state.snapshots.clear()


def with_a_damaged_snapshot(world: World) -> None:
    changed = {at: replace(s, content=s.content[:-8]) for at, s in world.state.snapshots.items()}
    world.state.snapshots.update(changed)


def with_the_snapshot_of_another_model(world: World) -> None:
    changed = {at: replace(s, model_version=NEWER) for at, s in world.state.snapshots.items()}
    world.state.snapshots.update(changed)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (without_a_record, "consumed"),
        (with_another_record, "digest"),
        (without_the_snapshot, "no snapshot"),
        (with_a_damaged_snapshot, "bytes do not hold"),
        (with_the_snapshot_of_another_model, "is of model version"),
    ],
)
def test_what_does_not_prove_itself_is_refused(damage: Callable[[World], None], why: str) -> None:
    world, _ = a_world(until=60)
    published = len(world.published)
    damage(world)

    with pytest.raises(StateRefused, match=f"{why}.*state reset"):
        world.live()

    assert len(world.published) == published, "nothing is scored before"


def test_a_version_that_the_registry_lost_is_named_with_the_remedy() -> None:
    world, _ = a_world()

    with pytest.raises(StateRefused, match=r"no version default-0001.*state reset"):
        world.live(champion=NEWER, versions=(NEWER,))


def test_a_partition_that_was_added_is_refused() -> None:
    """With another number of partitions a key, and its sensor's past, is in another one."""
    rig = Rig()
    rig.consumer.give(4)

    with pytest.raises(StateRefused, match=r"sensors-4 is new.*had 4 partitions.*state reset"):
        rig.restoring.step(a_detector())


def test_a_champion_that_came_meanwhile_takes_over_after_the_restore() -> None:
    """The replay is by the version that scored; the ledger tells where the other one begins."""
    world, before = a_world()
    stood = {number: account.next_offset for number, account in world.accounts().items()}
    told = len(world.ledger())

    world.live(champion=NEWER)

    news = [record for record in world.ledger()[told:] if record.cause is Cause.MODEL]
    assert {record.partition: record.account.next_offset for record in news} == stood
    assert {record.account.model_version for record in news} == {a_detector().version}
    for record in news:
        at = record.account.snapshot
        assert at is not None
        assert at.next_offset == record.account.next_offset
        assert world.state.snapshots[at].model_version == NEWER
    assert before.champion.detector.version != NEWER


def test_other_code_is_held_to_the_counts_and_begins_a_segment_at_once() -> None:
    world, _ = a_world()
    with_another_record(world)  # as if the last bits had been others
    stood = world.accounts()
    told = len(world.ledger())

    world.live(fingerprint="g")

    news = [record for record in world.ledger()[told:] if record.cause is Cause.SEGMENT]
    assert {record.partition: record.account.digest for record in news} == {
        number: account.digest for number, account in stood.items()
    }
    for record in news:
        assert record.account.snapshot is not None
        assert record.account.snapshot.next_offset == record.account.next_offset
    assert {account.segment for account in world.accounts().values()} == {1}


class Slow:
    """Two partitions whose input comes piece by piece, with waiting in between."""

    def __init__(self) -> None:
        self.now = 0.0
        self.closed: list[int] = []
        self.went_on: list[Partition] = []
        world, _ = a_world()
        rig = Rig()
        self.accounts: Accounts = rig.accounts
        self.held = self.accounts._held
        committed = world.accounts()
        self.held |= {ZERO: committed[0], ONE: committed[1]}
        self.world = world
        self.holdings = Holdings(self.accounts, Memories(), Schedule(every_rows=1, every_seconds=1))
        stores = Stores(world.state.read, self._read, lambda _: a_detector(), "f", 2)
        self.restoring = Restoring(
            self.holdings, self, stores, on_restored=lambda *_: None, clock=self._clock
        )

    def step(self) -> int:
        return self.restoring.step(a_detector())

    def go_on(self, partitions: Sequence[Partition]) -> None:
        self.went_on += partitions

    def _read(self, partition: Partition, begin: int, end: int) -> Iterator[list[StoredRecord]]:
        try:
            for record in self.world.part(partition.number):
                if begin <= record.stored_offset < end:
                    yield [record]
                    yield []
        finally:
            self.closed.append(partition.number)

    def _clock(self) -> float:
        self.now += 1.0
        return self.now


def test_between_two_pieces_the_loop_may_poll() -> None:
    slow = Slow()

    left = [slow.step() for _ in range(5)]

    assert left == [2] * 5
    while slow.step():
        assert slow.now < 1_000
    assert slow.went_on == [ZERO, ONE]
    assert slow.holdings.missing == []


def test_a_revocation_cancels_a_restore() -> None:
    slow = Slow()
    for _ in range(4):
        slow.step()
    slow.holdings.revoked([ZERO])

    slow.step()

    assert slow.closed == [0], "its reader is closed"
    assert ZERO not in slow.holdings.memories
    while slow.step():
        assert slow.now < 1_000
    assert slow.went_on == [ONE]


def test_a_partition_that_comes_back_moved_on_is_restored_anew() -> None:
    slow = Slow()
    for _ in range(4):
        slow.step()
    other = open_account(7, model_version=a_detector().version, fingerprint="f")
    slow.held[ZERO] = other

    while slow.step():
        assert slow.now < 1_000

    assert slow.went_on == [ZERO, ONE]
    slow.holdings.memories.begin(ZERO, other)
    assert slow.holdings.memories[ZERO].sensors == 0
