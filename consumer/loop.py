"""The way of a micro-batch: consume, decide everything, publish once."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from common.crew import Crew
from common.detection.detector import Detector
from common.detection.processing import Outcome, process
from common.errors import BreakerOpen, MicroBatchAborted, OutcomeUnknown, Unrecoverable
from common.messaging.dead_letters import dead_letters
from common.messaging.events import anomaly_events
from common.messaging.membership import require_member
from common.messaging.outbox import Conclusion, Outbox
from common.messaging.records import OutgoingMessage, Partition
from common.messaging.state_topic import OldSnapshots
from common.registry.champion import Champion
from common.rows.instants import to_text
from common.runtime.keys import Settings
from common.runtime.metrics import Stage, TransactionOutcome
from consumer.breaker import tripped
from consumer.failure_streak import FailureStreak
from consumer.holdings import Holdings
from consumer.micro_batch import MicroBatch, Portion
from consumer.observation import Observation
from consumer.publication import LedgerTerms, conclusion, snapshots_of, told
from consumer.restoring import Restoring
from consumer.settlement import Settlement, renewed, settle
from consumer.source import KafkaSource

HOLD_SECONDS = 0.2
REFRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop works with."""

    source: KafkaSource
    holdings: Holdings
    restoring: Restoring
    champion: Champion
    outbox: Outbox
    observation: Observation
    settings: Settings
    terms: LedgerTerms
    max_message_bytes: int
    check_input: Callable[[], None]
    """Raises OffsetsLost where the input is no longer the topic it was."""
    old_snapshots: OldSnapshots
    crew: Crew
    """Who scores what needs no order."""
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time


def run(parts: Parts, stopping: Callable[[], bool]) -> None:
    """Consume until told to stop; whatever it cannot handle aborts and leaves as an exception."""
    consumer = parts.settings.consumer
    looked = parts.clock()
    failures = FailureStreak(seconds=consumer.commit_deadline_seconds, clock=parts.clock)
    restoring = 0
    while not stopping():
        parts.observation.beat()
        parts.check_input()
        if parts.clock() - looked >= REFRESH_SECONDS:
            # Between micro-batches, so that none mixes versions.
            parts.champion.refresh()
            looked = parts.clock()
        wait = 0.0 if restoring else consumer.max_wait_ms / 1000
        batch = parts.source.next_batch(consumer.max_rows, wait)
        if batch.size:
            parts.observation.stage(Stage.CONSUME)
        # Right after partitions came: a new one is opened before the group changes once more.
        restoring = parts.restoring.step(parts.champion.current())
        parts.observation.restoring(restoring)
        try:
            if _renew(parts, batch):
                failures.end()
            if _commit(parts, batch):
                failures.end()
        except (MicroBatchAborted, OutcomeUnknown) as error:
            failures.add()
            _go_back(parts, error, failures, stopping)
        except BreakerOpen as error:
            _hold(parts, error, stopping)


def _renew(parts: Parts, batch: MicroBatch) -> bool:
    """Open new accounts, and go over to another model, bound or fingerprint, idle partitions too.

    In a transaction of its own, with a snapshot of each: so between two records of the ledger, and
    from a snapshot to the next, everything is scored by one version.
    """
    holdings, detector = parts.holdings, parts.champion.current()
    settlement = renewed(
        holdings.ready,
        holdings.accounts.unopened,
        parts.terms.fingerprint,
        model_version=detector.version,
        max_sensors=parts.terms.max_sensors,
    )
    if not settlement.accounts:
        return False
    for partition in settlement.accounts:
        account = holdings.accounts.held[partition]
        memory = holdings.memories.begin(partition, account)
        if account.model_version != detector.version:
            memory.adopt(detector)
        memory.max_sensors = parts.terms.max_sensors
    _publish(parts, [], settlement, batch.membership)
    return True


def _commit(parts: Parts, batch: MicroBatch) -> bool:
    """Give every record of the micro-batch its outcome, and commit all of it at once."""
    holdings, detector = parts.holdings, parts.champion.current()

    # 1. Decide everything; no I/O.
    decided = [(portion, _process(parts, portion, detector)) for portion in batch.portions]
    settlement = settle(
        holdings.ready,
        decided,
        model_version=detector.version,
        accept_rejections_until=parts.terms.accept_rejections_until,
        due=holdings.due,
    )
    if not settlement.accounts:
        return False
    why_not = tripped(settlement, holdings.accounts.held, parts.settings.consumer.breaker)
    if why_not:
        raise BreakerOpen(why_not)
    results = _results(parts, decided, detector)
    parts.observation.stage(Stage.PROCESS)

    # 2. Publish once: events, dead letters, ledger, snapshots and next offsets, all or none.
    _publish(parts, results, settlement, batch.membership)
    parts.observation.stage(Stage.COMMIT)

    # 3. It is committed: only now do the counters move.
    parts.observation.committed(decided)
    return True


def _process(parts: Parts, portion: Portion, detector: Detector) -> Outcome:
    """Decide the outcome of one partition's records, writing them into its memory."""
    account = parts.holdings.accounts.held[portion.partition]
    return process(
        portion.payloads,
        detector,
        parts.holdings.memories.begin(portion.partition, account),
        positions=portion.offsets,
        received=portion.received,
        crew=parts.crew,
    )


def _results(
    parts: Parts, decided: list[tuple[Portion, Outcome]], detector: Detector
) -> Iterator[OutgoingMessage]:
    """Make the events and dead letters of a micro-batch."""
    settings = parts.settings
    now = to_text(int(parts.wall_clock() * 1_000_000))
    for portion, outcome in decided:
        yield from anomaly_events(
            outcome,
            detector,
            portion.records,
            topic=settings.topics.anomalies,
            detected_at=now,
            emit=settings.consumer.emit,
        )
        yield from dead_letters(
            outcome.rejections,
            portion.records,
            topic=settings.topics.dead_letters,
            group=settings.consumer.group,
            failed_at=now,
            max_message_bytes=parts.max_message_bytes,
        )


def _publish(
    parts: Parts, results: Iterable[OutgoingMessage], settlement: Settlement, membership: bytes
) -> None:
    """Commit results, ledger, snapshots and next offsets; only once they are, anything moves."""
    require_member(membership)
    holdings, accounts = parts.holdings, settlement.accounts
    snapshots = snapshots_of(settlement, holdings.memories, parts.terms)
    placed: dict[Partition, int] = {}

    def conclude(manifests: Mapping[Partition, int]) -> Conclusion:
        placed.update(manifests)
        holdings.memories.expect(told(accounts, placed))
        return conclusion(settlement, manifests, parts.terms)

    parts.outbox.publish(results, conclude, membership, snapshots=snapshots)
    parts.observation.published({p: holdings.memories[p] for p in accounts}, snapshots)
    for partition, before in holdings.committed(told(accounts, placed)).items():
        parts.old_snapshots.forget_before(partition.number, before)


def _go_back(
    parts: Parts,
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


def _wait(parts: Parts, seconds: float, stopping: Callable[[], bool]) -> None:
    """Stay a member of the group for a while without taking records."""
    end = parts.clock() + seconds
    while parts.clock() < end and not stopping():
        parts.observation.beat()
        parts.source.wait(min(HOLD_SECONDS, seconds))


def _hold(parts: Parts, trip: BreakerOpen, stopping: Callable[[], bool]) -> None:
    """Stay a member, commit nothing, and leave after the grace time unless a new champion comes."""
    parts.holdings.memories.undo()
    parts.observation.held(str(trip))
    parts.source.pause()
    deadline = parts.clock() + parts.settings.consumer.breaker.grace_seconds
    while not stopping():
        parts.observation.beat()
        if parts.champion.refresh():
            parts.source.rewind()
            parts.source.resume()
            parts.observation.held(None)
            return
        if parts.clock() >= deadline:
            raise trip
        parts.source.wait(HOLD_SECONDS)
