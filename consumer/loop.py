"""The loop of a worker: it consumes, decides, publishes and advances each micro-batch.

DESIGN.md explains these steps.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from sensorwatch.common.errors import BreakerOpen, MicroBatchAborted, OutcomeUnknown
from sensorwatch.common.kafka.dead_letters import dead_letters
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.kafka.source_values import sources_of_records
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.runtime.metrics import BatchStage
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome, process
from sensorwatch.consumer.breaker import breaker_reason
from sensorwatch.consumer.commit_step import advance, commit_settlement
from sensorwatch.consumer.failure_streak import FailureStreak
from sensorwatch.consumer.micro_batch import MicroBatch, PartitionBatch
from sensorwatch.consumer.publishing.events import anomaly_events
from sensorwatch.consumer.publishing.outbox import CommitPlanner
from sensorwatch.consumer.publishing.scores import score_records
from sensorwatch.consumer.recovery import rewind, wait_for_champion
from sensorwatch.consumer.settlement import (
    Settlement,
    settle_account_changes,
    settle_batch,
)
from sensorwatch.consumer.wiring import Clock, Policy, Wiring

CHAMPION_REFRESH_SECONDS = 1.0


def run(wiring: Wiring, policy: Policy, clock: Clock, stopping: Callable[[], bool]) -> None:
    """Process micro-batches until `stopping` returns True.

    A micro-batch that was not committed is read again. Raises BreakerOpen, Unrecoverable and every
    other error that cannot be solved by reading the records again.
    """
    consumer = policy.settings.consumer
    last_refresh = clock.monotonic()
    failures = FailureStreak(seconds=consumer.commit_deadline_seconds, clock=clock.monotonic)
    partitions_without_memory = 0
    while not stopping():
        wiring.observation.beat()
        wiring.check_input()
        if clock.monotonic() - last_refresh >= CHAMPION_REFRESH_SECONDS:
            # Refresh only here, so that one version and one policy score each micro-batch.
            wiring.champion.refresh()
            wiring.policies.refresh()
            last_refresh = clock.monotonic()
        # 1. Consume: take the available records, and restore the memories of new partitions.
        wait_seconds = 0.0 if partitions_without_memory else consumer.max_wait_ms / 1000
        batch = wiring.source.next_batch(consumer.max_rows, wait_seconds)
        if batch.size:
            wiring.observation.end_stage(BatchStage.CONSUME)
        # Restore before the commit below, which then includes the accounts of new partitions.
        partitions_without_memory = wiring.restorer.step(wiring.detector)
        wiring.observation.set_awaiting_memory(partitions_without_memory)
        try:
            if _commit_account_changes(wiring, policy, batch.membership):
                failures.end()
            if _commit_batch(wiring, policy, clock, batch):
                failures.end()
        except (MicroBatchAborted, OutcomeUnknown) as error:
            failures.add()
            rewind(wiring, clock, error, failures, stopping)
        except BreakerOpen as error:
            wait_for_champion(wiring, clock, error, consumer.breaker.grace_seconds, stopping)


def _commit_batch(wiring: Wiring, policy: Policy, clock: Clock, batch: MicroBatch) -> bool:
    """Decide, publish and advance a micro-batch; return False if it had nothing to commit."""
    # 2. Decide the outcome of every record, without I/O.
    ownership, detector = wiring.ownership, wiring.detector
    outcomes = [
        (partition_batch, _score_records(wiring, partition_batch, detector))
        for partition_batch in batch.partition_batches
    ]
    settlement = settle_batch(
        ownership.ready_accounts,
        outcomes,
        model_version=detector.version,
        accept_rejections_until=policy.ledger_context.accept_rejections_until,
        snapshot_due=ownership.snapshot_due,
    )
    if not settlement.accounts:
        return False
    trip_reason = breaker_reason(
        settlement, ownership.accounts.by_partition, policy.settings.consumer.breaker
    )
    if trip_reason:
        raise BreakerOpen(trip_reason)
    results = _result_messages(wiring, policy, clock, outcomes, detector)
    wiring.observation.end_stage(BatchStage.PROCESS)

    # 3. Publish events, dead letters, ledger records, snapshots and next offsets in one
    # transaction.
    accounts, snapshots = _publish(wiring, policy, results, settlement, batch.membership)

    # 4. Advance accounts, memories and metrics, only after the commit.
    advance(wiring, accounts, snapshots)
    wiring.observation.end_stage(BatchStage.COMMIT)
    wiring.observation.count_outcomes(outcomes, detector)
    return True


def _commit_account_changes(wiring: Wiring, policy: Policy, membership: bytes) -> bool:
    """Commit accounts that are new, or whose version, policy, settings or fingerprint changed.

    This separate transaction has no events and no dead letters. The transaction includes partitions
    without records, and a snapshot of each changed memory. As a result, a single model version
    and a single policy score all records between two ledger records or two snapshots. Return
    whether any account changed.
    """
    ownership, detector = wiring.ownership, wiring.detector
    max_sensors = policy.ledger_context.max_sensors
    silence_rule = policy.ledger_context.silence_rule
    settlement = settle_account_changes(
        ownership.ready_accounts,
        ownership.accounts.unopened_partitions,
        policy.ledger_context.fingerprint,
        model_version=detector.version,
        max_sensors=max_sensors,
        silence_rule=silence_rule,
        policy=detector.policy_id,
    )
    if not settlement.accounts:
        return False
    for partition in settlement.accounts:
        account = ownership.accounts.by_partition[partition]
        memory = ownership.memories.begin(partition, account)
        if account.model_version != detector.version:
            memory.adopt(detector)
        memory.max_sensors, memory.silence_rule = max_sensors, silence_rule
    accounts, snapshots = _publish(wiring, policy, [], settlement, membership)
    advance(wiring, accounts, snapshots)
    return True


def _score_records(wiring: Wiring, partition_batch: PartitionBatch, detector: Detector) -> Outcome:
    """Score the records of a partition, and update the partition's memory in place."""
    account = wiring.ownership.accounts.by_partition[partition_batch.partition]
    return process(
        partition_batch.payloads,
        detector,
        wiring.ownership.memories.begin(partition_batch.partition, account),
        positions=partition_batch.offsets,
        received=partition_batch.received,
        sources=sources_of_records(partition_batch.records, detector.schema),
        row_executor=wiring.row_executor,
    )


def _result_messages(
    wiring: Wiring,
    policy: Policy,
    clock: Clock,
    outcomes: Sequence[tuple[PartitionBatch, Outcome]],
    detector: Detector,
) -> Iterator[OutgoingMessage]:
    """Yield the events, dead letters and score records of a micro-batch."""
    settings = policy.settings
    now_text = format_instant(int(clock.wall() * 1_000_000))
    for partition_batch, outcome in outcomes:
        yield from anomaly_events(
            outcome,
            detector,
            partition_batch.records,
            topic=settings.topics.anomalies,
            detected_at=now_text,
            emit=settings.consumer.emit,
            row_executor=wiring.row_executor,
        )
        yield from dead_letters(
            outcome.rejections,
            partition_batch.records,
            topic=settings.topics.dead_letters,
            group=settings.consumer.group,
            failed_at=now_text,
            max_message_bytes=policy.max_message_bytes,
        )
        if policy.scores_topic is not None:
            yield from score_records(
                outcome,
                detector,
                partition_batch.partition,
                topic=policy.scores_topic,
                group=settings.consumer.group,
                max_message_bytes=policy.max_message_bytes,
            )


def _publish(
    wiring: Wiring,
    policy: Policy,
    results: Iterable[OutgoingMessage],
    settlement: Settlement,
    membership: bytes,
) -> tuple[dict[Partition, Account], list[Snapshot]]:
    """Commit one transaction with the results; return the committed accounts and snapshots.

    Raises MicroBatchAborted, OutcomeUnknown or any other error of the outbox.
    """

    def publish(plan_commit: CommitPlanner, snapshots: Sequence[Snapshot]) -> None:
        wiring.outbox.publish(results, plan_commit, membership, snapshots=snapshots)

    return commit_settlement(wiring, policy, settlement, membership, publish)
