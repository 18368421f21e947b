"""The memories of the assigned partitions, each with the account that it belongs to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sensorwatch.common.errors import Unrecoverable
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account, SnapshotRef
from sensorwatch.common.scoring.memory import Memory


@dataclass(frozen=True, slots=True)
class MemoryVersion:
    """Identifies one state of a partition's memory."""

    next_offset: int
    digest: int
    model_version: str
    snapshot: SnapshotRef | None
    """The snapshot that the account names. If the model changes and then changes back, only this
    field differs."""


@dataclass(slots=True)
class _OwnedMemory:
    memory: Memory
    version: MemoryVersion
    """The state of the memory at the last commit."""
    next_version: MemoryVersion | None = None
    """The state after the update in progress; None if no update is in progress.

    The value is `version` until that state is known.
    """


class Memories:
    """Memories that a micro-batch updates in place; a failed micro-batch is undone.

    Call `begin` first. Then call `advance` after the commit, or `undo` after a failure. If the
    outcome is unknown, call `reconcile` with the accounts that the broker has.
    """

    def __init__(self) -> None:
        self._owned_memories: dict[Partition, _OwnedMemory] = {}
        self._revoked_memories: dict[Partition, _OwnedMemory] = {}

    def __contains__(self, partition: Partition) -> bool:
        return partition in self._owned_memories

    def __getitem__(self, partition: Partition) -> Memory:
        return self._owned_memories[partition].memory

    def put(self, partition: Partition, memory: Memory, account: Account) -> None:
        """Add the memory of a partition; the memory belongs to `account`."""
        self._owned_memories[partition] = _OwnedMemory(memory, memory_version_of(account))

    def begin(self, partition: Partition, account: Account) -> Memory:
        """Begin an update of a partition's memory, and return the memory.

        Raises Unrecoverable if the memory does not belong to `account`, because its scores would
        be wrong.
        """
        owned_memory = self._owned_memories[partition]
        account_version = memory_version_of(account)
        if owned_memory.next_version is not None or owned_memory.version != account_version:
            raise Unrecoverable(
                f"the memory of {partition} does not belong to its account: a restart restores the "
                f"memory. Memory: {owned_memory.version}, next: {owned_memory.next_version}. "
                f"Account: {account_version}"
            )
        owned_memory.memory.begin()
        owned_memory.next_version = owned_memory.version
        return owned_memory.memory

    def expect_commit(self, accounts: Mapping[Partition, Account]) -> None:
        """Record the accounts to which the memories will belong after the commit in progress.

        If `begin` was not called for a memory, the commit contains only its snapshot.
        """
        for partition, account in accounts.items():
            owned_memory = self._owned_memories.get(partition)
            if owned_memory is not None:
                if owned_memory.next_version is None:
                    owned_memory.memory.begin()
                owned_memory.next_version = memory_version_of(account)

    def advance(self) -> None:
        """Keep all updates since `begin`, because they were committed."""
        for owned_memory in self._owned_memories.values():
            if owned_memory.next_version is not None:
                owned_memory.version, owned_memory.next_version = owned_memory.next_version, None

    def undo(self) -> None:
        """Undo all updates since `begin`, because they were not committed."""
        for owned_memory in self._owned_memories.values():
            _roll_back(owned_memory)

    def reconcile(self, accounts: Mapping[Partition, Account]) -> None:
        """Keep or undo the updates since `begin`, so that each memory matches its account.

        A memory is removed, and must be restored, if it does not match its account with the updates
        or without them.
        """
        for partition in list(self._owned_memories):
            if not _match_account(self._owned_memories[partition], accounts.get(partition)):
                del self._owned_memories[partition]

    def set_aside(self, partitions: Iterable[Partition]) -> None:
        """Remove the memories of revoked partitions, but keep them for `take_back`."""
        for partition in partitions:
            owned_memory = self._owned_memories.pop(partition, None)
            if owned_memory is not None:
                self._revoked_memories[partition] = owned_memory

    def take_back(self, accounts: Mapping[Partition, Account]) -> list[Partition]:
        """Reuse the memories of revoked partitions that match `accounts`, and drop the others.

        An eager rebalance revokes all partitions and assigns most of them again. Return the
        partitions whose memory is reused.
        """
        reused_partitions = []
        for partition, owned_memory in self._revoked_memories.items():
            if _match_account(owned_memory, accounts.get(partition)):
                self._owned_memories[partition] = owned_memory
                reused_partitions.append(partition)
        self._revoked_memories.clear()
        return reused_partitions


def memory_version_of(account: Account) -> MemoryVersion:
    """Return the version of the memory that belongs to an account."""
    return MemoryVersion(
        account.next_offset, account.digest, account.model_version, account.snapshot
    )


def _match_account(owned_memory: _OwnedMemory, account: Account | None) -> bool:
    """Keep or undo updates so that a memory matches its account; return False on failure."""
    committed_version = None if account is None else memory_version_of(account)
    if committed_version is not None and committed_version == owned_memory.version:
        _roll_back(owned_memory)
    elif committed_version is not None and committed_version == owned_memory.next_version:
        owned_memory.version, owned_memory.next_version = committed_version, None
    else:
        return False
    return True


def _roll_back(owned_memory: _OwnedMemory) -> None:
    if owned_memory.next_version is not None:
        owned_memory.memory.undo()
        owned_memory.next_version = None
