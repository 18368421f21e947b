"""What a worker lets the world see: metrics, log lines, liveness and readiness."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import numpy as np

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.rows.limits import NO_TIME
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.metrics import BatchStage, ConsumerMetrics, TransactionOutcome
from sensorwatch.common.scoring.detections import SEVERITIES
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.status import STATUSES
from sensorwatch.consumer.health import Heartbeat
from sensorwatch.consumer.micro_batch import PartitionBatch

NOT_READY_FAILURES = 2

_log = logger("consumer")


class Observation:
    """Told by the loop what happened; counters move only after a commit."""

    def __init__(
        self,
        metrics: ConsumerMetrics,
        *,
        topic: str,
        stuck_after_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._metrics = metrics
        self._topic = topic
        self._clock = clock
        self._wall_clock = wall_clock
        self._heartbeat = Heartbeat(clock, stuck_after_seconds)
        self._joined = False
        self._breaker_reason: str | None = None
        self._failure_reason: str | None = None
        self._rewound = False
        self._last_positions: dict[Partition, int] = {}
        """The client's positions at the statistics before."""
        self._awaiting_memory = 0
        self._evicted_counts: dict[Partition, int] = {}
        """How many sensors each memory had forgotten when last seen."""
        self._stage_started = clock()

    def live(self) -> str | None:
        """Return why the process should be restarted, or None."""
        return self._heartbeat.live()

    def ready(self) -> str | None:
        """Return why no records are scored now, or None."""
        if not self._joined:
            return "no assignment yet: waiting for the group"
        if self._awaiting_memory:
            return f"the memory of {self._awaiting_memory} partitions is being restored"
        return self._breaker_reason or self._failure_reason

    def beat(self) -> None:
        """The loop came round."""
        self._heartbeat.beat()
        scores = self._metrics.scores
        scores.anomaly_ratio.set(scores.recent_anomalies.ratio(now=self._clock()))
        self._stage_started = self._clock()

    def end_stage(self, stage: BatchStage) -> None:
        """A stage of the micro-batch ended now; it began where the one before it ended."""
        now = self._clock()
        self._metrics.batch_duration.labels(stage).observe(now - self._stage_started)
        self._stage_started = now

    def published(
        self, memories: Mapping[Partition, Memory], snapshots: Sequence[Snapshot]
    ) -> None:
        """A transaction is committed, which moved these memories on and wrote down those."""
        self._failure_reason, self._rewound = None, False
        self._metrics.transactions.labels(TransactionOutcome.COMMITTED).inc()
        self._metrics.last_commit.set(self._wall_clock())
        for partition, memory in memories.items():
            self._show_memory(partition, memory)
        for snapshot in snapshots:
            self._metrics.memory.snapshots.inc()
            self._metrics.memory.snapshot_bytes.observe(len(snapshot.content))

    def committed(self, outcomes: Sequence[tuple[PartitionBatch, Outcome]]) -> None:
        """The records of a micro-batch have these outcomes, one per partition."""
        if not outcomes:
            return
        metrics, now = self._metrics, self._wall_clock()
        rows = sum(outcome.records for _, outcome in outcomes)
        metrics.records_consumed.labels(self._topic).inc(rows)
        metrics.batch_rows.observe(rows)
        for partition_batch, outcome in outcomes:
            self._count_outcome(outcome)
            timestamps_us = partition_batch.received[partition_batch.received != NO_TIME]
            metrics.end_to_end_latency.observe(np.maximum(now - timestamps_us / 1_000_000, 0.0))

    def restored(self, partition: Partition, memory: Memory, seconds: float) -> None:
        """The memory of a partition is there again, or a cold one."""
        self._evicted_counts[partition] = memory.evicted
        self._show_memory(partition, memory)
        self._metrics.memory.restore.observe(seconds)
        _log.info(
            "memory restored",
            partition=partition.number,
            sensors=memory.sensors,
            seconds=round(seconds, 3),
        )

    def set_waiting(self, waiting: int) -> None:
        """So many partitions wait for their memory."""
        self._awaiting_memory = waiting

    def rolled_back(self, error: Exception, outcome: TransactionOutcome, in_a_row: int) -> None:
        """A micro-batch was not committed, or nobody knows; it will be read again.

        One is a rebalance or a broker's restart; from the second in a row on we are not ready.
        """
        self._rewound = True
        if in_a_row >= NOT_READY_FAILURES:
            self._failure_reason = f"{in_a_row} micro-batches in a row not committed: {error}"
        self._metrics.transactions.labels(outcome).inc()
        _log.warning("micro-batch not committed, going back", outcome=outcome.value, why=str(error))

    def rebalanced(self, kind: str, partitions: Sequence[Partition]) -> None:
        """Partitions came or went."""
        self._metrics.rebalances.labels(kind).inc()
        self._joined = kind == "assigned"
        for partition in partitions if kind != "assigned" else []:
            self._forget(partition)
        _log.info(f"partitions {kind}", partitions=",".join(str(p.number) for p in partitions))

    def breaker_changed(self, why: str | None) -> None:
        """The breaker opened (with the reason) or closed (None)."""
        self._breaker_reason = why
        self._metrics.breaker_open.set(0 if why is None else 1)
        if why is None:
            _log.info("breaker closed")
        else:
            _log.error("breaker open", why=why)

    def statistics(self, text: str, accounts: Mapping[Partition, Account]) -> None:
        """Read the lag out of the client's statistics: last stable minus committed offset.

        Where the input is written in transactions, their markers and what was aborted lie behind
        the last record for ever, and are no lag once the client has passed them.
        """
        topics = json.loads(text).get("topics", {})
        for partition, account in accounts.items():
            known = topics.get(partition.topic, {}).get("partitions", {})
            found = known.get(str(partition.number), {})
            position, stable_offset = found.get("app_offset", -1), found.get("ls_offset", -1)
            committed_offset = account.next_offset
            if self._is_committed_up_to(partition, position):
                committed_offset = max(committed_offset, position)
            self._last_positions[partition] = position
            if stable_offset >= 0:
                self._metrics.consumer_lag.labels(partition.topic, partition.number).set(
                    max(0, stable_offset - committed_offset)
                )

    def _is_committed_up_to(self, partition: Partition, position: int) -> bool:
        """Whether all that the client gave us below `position` is committed, as far as we know."""
        waiting = self._rewound or self._breaker_reason is not None
        return not waiting and position == self._last_positions.get(partition)

    def _count_outcome(self, outcome: Outcome) -> None:
        metrics, detections = self._metrics, outcome.detections
        metrics.scores.rows_scored.inc(len(detections))
        metrics.scores.anomaly_score.observe(detections.anomaly_score)
        counts = np.bincount(detections.severity, minlength=len(SEVERITIES))
        for severity, count in zip(SEVERITIES[1:], counts[1:], strict=True):
            metrics.scores.anomalies.labels(severity).inc(int(count))
        statuses = np.bincount(detections.status, minlength=len(STATUSES))
        for status, count in zip(STATUSES, statuses, strict=True):
            metrics.memory.rows_by_status.labels(status).inc(int(count))
        metrics.memory.episodes_closed.inc(len(outcome.closed))
        reasons = Counter(rejection.reason for rejection in outcome.rejections)
        for reason, count in reasons.items():
            metrics.dead_letters.labels(reason).inc(count)
        metrics.scores.recent_anomalies.add(
            int(counts[1:].sum()), len(detections), now=self._clock()
        )

    def _show_memory(self, partition: Partition, memory: Memory) -> None:
        metrics, before = self._metrics.memory, self._evicted_counts.get(partition, memory.evicted)
        metrics.sensors.labels(partition.topic, partition.number).set(memory.sensors)
        metrics.sensors_evicted.inc(memory.evicted - before)
        self._evicted_counts[partition] = memory.evicted

    def _forget(self, partition: Partition) -> None:
        self._last_positions.pop(partition, None)
        self._evicted_counts.pop(partition, None)
        for gauge in (self._metrics.consumer_lag, self._metrics.memory.sensors):
            with suppress(KeyError):  # nothing was shown of it while it was ours
                gauge.remove(partition.topic, partition.number)
