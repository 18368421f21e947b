"""Reports a worker's state in metrics, log lines, liveness and readiness."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import numpy as np

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.rows.absorption import ABSORBED_REASONS
from sensorwatch.common.rows.limits import NO_TIME
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.metrics import BatchStage, ConsumerMetrics, TransactionOutcome
from sensorwatch.common.scoring.detections import SEVERITIES
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.staleness import stale_sentence
from sensorwatch.common.scoring.status import STATUSES
from sensorwatch.common.scoring.suppressed_alarms import suppressed_alarms
from sensorwatch.consumer.health import Heartbeat
from sensorwatch.consumer.held_signals import HeldSignals, held_signals
from sensorwatch.consumer.memory_gauges import forget_memory, show_memory, show_open_episodes
from sensorwatch.consumer.micro_batch import PartitionBatch
from sensorwatch.consumer.minute_report import MinuteReport

NOT_READY_FAILURES = 2
"""After this number of failed micro-batches in a row, the worker is not ready."""

_log = logger("consumer")


class Observation:
    """Shows the loop's events in metrics and logs; row counters change only after a commit."""

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
        """The client's position in each partition, from the client's previous statistics."""
        self._awaiting_memory = 0
        self._evicted_counts: dict[Partition, int] = {}
        """The value of `evicted` of each memory when the memory was last shown."""
        self._stage_started = clock()
        self._held_signals = HeldSignals(metrics.memory.held_values, clock)
        self._lags: dict[Partition, int] = {}
        self._minute_report = MinuteReport(clock)

    def not_live_reason(self) -> str | None:
        """Return the reason why the process should be restarted, or None if the loop runs."""
        return self._heartbeat.stuck_reason()

    def not_ready_reason(self) -> str | None:
        """Return the reason why no records are scored now, or None if records are scored."""
        if not self._joined:
            return "no assignment yet: waiting for the group"
        if self._awaiting_memory:
            return f"the memory of {self._awaiting_memory} partitions is being restored"
        return self._breaker_reason or self._failure_reason

    def beat(self) -> None:
        """Record that the loop is running, and start the first stage of a micro-batch."""
        self._heartbeat.beat()
        self._minute_report.log_if_due(self._lags, self.not_ready_reason())
        scores = self._metrics.scores
        scores.anomaly_ratio.set(scores.recent_anomalies.ratio(now=self._clock()))
        self._stage_started = self._clock()

    def end_stage(self, stage: BatchStage) -> None:
        """Record the duration of the stage that ends now, and start the next stage."""
        now = self._clock()
        self._metrics.batch_duration.labels(stage).observe(now - self._stage_started)
        self._stage_started = now

    def show_commit(
        self,
        memories: Mapping[Partition, Memory],
        snapshots: Sequence[Snapshot],
        detector: Detector,
    ) -> None:
        """Show a committed transaction, with the changed memories and the new snapshots.

        `detector`: the detector that uses the memories, under its policy.
        """
        self._failure_reason, self._rewound = None, False
        self._metrics.transactions.labels(TransactionOutcome.COMMITTED).inc()
        self._metrics.last_commit.set(self._wall_clock())
        for partition, memory in memories.items():
            self._show_memory(partition, memory, detector.policy)
            show_open_episodes(self._metrics.memory, partition, memory, detector.alarm_rates)
        for snapshot in snapshots:
            self._metrics.memory.snapshots.inc()
            self._metrics.memory.snapshot_bytes.observe(len(snapshot.content))

    def count_outcomes(
        self, outcomes: Sequence[tuple[PartitionBatch, Outcome]], detector: Detector
    ) -> None:
        """Count the outcomes of a committed micro-batch; `outcomes` has one item per partition.

        `detector`: the detector that scored the rows, under its policy.
        """
        if not outcomes:
            return
        metrics, now = self._metrics, self._wall_clock()
        records = sum(outcome.records for _, outcome in outcomes)
        metrics.records_consumed.labels(self._topic).inc(records)
        metrics.batch_rows.observe(records)
        self._minute_report.add(
            records=records,
            rows=sum(len(outcome.detections) for _, outcome in outcomes),
            anomalies=sum(int(outcome.detections.is_anomaly.sum()) for _, outcome in outcomes),
            dead_letters=sum(len(outcome.rejections) for _, outcome in outcomes),
        )
        for partition_batch, outcome in outcomes:
            self._count_outcome(outcome)
            self._count_suppressed(outcome, detector)
            _log_stale_model(partition_batch.partition, outcome)
            timestamps_us = partition_batch.received[partition_batch.received != NO_TIME]
            metrics.end_to_end_latency.observe(np.maximum(now - timestamps_us / 1_000_000, 0.0))
        self._count_held([outcome for _, outcome in outcomes], detector.schema)

    def show_restore(self, partition: Partition, memory: Memory, seconds: float) -> None:
        """Show a restored or cold memory, and the duration of its restore."""
        self._evicted_counts[partition] = memory.evicted
        self._show_memory(partition, memory, None)
        self._metrics.memory.restore.observe(seconds)
        _log.info(
            "memory restored",
            partition=partition.number,
            sensors=memory.sensors,
            seconds=round(seconds, 3),
        )

    def set_awaiting_memory(self, partitions: int) -> None:
        """Set how many partitions wait for their memory. At 0, the worker can be ready."""
        self._awaiting_memory = partitions

    def show_rollback(
        self, error: Exception, outcome: TransactionOutcome, failure_count: int
    ) -> None:
        """Show a micro-batch that was not committed, or whose outcome is unknown.

        A rebalance or the restart of a broker can be the cause. After NOT_READY_FAILURES such
        micro-batches in a row, the worker is not ready.
        """
        self._rewound = True
        if failure_count >= NOT_READY_FAILURES:
            self._failure_reason = f"{failure_count} micro-batches in a row not committed: {error}"
        self._metrics.transactions.labels(outcome).inc()
        _log.warning(
            "micro-batch not committed, reading it again", outcome=outcome.value, why=str(error)
        )

    def show_rebalance(self, rebalance_kind: str, partitions: Sequence[Partition]) -> None:
        """Show partitions that were assigned, revoked or lost.

        `rebalance_kind` is "assigned", "revoked" or "lost".
        """
        self._metrics.rebalances.labels(rebalance_kind).inc()
        self._joined = rebalance_kind == "assigned"
        for partition in partitions if rebalance_kind != "assigned" else []:
            self._forget(partition)
        _log.info(
            f"partitions {rebalance_kind}", partitions=",".join(str(p.number) for p in partitions)
        )

    def show_breaker(self, reason: str | None) -> None:
        """Show that the breaker is open for `reason`, or that it is closed if `reason` is None."""
        self._breaker_reason = reason
        self._metrics.breaker_open.set(0 if reason is None else 1)
        if reason is None:
            _log.info("breaker closed")
        else:
            _log.error("breaker open", why=reason)

    def show_lag(self, statistics: str, accounts: Mapping[Partition, Account]) -> None:
        """Compute each partition's lag from the client's statistics, and show it as a metric.

        The lag is the last stable offset minus the committed offset. In a transactional input,
        transaction markers and aborted records may follow the last record. Their offsets do not
        count as lag if the client's position is after them and no record waits for a commit.
        """
        topics = json.loads(statistics).get("topics", {})
        for partition, account in accounts.items():
            partitions = topics.get(partition.topic, {}).get("partitions", {})
            partition_statistics = partitions.get(str(partition.number), {})
            position = partition_statistics.get("app_offset", -1)
            stable_offset = partition_statistics.get("ls_offset", -1)
            committed_offset = account.next_offset
            if self._is_committed_up_to(partition, position):
                committed_offset = max(committed_offset, position)
            self._last_positions[partition] = position
            if stable_offset >= 0:
                lag = self._lags[partition] = max(0, stable_offset - committed_offset)
                self._metrics.consumer_lag.labels(partition.topic, partition.number).set(lag)

    def _is_committed_up_to(self, partition: Partition, position: int) -> bool:
        """Return whether all records below the client's position are known to be committed.

        This is known if the position has not moved since the previous statistics, no
        failed micro-batch waits to be read again, and the breaker is closed.
        """
        is_commit_pending = self._rewound or self._breaker_reason is not None
        return not is_commit_pending and position == self._last_positions.get(partition)

    def _count_outcome(self, outcome: Outcome) -> None:
        metrics, detections = self._metrics, outcome.detections
        metrics.scores.rows_scored.inc(len(detections))
        metrics.scores.anomaly_score.observe(detections.anomaly_score)
        counts = np.bincount(detections.severity, minlength=len(SEVERITIES))
        for severity, count in zip(SEVERITIES[1:], counts[1:], strict=True):
            metrics.scores.anomalies.labels(severity).inc(int(count))
        is_new_severity = (detections.severity > detections.previous_severity) & (
            (detections.previous_severity > 0) | (detections.episode_rows == 1)
        )
        counts_of_episodes = np.bincount(
            detections.severity[is_new_severity], minlength=len(SEVERITIES)
        )
        for severity, count in zip(SEVERITIES[1:], counts_of_episodes[1:], strict=True):
            metrics.memory.episodes.labels(severity).inc(int(count))
        statuses = np.bincount(detections.status, minlength=len(STATUSES))
        for status, count in zip(STATUSES, statuses, strict=True):
            metrics.memory.rows_by_status.labels(status).inc(int(count))
        metrics.memory.episodes_closed.inc(len(outcome.closed))
        reasons = Counter(rejection.reason for rejection in outcome.rejections)
        for reason, count in reasons.items():
            metrics.dead_letters.labels(reason).inc(count)
        absorbed_counts = np.bincount(outcome.absorbed.reason, minlength=1 + len(ABSORBED_REASONS))
        for absorbed_reason, absorbed_count in zip(
            ABSORBED_REASONS, absorbed_counts[1:].tolist(), strict=True
        ):
            metrics.records_absorbed.labels(absorbed_reason).inc(absorbed_count)
        metrics.scores.recent_anomalies.add(
            int(counts[1:].sum()), len(detections), now=self._clock()
        )

    def _count_suppressed(self, outcome: Outcome, detector: Detector) -> None:
        if detector.policy is not None:
            counts = suppressed_alarms(outcome.detections, outcome.closed, detector.alarm_rates)
            for rule, count in counts.items():
                label = detector.policy.label_of(rule)
                self._metrics.policy.suppressed.labels(label).inc(count)

    def _count_held(self, outcomes: Sequence[Outcome], schema: Schema) -> None:
        """Count held values, and log a warning about each signal that is missing in all rows."""
        column_of_signal = held_signals(schema)
        if column_of_signal:
            is_held = [
                outcome.detections.evidence.imputed[:, [*column_of_signal.values()]]
                for outcome in outcomes
            ]
            for sentence in self._held_signals.count([*column_of_signal], np.concatenate(is_held)):
                _log.warning(sentence)

    def _show_memory(
        self, partition: Partition, memory: Memory, policy: AlarmPolicy | None
    ) -> None:
        metrics = self._metrics.memory
        previous_count = self._evicted_counts.get(partition, memory.evicted)
        show_memory(metrics, partition, memory, policy)
        metrics.sensors_evicted.inc(memory.evicted - previous_count)
        self._evicted_counts[partition] = memory.evicted

    def _forget(self, partition: Partition) -> None:
        self._last_positions.pop(partition, None)
        self._evicted_counts.pop(partition, None)
        self._lags.pop(partition, None)
        forget_memory(self._metrics.memory, partition)
        with suppress(KeyError):  # the gauge had no value for this partition
            self._metrics.consumer_lag.remove(partition.topic, partition.number)


def _log_stale_model(partition: Partition, outcome: Outcome) -> None:
    """Log a warning for each row at which the model becomes stale."""
    detections = outcome.detections
    for row in np.flatnonzero(detections.stale_episodes).tolist():
        sentence = stale_sentence(
            int(detections.stale_episodes[row]), float(detections.stale_expected[row])
        )
        _log.warning(sentence, partition=partition.number)
