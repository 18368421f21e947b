"""The way of a micro-batch: consume, decide everything, publish once."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sensorwatch.common.errors import BreakerOpen, MicroBatchAborted, OutcomeUnknown, Unrecoverable
from sensorwatch.common.kafka.dead_letters import dead_letters
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.state_topic import OldSnapshotDeleter
from sensorwatch.common.registry.champion import Champion
from sensorwatch.common.row_executor import RowExecutor
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.runtime.metrics import BatchStage, TransactionOutcome
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome, process
from sensorwatch.consumer.breaker import breaker_reason
from sensorwatch.consumer.failure_streak import FailureStreak
from sensorwatch.consumer.micro_batch import MicroBatch, PartitionBatch
from sensorwatch.consumer.observation import Observation
from sensorwatch.consumer.ownership import Ownership
from sensorwatch.consumer.publication import (
    LedgerContext,
    commit_plan,
    snapshots_of,
    with_snapshot_offsets,
)
from sensorwatch.consumer.publishing.events import anomaly_events
from sensorwatch.consumer.publishing.membership import require_member
from sensorwatch.consumer.publishing.outbox import CommitPlan, Outbox
from sensorwatch.consumer.restoring import MemoryRestorer
from sensorwatch.consumer.settlement import Settlement, settle_account_changes, settle_batch
from sensorwatch.consumer.source import KafkaSource

PAUSED_POLL_SECONDS = 0.2
CHAMPION_REFRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What the loop works with."""

    source: KafkaSource
    ownership: Ownership
    restorer: MemoryRestorer
    champion: Champion
    outbox: Outbox
    observation: Observation
    settings: Settings
    ledger_context: LedgerContext
    max_message_bytes: int
    check_input: Callable[[], None]
    """Raises OffsetsLost where the input is no longer the topic it was."""
    snapshot_deleter: OldSnapshotDeleter
    row_executor: RowExecutor
    """Who scores what needs no order."""
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time


def run(parts: WorkerParts, stopping: Callable[[], bool]) -> None:
    """Consume until told to stop; whatever it cannot handle aborts and leaves as an exception."""
    consumer = parts.settings.consumer
    last_refresh = parts.clock()
    failures = FailureStreak(seconds=consumer.commit_deadline_seconds, clock=parts.clock)
    waiting_partitions = 0
    while not stopping():
        parts.observation.beat()
        parts.check_input()
        if parts.clock() - last_refresh >= CHAMPION_REFRESH_SECONDS:
            # Between micro-batches, so that none mixes versions.
            parts.champion.refresh()
            last_refresh = parts.clock()
        wait = 0.0 if waiting_partitions else consumer.max_wait_ms / 1000
        batch = parts.source.next_batch(consumer.max_rows, wait)
        if batch.size:
            parts.observation.end_stage(BatchStage.CONSUME)
        # Right after partitions came: a new one is opened before the group changes once more.
        waiting_partitions = parts.restorer.step(parts.champion.current())
        parts.observation.set_waiting(waiting_partitions)
        try:
            if _commit_account_changes(parts, batch):
                failures.end()
            if _commit(parts, batch):
                failures.end()
        except (MicroBatchAborted, OutcomeUnknown) as error:
            failures.add()
            _rewind(parts, error, failures, stopping)
        except BreakerOpen as error:
            _wait_for_champion(parts, error, stopping)


def _commit_account_changes(parts: WorkerParts, batch: MicroBatch) -> bool:
    """Open new accounts, and go over to another model, bound or fingerprint, idle partitions too.

    In a transaction of its own, with a snapshot of each: so between two records of the ledger, and
    from a snapshot to the next, everything is scored by one version.
    """
    ownership, detector = parts.ownership, parts.champion.current()
    settlement = settle_account_changes(
        ownership.ready_accounts,
        ownership.accounts.unopened,
        parts.ledger_context.fingerprint,
        model_version=detector.version,
        max_sensors=parts.ledger_context.max_sensors,
    )
    if not settlement.accounts:
        return False
    for partition in settlement.accounts:
        account = ownership.accounts.by_partition[partition]
        memory = ownership.memories.begin(partition, account)
        if account.model_version != detector.version:
            memory.adopt(detector)
        memory.max_sensors = parts.ledger_context.max_sensors
    _publish(parts, [], settlement, batch.membership)
    return True


def _commit(parts: WorkerParts, batch: MicroBatch) -> bool:
    """Give every record of the micro-batch its outcome, and commit all of it at once."""
    ownership, detector = parts.ownership, parts.champion.current()

    # 1. Decide everything; no I/O.
    outcomes = [
        (partition_batch, _process(parts, partition_batch, detector))
        for partition_batch in batch.partition_batches
    ]
    settlement = settle_batch(
        ownership.ready_accounts,
        outcomes,
        model_version=detector.version,
        accept_rejections_until=parts.ledger_context.accept_rejections_until,
        snapshot_due=ownership.snapshot_due,
    )
    if not settlement.accounts:
        return False
    trip_reason = breaker_reason(
        settlement, ownership.accounts.by_partition, parts.settings.consumer.breaker
    )
    if trip_reason:
        raise BreakerOpen(trip_reason)
    results = _results(parts, outcomes, detector)
    parts.observation.end_stage(BatchStage.PROCESS)

    # 2. Publish once: events, dead letters, ledger, snapshots and next offsets, all or none.
    _publish(parts, results, settlement, batch.membership)
    parts.observation.end_stage(BatchStage.COMMIT)

    # 3. It is committed: only now do the counters move.
    parts.observation.committed(outcomes)
    return True


def _process(parts: WorkerParts, partition_batch: PartitionBatch, detector: Detector) -> Outcome:
    """Decide the outcome of one partition's records, writing them into its memory."""
    account = parts.ownership.accounts.by_partition[partition_batch.partition]
    return process(
        partition_batch.payloads,
        detector,
        parts.ownership.memories.begin(partition_batch.partition, account),
        positions=partition_batch.offsets,
        received=partition_batch.received,
        row_executor=parts.row_executor,
    )


def _results(
    parts: WorkerParts, outcomes: list[tuple[PartitionBatch, Outcome]], detector: Detector
) -> Iterator[OutgoingMessage]:
    """Make the events and dead letters of a micro-batch."""
    settings = parts.settings
    now = format_instant(int(parts.wall_clock() * 1_000_000))
    for partition_batch, outcome in outcomes:
        yield from anomaly_events(
            outcome,
            detector,
            partition_batch.records,
            topic=settings.topics.anomalies,
            detected_at=now,
            emit=settings.consumer.emit,
        )
        yield from dead_letters(
            outcome.rejections,
            partition_batch.records,
            topic=settings.topics.dead_letters,
            group=settings.consumer.group,
            failed_at=now,
            max_message_bytes=parts.max_message_bytes,
        )


def _publish(
    parts: WorkerParts,
    results: Iterable[OutgoingMessage],
    settlement: Settlement,
    membership: bytes,
) -> None:
    """Commit results, ledger, snapshots and next offsets; only once they are, anything moves."""
    require_member(membership)
    ownership, accounts = parts.ownership, settlement.accounts
    snapshots = snapshots_of(settlement, ownership.memories, parts.ledger_context)
    manifest_offsets: dict[Partition, int] = {}

    def plan_commit(manifests: Mapping[Partition, int]) -> CommitPlan:
        manifest_offsets.update(manifests)
        ownership.memories.expect_commit(with_snapshot_offsets(accounts, manifest_offsets))
        return commit_plan(settlement, manifests, parts.ledger_context)

    parts.outbox.publish(results, plan_commit, membership, snapshots=snapshots)
    parts.observation.published({p: ownership.memories[p] for p in accounts}, snapshots)
    for partition, before in ownership.committed(
        with_snapshot_offsets(accounts, manifest_offsets)
    ).items():
        parts.snapshot_deleter.delete_before(partition.number, before)


def _rewind(
    parts: WorkerParts,
    error: MicroBatchAborted | OutcomeUnknown,
    failures: FailureStreak,
    stopping: Callable[[], bool],
) -> None:
    """Read again from the committed offsets, unless failures go on for too long."""
    unknown = isinstance(error, OutcomeUnknown)
    outcome = TransactionOutcome.UNKNOWN if unknown else TransactionOutcome.ABORTED
    parts.observation.rolled_back(error, outcome, failures.count)
    if failures.lasting:
        # A fresh start asks whether the topics are there, and says which one is not.
        raise Unrecoverable(
            f"{failures.count} micro-batches in a row were not committed, the last one because of: "
            f"{error}. Nothing is lost: a restart goes on from the committed offsets, and checks "
            "the topics first"
        ) from error
    if failures.pause_seconds:
        parts.source.pause()
        _wait(parts, failures.pause_seconds, stopping)
        parts.source.rewind()
        parts.source.resume()
    else:
        parts.source.rewind()


def _wait(parts: WorkerParts, seconds: float, stopping: Callable[[], bool]) -> None:
    """Stay a member of the group for a while without taking records."""
    end = parts.clock() + seconds
    while parts.clock() < end and not stopping():
        parts.observation.beat()
        parts.source.poll_paused(min(PAUSED_POLL_SECONDS, seconds))


def _wait_for_champion(
    parts: WorkerParts, breaker_open: BreakerOpen, stopping: Callable[[], bool]
) -> None:
    """Stay a member, commit nothing, and leave after the grace time unless a new champion comes."""
    parts.ownership.memories.undo()
    parts.observation.breaker_changed(str(breaker_open))
    parts.source.pause()
    deadline = parts.clock() + parts.settings.consumer.breaker.grace_seconds
    while not stopping():
        parts.observation.beat()
        if parts.champion.refresh():
            parts.source.rewind()
            parts.source.resume()
            parts.observation.breaker_changed(None)
            return
        if parts.clock() >= deadline:
            raise breaker_open
        parts.source.poll_paused(PAUSED_POLL_SECONDS)
