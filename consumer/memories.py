"""The memories of the partitions that are ours, each beside the account that it stands at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sensorwatch.common.errors import Unrecoverable
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account, SnapshotRef
from sensorwatch.common.scoring.memory import Memory


@dataclass(frozen=True, slots=True)
class MemoryVersion:
    """Tells one state of a partition's memory from any other of it."""

    next_offset: int
    digest: int
    model_version: str
    snapshot: SnapshotRef | None
    """A swap to and fro leaves the rest as it was, but takes something of the memory away."""


@dataclass(slots=True)
class _OwnedMemory:
    memory: Memory
    version: MemoryVersion
    """Where it stands, or stood when it was last begun."""
    next_version: MemoryVersion | None = None
    """Where it stands once what was begun is committed."""


class Memories:
    """Written in place by a micro-batch, put back where that was not committed.

    `begin`, then either `committed`, or `undo`, or `reconcile` where only the committed offsets can
    say which of the two it was.
    """

    def __init__(self) -> None:
        self._owned: dict[Partition, _OwnedMemory] = {}
        self._revoked: dict[Partition, _OwnedMemory] = {}

    def __contains__(self, partition: Partition) -> bool:
        return partition in self._owned

    def __getitem__(self, partition: Partition) -> Memory:
        return self._owned[partition].memory

    def put(self, partition: Partition, memory: Memory, account: Account) -> None:
        """Take a memory that stands where the account does."""
        self._owned[partition] = _OwnedMemory(memory, memory_version_of(account))

    def begin(self, partition: Partition, account: Account) -> Memory:
        """Return the memory to be written in, which is to stand at this account.

        Raises Unrecoverable where it does not: scoring on would give other bits.
        """
        owned = self._owned[partition]
        if owned.next_version is not None or owned.version != memory_version_of(account):
            raise Unrecoverable(
                f"the memory of {partition} stands at {owned.version} (then {owned.next_version}), its account at "
                f"{memory_version_of(account)}: a restart restores it"
            )
        owned.memory.begin()
        owned.next_version = owned.version
        return owned.memory

    def expect_commit(self, accounts: Mapping[Partition, Account]) -> None:
        """Note where the memories will stand once these are committed.

        One that was not begun is only written down: what was begun before is committed.
        """
        for partition, account in accounts.items():
            owned = self._owned.get(partition)
            if owned is not None:
                if owned.next_version is None:
                    owned.memory.begin()
                owned.next_version = memory_version_of(account)

    def committed(self) -> None:
        """What was begun is committed."""
        for owned in self._owned.values():
            if owned.next_version is not None:
                owned.version, owned.next_version = owned.next_version, None

    def undo(self) -> None:
        """Put back what was begun: nothing of it was committed."""
        for owned in self._owned.values():
            _roll_back(owned)

    def reconcile(self, accounts: Mapping[Partition, Account]) -> None:
        """Keep or put back what was begun, as the committed accounts tell.

        A memory that stands at neither end is forgotten, so that it is restored.
        """
        for partition in list(self._owned):
            if not _matches_committed(self._owned[partition], accounts.get(partition)):
                del self._owned[partition]

    def set_aside(self, partitions: Iterable[Partition]) -> None:
        """Use no longer what is of partitions that are ours no more."""
        for partition in partitions:
            owned = self._owned.pop(partition, None)
            if owned is not None:
                self._revoked[partition] = owned

    def take_back(self, accounts: Mapping[Partition, Account]) -> list[Partition]:
        """Use again what stands where these accounts do, and forget the rest of what was set aside.

        An eager rebalance takes all partitions away and gives most of them back untouched. Return
        the partitions that have their memory again.
        """
        reused = []
        for partition, owned in self._revoked.items():
            if _matches_committed(owned, accounts.get(partition)):
                self._owned[partition] = owned
                reused.append(partition)
        self._revoked.clear()
        return reused


def _matches_committed(owned: _OwnedMemory, account: Account | None) -> bool:
    """Bring a memory to where the committed account stands; False where it cannot be."""
    committed_version = None if account is None else memory_version_of(account)
    if committed_version is not None and committed_version == owned.version:
        _roll_back(owned)
    elif committed_version is not None and committed_version == owned.next_version:
        owned.version, owned.next_version = committed_version, None
    else:
        return False
    return True


def memory_version_of(account: Account) -> MemoryVersion:
    """Return where a memory that has seen what the account counts stands."""
    return MemoryVersion(
        account.next_offset, account.digest, account.model_version, account.snapshot
    )


def _roll_back(owned: _OwnedMemory) -> None:
    if owned.next_version is not None:
        owned.memory.undo()
        owned.next_version = None
