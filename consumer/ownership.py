"""What we hold of each of our partitions: its account, and the memory that stands at it."""

from collections.abc import Mapping, Sequence

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.consumer.accounts import Accounts
from sensorwatch.consumer.memories import Memories
from sensorwatch.consumer.snapshot_schedule import SnapshotSchedule


class Ownership:
    """Tells the source where each partition goes on, and forgets with it what goes."""

    def __init__(
        self, accounts: Accounts, memories: Memories, snapshot_schedule: SnapshotSchedule
    ) -> None:
        self.accounts = accounts
        self.memories = memories
        self.snapshot_schedule = snapshot_schedule

    @property
    def ready_accounts(self) -> dict[Partition, Account]:
        """The accounts of the partitions whose records can be scored: their memory is there."""
        by_partition = self.accounts.by_partition
        return {
            partition: by_partition[partition]
            for partition in sorted(by_partition)
            if self.has_memory(partition)
        }

    @property
    def awaiting_memory(self) -> list[Partition]:
        """The partitions that wait for their memory."""
        return [
            partition
            for partition in sorted(self.accounts.by_partition)
            if not self.has_memory(partition)
        ]

    def has_memory(self, partition: Partition) -> bool:
        """Whether the partition's memory is there."""
        return partition in self.memories

    def add_restored(self, partition: Partition, memory: Memory, account: Account) -> None:
        """Take the memory that stands at a partition's account."""
        self.memories.put(partition, memory, account)
        self.snapshot_schedule.begin(partition, account)

    def snapshot_due(self, partition: Partition, account: Account) -> bool:
        """Whether the memory is to be written down once it stands at this account."""
        return self.snapshot_schedule.snapshot_due(
            partition, account, self.memories[partition].sensors
        )

    def committed(self, accounts: Mapping[Partition, Account]) -> dict[Partition, int]:
        """Take over what was just committed; return which state can be forgotten by now.

        That is, by partition, everything in the state topic before an offset.
        """
        old = {}
        for partition, account in accounts.items():
            at = account.snapshot
            if at is not None and at != self.accounts.by_partition[partition].snapshot:
                old[partition] = self.snapshot_schedule.snapshot_committed(partition, at.offset)
        self.accounts.committed(accounts)
        self.memories.committed()
        return {partition: before for partition, before in old.items() if before is not None}

    # What the source asks, also from within a rebalance.

    def assigned(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Load the accounts of newly assigned partitions; return each one's next offset."""
        offsets = self.accounts.assigned(partitions)
        by_partition = self.accounts.by_partition
        for partition in self.memories.take_back(
            {partition: by_partition[partition] for partition in offsets}
        ):
            self.snapshot_schedule.begin(partition, by_partition[partition])
        return offsets

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Forget partitions that are ours no more."""
        self.accounts.revoked(partitions)
        self.memories.set_aside(partitions)
        self.snapshot_schedule.forget(partitions)

    def reload(self) -> dict[Partition, int]:
        """Read all accounts again, and bring the memories to where they stand."""
        offsets = self.accounts.reload()
        self.memories.reconcile(self.accounts.by_partition)
        return offsets
