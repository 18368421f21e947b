"""The accounts of a consumer group, from its committed offsets and from its ledger."""

from dataclasses import dataclass

from sensorwatch.common.errors import UsageError
from sensorwatch.common.kafka.committed_accounts import CommittedAccount, committed_accounts
from sensorwatch.common.kafka.ledger_topic import group_by_partition, read_ledger
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.topics import require_topics
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.runtime.setting_keys import Settings


@dataclass(frozen=True, slots=True)
class GroupState:
    """The accounts of a consumer group, and the partition counts of two of its topics."""

    committed_accounts: dict[Partition, CommittedAccount]
    ledger_accounts: dict[Partition, Account]
    """The account in the newest ledger record of each partition."""
    partitions: int
    """Number of partitions of the readings' topic."""
    state_partitions: int
    """Number of partitions of the state topic."""

    @property
    def known_partitions(self) -> list[Partition]:
        """The partitions with an account, in order."""
        return sorted({*self.committed_accounts, *self.ledger_accounts})

    def account(self, partition: Partition) -> Account | None:
        """Return the committed account of a partition, else its newest account in the ledger."""
        committed = self.committed_accounts.get(partition)
        committed_account = None if committed is None else committed.account
        return committed_account or self.ledger_accounts.get(partition)


def read_group_state(settings: Settings) -> GroupState:
    """Return the accounts of the configured group; raises UsageError if it has none."""
    kafka, group, topic = settings.kafka, settings.consumer.group, settings.topics.readings
    counts = require_topics(kafka, [topic, settings.state_topic])
    ledger = group_by_partition(read_ledger(kafka, settings.ledger_topic, group=group))
    group_state = GroupState(
        committed_accounts(kafka, topic, group=group),
        {
            partition: records[-1].account
            for partition, records in ledger.items()
            if partition.topic == topic
        },
        counts[topic],
        counts[settings.state_topic],
    )
    if not group_state.known_partitions:
        raise UsageError(
            f'the group "{group}" has no account of the topic "{topic}", and therefore no memory: '
            "correct --group or [topics] readings"
        )
    return group_state
