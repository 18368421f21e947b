"""Keeps the account, memory and snapshot schedule of each assigned partition consistent."""

from collections.abc import Mapping, Sequence

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.consumer.accounts import Accounts
from sensorwatch.consumer.memories import Memories
from sensorwatch.consumer.snapshot_schedule import SnapshotSchedule


class Ownership:
    """Adds, advances and removes the data of assigned partitions; implements PartitionOwner."""

    def __init__(
        self, accounts: Accounts, memories: Memories, snapshot_schedule: SnapshotSchedule
    ) -> None:
        self.accounts = accounts
        self.memories = memories
        self.snapshot_schedule = snapshot_schedule

    @property
    def ready_accounts(self) -> dict[Partition, Account]:
        """The accounts of the partitions whose memory is available."""
        by_partition = self.accounts.by_partition
        return {
            partition: by_partition[partition]
            for partition in sorted(by_partition)
            if self.has_memory(partition)
        }

    @property
    def awaiting_memory(self) -> list[Partition]:
        """The partitions whose memory must be restored, in ascending order."""
        return [
            partition
            for partition in sorted(self.accounts.by_partition)
            if not self.has_memory(partition)
        ]

    def has_memory(self, partition: Partition) -> bool:
        """Return whether the partition's memory is available."""
        return partition in self.memories

    def add_restored(self, partition: Partition, memory: Memory, account: Account) -> None:
        """Add the restored memory of a partition; the memory belongs to `account`."""
        self.memories.put(partition, memory, account)
        self.snapshot_schedule.begin(partition, account)

    def snapshot_due(self, partition: Partition, account: Account) -> bool:
        """Return whether to commit this account with a snapshot of the partition's memory."""
        return self.snapshot_schedule.snapshot_due(
            partition, account, self.memories[partition].sensors
        )

    def advance(self, accounts: Mapping[Partition, Account]) -> dict[Partition, int]:
        """Advance accounts and memories to the accounts that were just committed.

        Return, by partition, the offset of the state topic below which no record is needed.
        """
        deletion_offsets = {}
        for partition, account in accounts.items():
            snapshot = account.snapshot
            if snapshot is not None and snapshot != self.accounts.by_partition[partition].snapshot:
                deletion_offsets[partition] = self.snapshot_schedule.snapshot_committed(
                    partition, snapshot.offset
                )
        self.accounts.advance(accounts)
        self.memories.advance()
        return {
            partition: offset
            for partition, offset in deletion_offsets.items()
            if offset is not None
        }

    # The methods below implement PartitionOwner. The source also calls these methods during a
    # rebalance.

    def assign(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Load the accounts of newly assigned partitions; return their next offsets."""
        offsets = self.accounts.load(partitions)
        by_partition = self.accounts.by_partition
        for partition in self.memories.take_back(
            {partition: by_partition[partition] for partition in offsets}
        ):
            self.snapshot_schedule.begin(partition, by_partition[partition])
        return offsets

    def revoke(self, partitions: Sequence[Partition]) -> None:
        """Remove partitions that are no longer assigned to this worker."""
        self.accounts.forget(partitions)
        self.memories.set_aside(partitions)
        self.snapshot_schedule.forget(partitions)

    def reload(self) -> dict[Partition, int]:
        """Read all accounts again and make the memories match them; return the next offsets."""
        offsets = self.accounts.reload()
        self.memories.reconcile(self.accounts.by_partition)
        return offsets
