"""The memories of the partitions that are ours, each beside the account that it stands at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sensorwatch.common.errors import Unrecoverable
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account, SnapshotAt
from sensorwatch.common.scoring.memory import Memory


@dataclass(frozen=True, slots=True)
class Place:
    """Tells one state of a partition's memory from any other of it."""

    next_offset: int
    digest: int
    model_version: str
    snapshot: SnapshotAt | None
    """A swap to and fro leaves the rest as it was, but takes something of the memory away."""


@dataclass(slots=True)
class _Held:
    memory: Memory
    at: Place
    """Where it stands, or stood when it was last begun."""
    then: Place | None = None
    """Where it stands once what was begun is committed."""


class Memories:
    """Written in place by a micro-batch, put back where that was not committed.

    `begin`, then either `committed`, or `undo`, or `reconcile` where only the committed offsets can
    say which of the two it was.
    """

    def __init__(self) -> None:
        self._held: dict[Partition, _Held] = {}
        self._aside: dict[Partition, _Held] = {}

    def __contains__(self, partition: Partition) -> bool:
        return partition in self._held

    def __getitem__(self, partition: Partition) -> Memory:
        return self._held[partition].memory

    def put(self, partition: Partition, memory: Memory, account: Account) -> None:
        """Take a memory that stands where the account does."""
        self._held[partition] = _Held(memory, place_of(account))

    def begin(self, partition: Partition, account: Account) -> Memory:
        """Return the memory to be written in, which is to stand at this account.

        Raises Unrecoverable where it does not: scoring on would give other bits.
        """
        held = self._held[partition]
        if held.then is not None or held.at != place_of(account):
            raise Unrecoverable(
                f"the memory of {partition} stands at {held.at} (then {held.then}), its account at "
                f"{place_of(account)}: a restart restores it"
            )
        held.memory.begin()
        held.then = held.at
        return held.memory

    def expect(self, accounts: Mapping[Partition, Account]) -> None:
        """Note where the memories will stand once these are committed.

        One that was not begun is only written down: what was begun before is committed.
        """
        for partition, account in accounts.items():
            held = self._held.get(partition)
            if held is not None:
                if held.then is None:
                    held.memory.begin()
                held.then = place_of(account)

    def committed(self) -> None:
        """What was begun is committed."""
        for held in self._held.values():
            if held.then is not None:
                held.at, held.then = held.then, None

    def undo(self) -> None:
        """Put back what was begun: nothing of it was committed."""
        for held in self._held.values():
            _put_back(held)

    def reconcile(self, accounts: Mapping[Partition, Account]) -> None:
        """Keep or put back what was begun, as the committed accounts tell.

        A memory that stands at neither end is forgotten, so that it is restored.
        """
        for partition in list(self._held):
            if not _settled(self._held[partition], accounts.get(partition)):
                del self._held[partition]

    def set_aside(self, partitions: Iterable[Partition]) -> None:
        """Use no longer what is of partitions that are ours no more."""
        for partition in partitions:
            held = self._held.pop(partition, None)
            if held is not None:
                self._aside[partition] = held

    def take_back(self, accounts: Mapping[Partition, Account]) -> list[Partition]:
        """Use again what stands where these accounts do, and forget the rest of what was set aside.

        An eager rebalance takes all partitions away and gives most of them back untouched. Return
        the partitions that have their memory again.
        """
        back = []
        for partition, held in self._aside.items():
            if _settled(held, accounts.get(partition)):
                self._held[partition] = held
                back.append(partition)
        self._aside.clear()
        return back


def _settled(held: _Held, account: Account | None) -> bool:
    """Bring a memory to where the committed account stands; False where it cannot be."""
    found = None if account is None else place_of(account)
    if found is not None and found == held.at:
        _put_back(held)
    elif found is not None and found == held.then:
        held.at, held.then = found, None
    else:
        return False
    return True


def place_of(account: Account) -> Place:
    """Return where a memory that has seen what the account counts stands."""
    return Place(account.next_offset, account.digest, account.model_version, account.snapshot)


def _put_back(held: _Held) -> None:
    if held.then is not None:
        held.memory.undo()
        held.then = None
