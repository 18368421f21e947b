"""Simulates what Kafka stores for a consumer group, so that a test can restart its worker."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from confluent_kafka import TopicPartition

from sensorwatch.common.errors import (
    MicroBatchAborted,
    OutcomeUnknown,
    SensorwatchError,
    Unrecoverable,
)
from sensorwatch.common.kafka.ledger_text import LedgerRecord, from_metadata, ledger_record
from sensorwatch.common.kafka.records import OutgoingMessage
from sensorwatch.common.kafka.score_records import decode_scores
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.score_aggregates import ScoreAggregates, merge_aggregates
from sensorwatch.consumer.publishing.outbox import CommitPlanner
from sensorwatch.consumer.restoration import COMPARED_ACCOUNT_FIELDS
from tests.consumer.fakes import FakeConsumer
from tests.consumer.rig import FakeOutbox, FakeStateTopic, LoopRig
from tests.kafka.record_builders import StoredRecord
from tests.reading_builders import a_detector

PARTITION_COUNT = 2
SCORES_TOPIC = "g.scores"


class KilledError(Exception):
    """The worker was killed."""


@dataclass
class GroupState:
    """What Kafka stores for a group: input, committed offsets, snapshots and output."""

    input_records: list[StoredRecord]
    offsets: dict[int, TopicPartition] = field(default_factory=dict)
    state_topic: FakeStateTopic = field(default_factory=FakeStateTopic)
    published_messages: list[OutgoingMessage] = field(default_factory=list)
    worker_runs: int = 0

    def partition_records(self, partition_number: int) -> list[StoredRecord]:
        return [
            record for record in self.input_records if record.stored_partition == partition_number
        ]

    def accounts(self) -> dict[int, Account]:
        accounts = {
            n: from_metadata(committed_offset.metadata, committed_offset.offset)
            for n, committed_offset in self.offsets.items()
        }
        return {
            partition_number: account
            for partition_number, account in accounts.items()
            if account is not None
        }

    def all_consumed(self) -> bool:
        accounts = self.accounts()
        return len(accounts) == PARTITION_COUNT and all(
            accounts[partition_number].consumed == len(self.partition_records(partition_number))
            for partition_number in accounts
        )

    def ledger(self) -> list[LedgerRecord]:
        return [ledger_record(m.value) for m in self.published_messages if m.topic == "g.ledger"]

    def results(self, partition_number: int) -> list[tuple[str, bytes | None, bytes | None]]:
        """Return topic, key and value of all events and dead letters of a partition, by topic."""
        results = []
        for message in self.published_messages:
            if message.topic == "anomalies":
                source = json.loads(message.value or b"")["source"]["partition"]
            elif message.topic == "sensors.dlq":
                source = int(dict(message.headers)["__dlq.errors.partition"] or b"")
            else:
                continue
            if source == partition_number:
                results.append((message.topic, message.key, message.value))
        return sorted(results, key=lambda result: result[0])

    def score_aggregates(self, partition_number: int) -> ScoreAggregates:
        """Return the merged aggregates of a partition's score records."""
        records = [
            decode_scores(message.value)
            for message in self.published_messages
            if message.topic == SCORES_TOPIC
        ]
        return merge_aggregates(
            [record.aggregates for record in records if record.partition.number == partition_number]
        )

    def run_worker(self, rng: Random | None = None, **options: object) -> LoopRig:
        """Run a worker until all records are consumed.

        With `rng` an injected KilledError may end the run earlier.
        """
        self.worker_runs += 1
        consumer = PartitionLogConsumer(self, rng)
        rig = LoopRig(consumer=consumer, state_topic=self.state_topic, **options)  # type: ignore[arg-type]  # options of LoopRig
        rig.input_records = self.input_records
        rig.outbox = FaultyOutbox(self, consumer, rng)
        consumer.assign_partitions(*range(PARTITION_COUNT))
        rig.run(self.all_consumed)
        return rig


def consume_all(
    records: list[StoredRecord],
    rng: Random | None = None,
    *,
    detector: Callable[[str], Detector] = a_detector,
) -> GroupState:
    """Run workers until all records are consumed.

    With `rng` the workers are killed at random, and snapshots are written at random.
    """
    group_state = GroupState(records)
    while not group_state.all_consumed():
        assert group_state.worker_runs < 200
        try:
            group_state.run_worker(
                rng, snapshot_every_rows=rng.randint(1, 60) if rng else 1_000, detector=detector
            )
        except (KilledError, Unrecoverable):
            continue
    return group_state


def consume_twice(
    partition_records: Callable[[int], list[StoredRecord]],
    rng: Random,
    *,
    detector: Callable[[str], Detector] = a_detector,
) -> list[Account]:
    """Consume the records of all partitions without faults, and again with faults drawn by `rng`.

    Both must give the same accounts and the same messages. Returns the accounts.
    """
    records = [r for number in range(PARTITION_COUNT) for r in partition_records(number)]
    expected_state = consume_all(records, detector=detector)
    group_state = consume_all(records, rng, detector=detector)
    for number in range(PARTITION_COUNT):
        account, expected = group_state.accounts()[number], expected_state.accounts()[number]
        compared_fields = (*COMPARED_ACCOUNT_FIELDS, "digest")
        assert [getattr(account, name) for name in compared_fields] == [
            getattr(expected, name) for name in compared_fields
        ]
        assert account.adds_up
        assert group_state.results(number) == expected_state.results(number)
        event_values = [
            value for topic, _, value in group_state.results(number) if topic == "anomalies"
        ]
        assert len(set(event_values)) == len(event_values)
    return [*group_state.accounts().values()]


class PartitionLogConsumer(FakeConsumer):
    """A consumer that reads the input records of a group, from a position in each partition.

    With `rng` the batches have random sizes, and partitions are revoked at random times.
    """

    def __init__(self, group_state: GroupState, rng: Random | None) -> None:
        super().__init__()
        self.group_state = group_state
        self.offsets = group_state.offsets
        self.rng = rng
        self.positions: dict[int, int] = {}

    def assign(self, partitions: list[TopicPartition]) -> None:
        partitions_by_number = {
            partition.partition: partition for partition in [*self.assigned_partitions, *partitions]
        }
        self.assigned_partitions = list(partitions_by_number.values())
        self.positions |= {partition.partition: partition.offset for partition in partitions}

    def seek(self, position: TopicPartition) -> None:
        super().seek(position)
        self.positions[position.partition] = position.offset

    def revoke_partitions(self, *partitions: int, kind: str = "on_revoke") -> None:
        super().revoke_partitions(*partitions, kind=kind)
        self.assigned_partitions = [
            partition
            for partition in self.assigned_partitions
            if partition.partition not in partitions
        ]
        for partition_number in partitions:
            self.positions.pop(partition_number, None)

    def consume(self, count: int, _seconds: float) -> Sequence[object]:
        if self.rng is not None and self.rng.random() < 0.05:
            partition_number = self.rng.randrange(PARTITION_COUNT)
            self.revoke_partitions(partition_number, kind=self.rng.choice(["on_revoke", "on_lost"]))
            self.assign_partitions(partition_number)
        if self.rng is not None:
            count = self.rng.randint(0, min(count, 9))
        records: list[StoredRecord] = []
        for partition_number in sorted(self.positions.keys() - set(self.paused_partitions)):
            remaining_records = [
                r
                for r in self.group_state.partition_records(partition_number)
                if r.stored_offset >= self.positions[partition_number]
            ]
            batch = remaining_records[: count - len(records)]
            if batch:
                self.positions[partition_number] = batch[-1].stored_offset + 1
            records += batch
        return records


class FaultyOutbox(FakeOutbox):
    """An outbox that publishes to the group state.

    With `rng` some calls fail, either before or after the commit.
    """

    def __init__(self, group_state: GroupState, consumer: FakeConsumer, rng: Random | None) -> None:
        super().__init__(consumer, state_topic=group_state.state_topic)
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
        failure_before_commit, failure_after_commit = self._draw_failure()
        messages = list(messages)
        if failure_before_commit is not None:
            plan_commit(self.state_topic.offsets(snapshots))
            raise failure_before_commit
        super().publish(messages, plan_commit, membership, snapshots=snapshots)
        self._group_state.published_messages += self.published_batches[-1][0]
        if failure_after_commit is not None:
            raise failure_after_commit

    def _draw_failure(self) -> tuple[Exception | None, Exception | None]:
        if self._rng is None or self._rng.random() < 0.6:
            return None, None
        failure: Exception = self._rng.choice(_INJECTED_FAILURES)
        fails_before_commit = isinstance(failure, MicroBatchAborted) or self._rng.random() < 0.5
        return (failure, None) if fails_before_commit else (None, failure)


_INJECTED_FAILURES: list[SensorwatchError | KilledError] = [
    MicroBatchAborted("injected"),
    OutcomeUnknown("injected"),
    KilledError("injected"),
]
