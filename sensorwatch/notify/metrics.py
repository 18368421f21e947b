"""The metrics of the notifier."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from sensorwatch.common.runtime.metrics import PREFIX, create_build_info

_PREFIX = f"{PREFIX}_notify"


class NotifyMetrics:
    """Metrics of messages, incidents, and the position in the anomaly topic."""

    def __init__(self, registry: CollectorRegistry, *, targets: Iterable[str]) -> None:
        """Create the metrics; `targets` has the names of all targets."""
        create_build_info(registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"{_PREFIX}_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"{_PREFIX}_{name}", text, labels, registry=registry)

        self.sent = counter("sent_total", "Messages that a target accepted.", "target")
        self.refused = counter(
            "refused_total", "Messages that a target refused; they are not repeated.", "target"
        )
        self.retried = counter(
            "retried_total", "Messages that could not be sent and are sent again.", "target"
        )
        self.doubled = counter(
            "doubled_total",
            "Messages that were sent again although an earlier copy may have arrived.",
            "target",
        )
        self.target_up = gauge(
            "target_up", "1 if the last request to the target was answered, else 0.", "target"
        )
        for target in targets:
            for metric in (self.sent, self.refused, self.retried, self.doubled, self.target_up):
                metric.labels(target)
            self.target_up.labels(target).set(1)
        self.open_incidents = gauge(
            "open_incidents", "Open incidents, by highest severity.", "severity"
        )
        self.ignored_records = counter(
            "ignored_records_total", "Records of the anomaly topic without a readable event."
        )
        self.dropped_incidents = counter(
            "dropped_incidents_total",
            "Incidents that were dropped before every target had received them.",
        )
        self.expired_incidents = counter(
            "expired_incidents_total", "Open incidents that got no event for `max_open`."
        )
        self.newest_event = gauge(
            "newest_event_timestamp_seconds", "Event time of the newest event."
        )
        self.lag = gauge(
            "lag_records", "Records of the anomaly topic that were not read yet.", "partition"
        )
        self.last_save = gauge(
            "last_save_timestamp_seconds", "Time when the state was last saved completely."
        )
        self.idle_partitions = gauge(
            "idle_partitions", "Input partitions without a new record for `idle_after`."
        )
