"""Whether every record of the demonstration came to exactly one outcome."""

from collections.abc import Sequence
from dataclasses import dataclass

from sensorwatch.common.ledger.account import Account


@dataclass(frozen=True, slots=True)
class Counts:
    """The same rows counted by parties that do not ask each other."""

    delivered: int
    """What the broker acknowledged to the demonstration's producer."""
    failed: int
    """What the producer could not deliver."""
    records_in: int
    """End offsets of the readings' topic: everybody's records."""
    accounts: Sequence[Account]
    """The ledger of each partition, out of the committed offsets."""
    events: int
    """Events of anomalous rows read back, each id once; episodes' ends are no rows."""
    dead_letters: int
    """Dead letters read back, each id once."""
    repeated: int = 0
    """Events, episodes' ends and dead letters read back a second time."""

    @property
    def normal(self) -> int:
        """Rows scored normal, of which only the ledger knows."""
        return sum(account.normal for account in self.accounts)

    @property
    def foreign(self) -> int:
        """Records that somebody else sent to the topic meanwhile."""
        return max(0, self.records_in - self.delivered)


def equation(counts: Counts) -> str:
    """Write the account as one line with its four numbers."""
    return (
        f"records in {counts.records_in} = normal {counts.normal} + anomalies {counts.events} "
        f"+ dead letters {counts.dead_letters}"
    )


def discrepancies(counts: Counts) -> list[str]:
    """Say everything that does not add up; nothing where every record has one outcome."""
    accounts = counts.accounts
    consumed = sum(account.consumed for account in accounts)
    anomalies = sum(account.anomalies for account in accounts)
    letters = sum(account.dead_letters for account in accounts)
    found = []
    if not all(account.adds_up for account in accounts):
        found.append("the ledger of a partition does not add up in itself")
    if counts.failed:
        found.append(f"{counts.failed} records were not delivered to the broker")
    if counts.delivered > counts.records_in:
        found.append(f"{counts.delivered} delivered, but only {counts.records_in} in the topic")
    if consumed != counts.records_in:
        found.append(f"{counts.records_in} in the topic, but {consumed} in the ledger")
    if anomalies != counts.events:
        found.append(f"{anomalies} anomalies in the ledger, but {counts.events} events read back")
    if letters != counts.dead_letters:
        found.append(f"{letters} dead letters in the ledger, but {counts.dead_letters} read back")
    if counts.records_in != counts.normal + counts.events + counts.dead_letters:
        found.append(f"{equation(counts)} does not hold")
    return found
