"""All Prometheus metrics, grouped by the component that updates them."""

import platform
from collections.abc import Iterable
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from sensorwatch.common.rows.absorption import AbsorbedReason
from sensorwatch.common.rows.rejection import Reason
from sensorwatch.common.runtime.build import project_version
from sensorwatch.common.runtime.histogram import RowHistogram
from sensorwatch.common.runtime.ratio_window import WindowedRatio
from sensorwatch.common.scoring.detections import Severity
from sensorwatch.common.scoring.status import Status

PREFIX = "sensorwatch"
# No bound is negative, because Prometheus drops the sum and count of a
# histogram with a negative bound.
SCORE_BOUNDS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)
LATENCY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
STAGE_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
ROWS_BOUNDS = (1, 10, 50, 100, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 1_000_000)
BYTES_BOUNDS = (1e3, 1e4, 1e5, 1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9)
ANOMALY_SEVERITIES = tuple(severity for severity in Severity if severity is not Severity.NONE)


class BatchStage(StrEnum):
    """A step of a micro-batch whose duration is measured."""

    CONSUME = "consume"
    PROCESS = "process"
    COMMIT = "commit"


class Rebalance(StrEnum):
    """A change of the assigned partitions."""

    ASSIGNED = "assigned"
    REVOKED = "revoked"
    LOST = "lost"


class TransactionOutcome(StrEnum):
    """The result of a transaction; UNKNOWN if the broker did not report it."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"


class ScoreMetrics:
    """Metrics of scores and anomalies."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rows_scored = _counter(registry, "rows_scored_total", "Rows that got a score.")
        self.anomalies = _counter(registry, "anomalies_total", "Anomalous rows.", "severity")
        _create_label_series(self.anomalies, ANOMALY_SEVERITIES)
        self.anomaly_ratio = _gauge(
            registry,
            "anomaly_ratio",
            "Share of anomalous rows among the rows of the last 5 minutes.",
        )
        self.recent_anomalies = WindowedRatio(300)
        """The window from which `anomaly_ratio` is computed."""
        self.anomaly_score = RowHistogram(
            f"{PREFIX}_anomaly_score",
            "Anomaly score of every row; 1 is the threshold.",
            bounds=SCORE_BOUNDS,
            registry=registry,
        )


class MemoryMetrics:
    """Metrics of the sensors' memory: size, evictions, row statuses, episodes, snapshots."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sensors = _partition_gauge(
            registry, "sensors", "Sensors in the memory of a partition."
        )
        self.model_stale = _partition_gauge(
            registry,
            "model_stale",
            "1 if the model no longer fits the rows of a partition, else 0.",
        )
        self.silent_sensors = _partition_gauge(
            registry, "silent_sensors", "Sensors without a row for longer than their limit."
        )
        self.skewed_sensors = _partition_gauge(
            registry,
            "skewed_sensors",
            "Sensors whose clock differs from the clocks of their partition.",
        )
        self.event_time = _partition_gauge(
            registry,
            "partition_event_time_seconds",
            "Largest event time of the rows of a partition, at most the time of receipt.",
        )
        labels = ("topic", "partition", "severity")
        self.open_episodes = _gauge(
            registry, "open_episodes", "Episodes that have not ended, by severity so far.", *labels
        )
        self.episodes = _counter(
            registry, "episodes_total", "Episodes that reached a severity.", "severity"
        )
        _create_label_series(self.episodes, ANOMALY_SEVERITIES)
        self.sensors_evicted = _counter(
            registry, "sensors_evicted_total", "Sensors removed to make room for others."
        )
        self.rows_by_status = _counter(
            registry,
            "rows_by_status_total",
            "Scored rows, by status: how much of the memory could be used.",
            "status",
        )
        _create_label_series(self.rows_by_status, Status)
        self.held_values = _counter(
            registry,
            "held_values_total",
            "Missing values that were replaced by the sensor's last value.",
            "signal",
        )
        self.episodes_closed = _counter(
            registry, "episodes_closed_total", "Episodes of anomalous rows that ended."
        )
        self.restore = _histogram(
            registry,
            "restore_seconds",
            "Time it took to restore the memory of a partition.",
            bounds=STAGE_BOUNDS,
        )
        self.snapshots = _counter(registry, "snapshots_total", "Committed snapshots of memories.")
        self.snapshot_bytes = _histogram(
            registry, "snapshot_bytes", "Size of a snapshot's memory.", bounds=BYTES_BOUNDS
        )


class ModelMetrics:
    """Metrics of the loaded model."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.info = _gauge(
            registry, "model_info", "1 for the loaded model.", "model", "version", "schema"
        )
        self.loaded_timestamp = _gauge(
            registry, "model_loaded_timestamp_seconds", "Time when the model was loaded."
        )
        self.reload_last_success = _gauge(
            registry,
            "model_reload_last_success",
            "1 if the last load succeeded, 0 if the model was refused.",
        )
        self.blind_signals = _gauge(
            registry,
            "model_blind_signals",
            "Number of signals in which the loaded model misses most large spikes.",
        )

    def loaded(
        self, *, model: str, version: str, schema: str, blind_signals: int, at: float
    ) -> None:
        """Record that a version was loaded at `at`, in seconds since 1970.

        `blind_signals`: number of signals, see `ModelManifest.blind_signals`.
        """
        self.blind_signals.set(blind_signals)
        self.info.clear()
        self.info.labels(model=model, version=version, schema=schema).set(1)
        self.loaded_timestamp.set(at)
        self.reload_last_success.set(1)


class PolicyMetrics:
    """Metrics of the policy in force."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.info = _gauge(registry, "policy_info", "1 for the policy in force.", "policy")
        self.calendar_end = _gauge(
            registry,
            "policy_calendar_end_timestamp_seconds",
            "Time after which recurring windows of the policy have no effect; 0 if it has none.",
        )
        self.suppressed = _counter(
            registry, "suppressed_total", "Alarms that a rule or window suppressed.", "rule"
        )

    def adopted(self, policy: str, rules: Iterable[str], calendar_end_seconds: float) -> None:
        """Show the policy in force, with the names of its rules and windows."""
        self.info.clear()
        self.info.labels(policy=policy).set(1)
        self.calendar_end.set(calendar_end_seconds)
        _create_label_series(self.suppressed, rules)


class ConsumerMetrics:
    """Metrics of the consumer; counters change only after a commit."""

    def __init__(self, registry: CollectorRegistry, *, topic: str) -> None:
        create_build_info(registry)
        self.scores = ScoreMetrics(registry)
        self.model = ModelMetrics(registry)
        self.memory = MemoryMetrics(registry)
        self.policy = PolicyMetrics(registry)
        self.records_consumed = _counter(
            registry, "records_consumed_total", "Records with a committed outcome.", "topic"
        )
        _create_label_series(self.records_consumed, [topic])
        self.dead_letters = _counter(
            registry, "dead_letters_total", "Records that were not valid readings.", "reason"
        )
        _create_label_series(self.dead_letters, Reason)
        self.records_absorbed = _counter(
            registry,
            "records_absorbed_total",
            "Records that were neither rows nor dead letters.",
            "reason",
        )
        _create_label_series(self.records_absorbed, AbsorbedReason)
        self.batch_rows = _histogram(
            registry, "batch_rows", "Records in a micro-batch.", bounds=ROWS_BOUNDS
        )
        self.batch_duration = _histogram(
            registry,
            "batch_duration_seconds",
            "Time a micro-batch took, by stage.",
            "stage",
            bounds=STAGE_BOUNDS,
        )
        _create_label_series(self.batch_duration, BatchStage)
        self.end_to_end_latency = RowHistogram(
            f"{PREFIX}_end_to_end_latency_seconds",
            "Seconds from the record's timestamp to the commit of its outcome.",
            bounds=LATENCY_BOUNDS,
            registry=registry,
        )
        self._create_commit_metrics(registry)

    def _create_commit_metrics(self, registry: CollectorRegistry) -> None:
        self.consumer_lag = _gauge(
            registry,
            "consumer_lag_records",
            "Last stable offset minus committed offset, without transaction markers.",
            "topic",
            "partition",
        )
        self.last_commit = _gauge(
            registry, "last_commit_timestamp_seconds", "Time of the last commit of offsets."
        )
        self.rebalances = _counter(registry, "rebalances_total", "Rebalances.", "kind")
        _create_label_series(self.rebalances, Rebalance)
        self.transactions = _counter(registry, "transactions_total", "Transactions.", "outcome")
        _create_label_series(self.transactions, TransactionOutcome)
        self.breaker_open = _gauge(
            registry, "breaker_open", "1 while too many rejections pause the consumer."
        )


class HttpMetrics:
    """Metrics of the HTTP service."""

    def __init__(
        self, registry: CollectorRegistry, *, handlers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Create the metrics; `handlers` has the method and path template of every known route."""
        create_build_info(registry)
        self.scores = ScoreMetrics(registry)
        self.model = ModelMetrics(registry)
        self.requests = _counter(
            registry, "http_requests_total", "Requests.", "method", "handler", "status"
        )
        self.request_duration = _histogram(
            registry,
            "http_request_duration_seconds",
            "Time a request took.",
            "method",
            "handler",
            bounds=STAGE_BOUNDS,
        )
        self.rows_rejected = _counter(
            registry, "rows_rejected_total", "Rows of requests that were not valid.", "reason"
        )
        _create_label_series(self.rows_rejected, Reason)
        self.items_ignored = _counter(
            registry,
            "items_ignored_total",
            "Items of requests that the schema ignores or that have no rows.",
            "reason",
        )
        _create_label_series(self.items_ignored, set(AbsorbedReason) - {AbsorbedReason.JOINED})
        for method, handler in handlers:
            self.requests.labels(method=method, handler=handler, status="200")
            self.request_duration.labels(method=method, handler=handler)


def create_build_info(registry: CollectorRegistry) -> None:
    """Create the metric of the running build."""
    # Without this call, every counter has a second series with its creation time, which no
    # dashboard reads.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the function has no types
    gauge = _gauge(registry, "build_info", "1 for the running build.", "version", "python")
    gauge.labels(version=project_version(), python=platform.python_version()).set(1)


def _counter(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Counter:
    return Counter(f"{PREFIX}_{name}", text, labels, registry=registry)


def _gauge(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"{PREFIX}_{name}", text, labels, registry=registry)


def _partition_gauge(registry: CollectorRegistry, name: str, text: str) -> Gauge:
    return _gauge(registry, name, text, "topic", "partition")


def _histogram(
    registry: CollectorRegistry, name: str, text: str, *labels: str, bounds: Iterable[float]
) -> Histogram:
    return Histogram(f"{PREFIX}_{name}", text, labels, registry=registry, buckets=tuple(bounds))


def _create_label_series(metric: Counter | Histogram, values: Iterable[str]) -> None:
    """Create a series for each known label value, so that a rate counts the first increase too."""
    for value in values:
        metric.labels(value)
