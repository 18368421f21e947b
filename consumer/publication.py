"""A settlement as it is written: snapshots, ledger records, next offsets with their accounts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sensorwatch.common.kafka.ledger_text import Cause, ledger_message, to_metadata
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.ledger.account import Account, SnapshotAt
from sensorwatch.common.scoring.memory import MAX_SENSORS
from sensorwatch.common.scoring.memory_bytes import memory_bytes
from sensorwatch.consumer.memories import Memories
from sensorwatch.consumer.publishing.outbox import Commit, Conclusion
from sensorwatch.consumer.settlement import Settlement


@dataclass(frozen=True, slots=True)
class LedgerTerms:
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


def snapshots_of(settlement: Settlement, memories: Memories, terms: LedgerTerms) -> list[Snapshot]:
    """Write the memories down that stand where the ledger will tell of them.

    A cold one needs no snapshot: an account that was only opened names none.
    """
    noted = {note.partition for note in settlement.notes if note.cause is not Cause.OPENED}
    return [
        Snapshot(
            group=terms.group,
            source=partition,
            partitions=terms.partitions,
            next_offset=account.next_offset,
            model_version=account.model_version,
            account=account,
            content=memory_bytes(memories[partition]),
        )
        for partition, account in settlement.accounts.items()
        if partition in noted
    ]


def told(
    accounts: Mapping[Partition, Account], manifests: Mapping[Partition, int]
) -> dict[Partition, Account]:
    """Name in each account its new snapshot, where it has one, by its manifest's offset."""
    return {
        partition: _named(account, manifests.get(partition))
        for partition, account in accounts.items()
    }


def conclusion(
    settlement: Settlement, manifests: Mapping[Partition, int], terms: LedgerTerms
) -> Conclusion:
    """Make the ledger records and the next offsets, once the snapshots have their place."""
    messages = [
        ledger_message(
            terms.topic,
            terms.group,
            note.partition,
            _named(note.account, manifests.get(note.partition)),
            note.cause,
        )
        for note in settlement.notes
    ]
    commits = [
        Commit(partition, account.next_offset, to_metadata(account))
        for partition, account in told(settlement.accounts, manifests).items()
    ]
    return Conclusion(messages, commits)


def _named(account: Account, manifest: int | None) -> Account:
    if manifest is None:
        return account
    return replace(account, snapshot=SnapshotAt(manifest, account.next_offset))
