"""A settlement as it is written: snapshots, ledger records, next offsets with their accounts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sensorwatch.common.kafka.ledger_text import Cause, ledger_message, to_metadata
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.ledger.account import Account, SnapshotRef
from sensorwatch.common.scoring.memory import MAX_SENSORS
from sensorwatch.common.scoring.memory_bytes import memory_to_bytes
from sensorwatch.consumer.memories import Memories
from sensorwatch.consumer.publishing.outbox import Commit, CommitPlan
from sensorwatch.consumer.settlement import Settlement


@dataclass(frozen=True, slots=True)
class LedgerContext:
    """How this worker keeps the ledger."""

    group: str
    topic: str
    partitions: int
    """How many the input has."""
    fingerprint: str
    """Of this process: see common/runtime/fingerprint.py."""
    accept_rejections_until: Mapping[Partition, int]
    max_sensors: int = MAX_SENSORS
    """The bound that this worker's memories keep."""


def snapshots_of(
    settlement: Settlement, memories: Memories, ledger_context: LedgerContext
) -> list[Snapshot]:
    """Write the memories down that stand where the ledger will tell of them.

    A cold one needs no snapshot: an account that was only opened names none.
    """
    snapshot_partitions = {
        entry.partition for entry in settlement.ledger_entries if entry.cause is not Cause.OPENED
    }
    return [
        Snapshot(
            group=ledger_context.group,
            source=partition,
            partitions=ledger_context.partitions,
            next_offset=account.next_offset,
            model_version=account.model_version,
            account=account,
            content=memory_to_bytes(memories[partition]),
        )
        for partition, account in settlement.accounts.items()
        if partition in snapshot_partitions
    ]


def with_snapshot_offsets(
    accounts: Mapping[Partition, Account], manifests: Mapping[Partition, int]
) -> dict[Partition, Account]:
    """Name in each account its new snapshot, where it has one, by its manifest's offset."""
    return {
        partition: _with_snapshot_offset(account, manifests.get(partition))
        for partition, account in accounts.items()
    }


def commit_plan(
    settlement: Settlement, manifests: Mapping[Partition, int], ledger_context: LedgerContext
) -> CommitPlan:
    """Make the ledger records and the next offsets, once the snapshots have their place."""
    messages = [
        ledger_message(
            ledger_context.topic,
            ledger_context.group,
            entry.partition,
            _with_snapshot_offset(entry.account, manifests.get(entry.partition)),
            entry.cause,
        )
        for entry in settlement.ledger_entries
    ]
    commits = [
        Commit(partition, account.next_offset, to_metadata(account))
        for partition, account in with_snapshot_offsets(settlement.accounts, manifests).items()
    ]
    return CommitPlan(messages, commits)


def _with_snapshot_offset(account: Account, manifest: int | None) -> Account:
    if manifest is None:
        return account
    return replace(account, snapshot=SnapshotRef(manifest, account.next_offset))
