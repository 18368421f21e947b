"""A minimal consumer for tests of the checker, which control each of its transactions."""

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, Message, Producer

from sensorwatch.common.kafka.dead_letters import dead_letters
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.ledger.account import Account, open_account
from sensorwatch.common.rows.limits import MAX_SENSORS
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import process
from sensorwatch.consumer.publishing.events import anomaly_events
from sensorwatch.consumer.publishing.outbox import Commit
from sensorwatch.consumer.settlement import (
    LedgerContext,
    Settlement,
    commit_plan,
    settle_account_changes,
    settle_batch,
)
from tests.checker.collecting import Run
from tests.consumer.micro_batches import micro_batch_of


@dataclass(slots=True)
class TransactionContent:
    """The messages, commits and new accounts of one transaction."""

    messages: list[OutgoingMessage]
    commits: list[Commit]
    accounts: dict[Partition, Account]


class SmallConsumer:
    """A consumer that scores given records in transactions and joins no group."""

    def __init__(self, run: Run) -> None:
        self._run = run
        config = {"bootstrap.servers": run.address, "log_level": 0}
        self._group_client = Consumer({**config, "group.id": run.group})
        self._producer = Producer(
            {**config, "transactional.id": run.group, "transaction.timeout.ms": 4000}
        )
        self._producer.init_transactions(20)
        self._accounts: dict[Partition, Account] = {}
        self._memories: dict[Partition, Memory] = {}

    def prepare_content(self, records: Sequence[Message], detector: Detector) -> TransactionContent:
        """Score records and return the content of their transaction."""
        run = self._run
        partition = Partition(run.readings, records[0].partition() or 0)
        new_account = open_account(0, model_version=detector.version, fingerprint="f")
        accounts = {partition: self._accounts.get(partition, new_account)}
        memory = self._memories.setdefault(partition, detector.empty_memory())
        memory.begin()
        if accounts[partition].model_version != detector.version:
            memory.adopt(detector)
        (partition_batch,) = micro_batch_of(records, run.readings).partition_batches
        outcome = process(
            partition_batch.payloads,
            detector,
            memory,
            positions=partition_batch.offsets,
            received=partition_batch.received,
        )
        unopened_partitions = frozenset(accounts.keys() - self._accounts.keys())
        account_changes = settle_account_changes(
            accounts,
            unopened_partitions,
            "f",
            model_version=detector.version,
            max_sensors=MAX_SENSORS,
        )
        settlement = settle_batch(
            accounts | account_changes.accounts,
            [(partition_batch, outcome)],
            model_version=detector.version,
            accept_rejections_until={},
            snapshot_due=lambda *_: False,
        )
        ledger_context = LedgerContext(run.group, run.ledger, 4, "f", {})
        plan = commit_plan(
            Settlement(settlement.accounts, account_changes.ledger_entries), {}, ledger_context
        )
        events = anomaly_events(
            outcome, detector, records, topic=self._run.anomalies, detected_at="now"
        )
        dead_letter_messages = dead_letters(
            outcome.rejections,
            records,
            topic=self._run.dead_letters,
            group=self._run.group,
            failed_at="now",
            max_message_bytes=10_000,
        )
        messages = [*events, *dead_letter_messages, *plan.messages]
        return TransactionContent(messages, plan.commits, settlement.accounts)

    def write_content(self, content: TransactionContent) -> None:
        """Write the content in a new transaction and leave the transaction open."""
        self._producer.begin_transaction()
        for message in content.messages:
            self._producer.produce(
                message.topic, message.value, message.key, headers=list(message.headers)
            )
        self._producer.flush(10)
        self._producer.send_offsets_to_transaction(
            [commit.to_client() for commit in content.commits],
            self._group_client.consumer_group_metadata(),
            10,
        )

    def commit(self, content: TransactionContent) -> None:
        """Write the content in a transaction and commit the transaction."""
        self.write_content(content)
        self._producer.commit_transaction(10)
        self._accounts.update(content.accounts)

    def abort(self, content: TransactionContent) -> None:
        """Write the content in a transaction and abort the transaction."""
        self.write_content(content)
        self._producer.abort_transaction(10)
        for partition in content.accounts:
            self._memories[partition].undo()

    def close(self) -> None:
        """Close the Kafka client that belongs to the group."""
        self._group_client.close()
