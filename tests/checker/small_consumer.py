"""The consumer in its smallest form, for tests of the checker: it takes orders."""

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, Message, Producer

from sensorwatch.common.kafka.dead_letters import dead_letters
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.ledger.account import Account, open_account
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import MAX_SENSORS, Memory
from sensorwatch.common.scoring.processing import process
from sensorwatch.consumer.micro_batch import micro_batch_of
from sensorwatch.consumer.publication import LedgerTerms, conclusion
from sensorwatch.consumer.publishing.events import anomaly_events
from sensorwatch.consumer.publishing.outbox import Commit
from sensorwatch.consumer.settlement import Settlement, renewed, settle
from tests.checker.collecting import Run


@dataclass(slots=True)
class Batch:
    """All that one transaction is to carry."""

    messages: list[OutgoingMessage]
    commits: list[Commit]
    accounts: dict[Partition, Account]


class SmallConsumer:
    """Takes records by hand and commits them in transactions; it joins no group."""

    def __init__(self, run: Run) -> None:
        self._run = run
        config = {"bootstrap.servers": run.address, "log_level": 0}
        self._group = Consumer({**config, "group.id": run.group})
        self._producer = Producer(
            {**config, "transactional.id": run.group, "transaction.timeout.ms": 4000}
        )
        self._producer.init_transactions(20)
        self._held: dict[Partition, Account] = {}
        self._memories: dict[Partition, Memory] = {}

    def decide(self, records: Sequence[Message], detector: Detector) -> Batch:
        """Score records and return all that must be written."""
        run = self._run
        where = Partition(run.readings, records[0].partition() or 0)
        new = open_account(0, model_version=detector.version, fingerprint="f")
        held = {where: self._held.get(where, new)}
        memory = self._memories.setdefault(where, detector.cold())
        memory.begin()
        if held[where].model_version != detector.version:
            memory.adopt(detector)
        (portion,) = micro_batch_of(records, run.readings).portions
        outcome = process(
            portion.payloads,
            detector,
            memory,
            positions=portion.offsets,
            received=portion.received,
        )
        unopened = frozenset(held.keys() - self._held.keys())
        renewal = renewed(
            held, unopened, "f", model_version=detector.version, max_sensors=MAX_SENSORS
        )
        settlement = settle(
            held | renewal.accounts,
            [(portion, outcome)],
            model_version=detector.version,
            accept_rejections_until={},
            due=lambda *_: False,
        )
        terms = LedgerTerms(run.group, run.ledger, 4, "f", {})
        ending = conclusion(Settlement(settlement.accounts, renewal.notes), {}, terms)
        events = anomaly_events(
            outcome, detector, records, topic=self._run.anomalies, detected_at="now"
        )
        letters = dead_letters(
            outcome.rejections,
            records,
            topic=self._run.dead_letters,
            group=self._run.group,
            failed_at="now",
            max_message_bytes=10_000,
        )
        messages = [*events, *letters, *ending.messages]
        return Batch(messages, ending.commits, settlement.accounts)

    def write(self, batch: Batch) -> None:
        """Write a batch into a transaction, and leave that open."""
        self._producer.begin_transaction()
        for one in batch.messages:
            self._producer.produce(one.topic, one.value, one.key, headers=list(one.headers))
        self._producer.flush(10)
        self._producer.send_offsets_to_transaction(
            [commit.to_client() for commit in batch.commits],
            self._group.consumer_group_metadata(),
            10,
        )

    def commit(self, batch: Batch) -> None:
        """Write a batch and commit it."""
        self.write(batch)
        self._producer.commit_transaction(10)
        self._held.update(batch.accounts)

    def abort(self, batch: Batch) -> None:
        """Write a batch and abort it."""
        self.write(batch)
        self._producer.abort_transaction(10)
        for partition in batch.accounts:
            self._memories[partition].undo()

    def close(self) -> None:
        """Close both clients."""
        self._group.close()
