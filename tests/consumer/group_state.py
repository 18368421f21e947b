"""What remains after a worker has ended: input, committed offsets, snapshots and output."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from confluent_kafka import TopicPartition

from sensorwatch.common.errors import MicroBatchAborted, OutcomeUnknown, SensorwatchError
from sensorwatch.common.kafka.ledger_text import LedgerRecord, from_metadata, ledger_record
from sensorwatch.common.kafka.records import OutgoingMessage
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.ledger.account import Account
from sensorwatch.consumer.publishing.outbox import CommitPlanner
from tests.consumer.fakes import FakeConsumer
from tests.consumer.rig import FakeOutbox, FakeState, Rig
from tests.kafka.record_builders import StoredRecord

PARTITIONS = 2


class KilledError(Exception):
    """The worker was killed."""


@dataclass
class GroupState:
    """The input, offsets, state and output of a group."""

    input: list[StoredRecord]
    offsets: dict[int, TopicPartition] = field(default_factory=dict)
    state: FakeState = field(default_factory=FakeState)
    published: list[OutgoingMessage] = field(default_factory=list)
    worker_runs: int = 0

    def partition_records(self, number: int) -> list[StoredRecord]:
        return [record for record in self.input if record.stored_partition == number]

    def accounts(self) -> dict[int, Account]:
        accounts = {n: from_metadata(at.metadata, at.offset) for n, at in self.offsets.items()}
        return {number: account for number, account in accounts.items() if account is not None}

    def done(self) -> bool:
        accounts = self.accounts()
        return len(accounts) == PARTITIONS and all(
            accounts[number].consumed == len(self.partition_records(number)) for number in accounts
        )

    def ledger(self) -> list[LedgerRecord]:
        return [ledger_record(m.value) for m in self.published if m.topic == "g.ledger"]

    def results(self, number: int) -> list[tuple[str, bytes | None, bytes | None]]:
        """Return topic, key and value of all results of a partition, sorted by topic."""
        results = []
        for message in self.published:
            if message.topic == "anomalies":
                source = json.loads(message.value or b"")["source"]["partition"]
            elif message.topic == "sensors.dlq":
                source = int(dict(message.headers)["__dlq.errors.partition"] or b"")
            else:
                continue
            if source == number:
                results.append((message.topic, message.key, message.value))
        return sorted(results, key=lambda one: one[0])

    def run_worker(self, rng: Random | None = None, **options: object) -> Rig:
        """Run a worker until all records are consumed or it is killed."""
        self.worker_runs += 1
        consumer = PartitionLogConsumer(self, rng)
        rig = Rig(consumer=consumer, state=self.state, **options)  # type: ignore[arg-type]  # options of Rig
        rig.input = self.input
        rig.outbox = FaultyOutbox(self, consumer, rng)
        consumer.assign_partitions(*range(PARTITIONS))
        rig.run(self.done)
        return rig


class PartitionLogConsumer(FakeConsumer):
    """Returns records from its positions; with `rng`, in random batches and with rebalances."""

    def __init__(self, group_state: GroupState, rng: Random | None) -> None:
        super().__init__()
        self.group_state = group_state
        self.offsets = group_state.offsets
        self.rng = rng
        self.positions: dict[int, int] = {}

    def assign(self, partitions: list[TopicPartition]) -> None:
        assigned = {one.partition: one for one in [*self.assigned, *partitions]}
        self.assigned = list(assigned.values())
        self.positions |= {one.partition: one.offset for one in partitions}

    def seek(self, position: TopicPartition) -> None:
        super().seek(position)
        self.positions[position.partition] = position.offset

    def revoke_partitions(self, *partitions: int, kind: str = "on_revoke") -> None:
        super().revoke_partitions(*partitions, kind=kind)
        self.assigned = [one for one in self.assigned if one.partition not in partitions]
        for number in partitions:
            self.positions.pop(number, None)

    def consume(self, count: int, _seconds: float) -> Sequence[object]:
        if self.rng is not None and self.rng.random() < 0.05:
            number = self.rng.randrange(PARTITIONS)
            self.revoke_partitions(number, kind=self.rng.choice(["on_revoke", "on_lost"]))
            self.assign_partitions(number)
        if self.rng is not None:
            count = self.rng.randint(0, min(count, 9))
        records: list[StoredRecord] = []
        for number in sorted(self.positions.keys() - set(self.paused)):
            waiting = [
                r
                for r in self.group_state.partition_records(number)
                if r.stored_offset >= self.positions[number]
            ]
            batch = waiting[: count - len(records)]
            if batch:
                self.positions[number] = batch[-1].stored_offset + 1
            records += batch
        return records


class FaultyOutbox(FakeOutbox):
    """Publishes into the group state, or fails at random before or after the commit."""

    def __init__(self, group_state: GroupState, consumer: FakeConsumer, rng: Random | None) -> None:
        super().__init__(consumer, state=group_state.state)
        self._group_state = group_state
        self._rng = rng

    def publish(
        self,
        messages: Iterable[OutgoingMessage],
        plan_commit: CommitPlanner,
        membership: object,
        *,
        snapshots: Sequence[Snapshot] = (),
    ) -> None:
        before, after = self._draw_failure()
        messages = list(messages)
        if before is not None:
            plan_commit(self.state.offsets(snapshots))
            raise before
        super().publish(messages, plan_commit, membership, snapshots=snapshots)
        self._group_state.published += self.published[-1][0]
        if after is not None:
            raise after

    def _draw_failure(self) -> tuple[Exception | None, Exception | None]:
        if self._rng is None or self._rng.random() < 0.6:
            return None, None
        failure: Exception = self._rng.choice(_FAILURES)
        aborted = isinstance(failure, MicroBatchAborted) or self._rng.random() < 0.5
        return (failure, None) if aborted else (None, failure)


_FAILURES: list[SensorwatchError | KilledError] = [
    MicroBatchAborted("injected"),
    OutcomeUnknown("injected"),
    KilledError("injected"),
]
