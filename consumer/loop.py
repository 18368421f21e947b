"""The way of a micro-batch: consume, decide everything, publish once."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

from common.detection.detector import Detector
from common.detection.memory import COLD, Memory
from common.detection.processing import process
from common.errors import BreakerOpen, MicroBatchAborted, OutcomeUnknown, Unrecoverable
from common.messaging.dead_letters import dead_letters
from common.messaging.events import anomaly_events
from common.messaging.membership import require_member
from common.messaging.outbox import Conclusion, Outbox
from common.messaging.records import received_at
from common.registry.champion import Champion
from common.rows.instants import to_text
from common.runtime.keys import Settings
from common.runtime.metrics import Stage, TransactionOutcome
from consumer.accounts import Accounts
from consumer.breaker import tripped
from consumer.observation import Observation
from consumer.settlement import LedgerTerms, settle
from consumer.source import KafkaSource, MicroBatch

HOLD_SECONDS = 0.2
REFRESH_SECONDS = 1.0
FAILURES = 5
"""So many micro-batches in a row that were not committed mean more than a passing trouble."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop works with."""

    source: KafkaSource
    accounts: Accounts
    champion: Champion
    outbox: Outbox
    observation: Observation
    settings: Settings
    terms: LedgerTerms
    max_message_bytes: int
    check_input: Callable[[], None]
    """Raises OffsetsLost where the input is no longer the topic it was."""
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time


def run(parts: Parts, stopping: Callable[[], bool]) -> None:
    """Consume until told to stop; whatever it cannot handle aborts and leaves as an exception."""
    memory = COLD
    consumer = parts.settings.consumer
    looked = parts.clock()
    failures = 0
    while not stopping():
        parts.observation.beat()
        parts.check_input()
        if parts.clock() - looked >= REFRESH_SECONDS:
            # Between micro-batches, so that none mixes versions.
            parts.champion.refresh()
            looked = parts.clock()
        batch = parts.source.next_batch(consumer.max_rows, consumer.max_wait_ms / 1000)
        if not batch.records and not parts.accounts.unopened:
            continue
        parts.observation.stage(Stage.CONSUME)
        try:
            memory = _commit(parts, batch, parts.champion.current(), memory)
            failures = 0
        except (MicroBatchAborted, OutcomeUnknown) as error:
            failures += 1
            _go_back(parts, error, failures)
        except BreakerOpen as error:
            _hold(parts, error, stopping)


def _commit(parts: Parts, batch: MicroBatch, detector: Detector, memory: Memory) -> Memory:
    """Give every record of the micro-batch its outcome, and commit all of it at once."""
    require_member(batch.membership)
    records, settings = batch.records, parts.settings

    # 1. Decide everything; no I/O.
    outcome, memory = process(
        [record.value() for record in records],
        detector,
        memory,
        received=[received_at(record) for record in records],
    )
    accounts = parts.accounts
    settlement = settle(
        accounts.held, accounts.unopened, records, outcome, detector.version, parts.terms
    )
    why_not = tripped(settlement, accounts.held, settings.consumer.breaker)
    if why_not:
        raise BreakerOpen(why_not)
    now = to_text(int(parts.wall_clock() * 1_000_000))
    events = anomaly_events(
        outcome, detector, records, topic=settings.topics.anomalies, detected_at=now
    )
    letters = dead_letters(
        outcome.rejections,
        records,
        topic=settings.topics.dead_letters,
        group=settings.consumer.group,
        failed_at=now,
        max_message_bytes=parts.max_message_bytes,
    )
    parts.observation.stage(Stage.PROCESS)

    # 2. Publish once: events, dead letters, ledger and next offsets, all or none.
    parts.outbox.publish(
        chain(events, letters),
        lambda _: Conclusion(settlement.messages, settlement.commits),
        batch.membership,
    )
    parts.observation.stage(Stage.COMMIT)

    # 3. It is committed: only now does anything move.
    accounts.committed(settlement.accounts)
    parts.observation.committed(records, outcome)
    return memory


def _go_back(parts: Parts, error: MicroBatchAborted | OutcomeUnknown, failures: int) -> None:
    """Read again from the committed offsets, unless it failed too often in a row."""
    unknown = isinstance(error, OutcomeUnknown)
    parts.observation.rolled_back(
        error, TransactionOutcome.UNKNOWN if unknown else TransactionOutcome.ABORTED, failures
    )
    if failures >= FAILURES:
        # A fresh start asks whether the topics are there, and says which one is not.
        raise Unrecoverable(
            f"{failures} micro-batches in a row were not committed, the last one because of: "
            f"{error}. Nothing is lost: a restart goes on from the committed offsets, and checks "
            "the topics first"
        ) from error
    parts.source.rewind()


def _hold(parts: Parts, trip: BreakerOpen, stopping: Callable[[], bool]) -> None:
    """Stay a member, commit nothing, and leave after the grace time unless a new champion comes."""
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
