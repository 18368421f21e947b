"""Read the metrics of the consumer over HTTP, as Prometheus does."""

from collections import deque
from dataclasses import dataclass, field
from http.client import HTTPException
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from sensorwatch.common.runtime.metrics import PREFIX

_RATE_SECONDS = 5.0
_TIMEOUT_SECONDS = 1.0
_LATENCY_METRIC = "end_to_end_latency_seconds"


@dataclass(frozen=True, slots=True)
class ConsumerFigures:
    """The values that the demo shows about the consumer, from one read of its metrics."""

    records: int = 0
    anomalies: int = 0
    dead_letters: int = 0
    anomaly_ratio: float = 0.0
    latency_seconds: float = 0.0
    """Mean time from a record's timestamp to the commit of its outcome, for the newest records."""
    version: str = ""
    rows_per_second: float = 0.0
    """Rows per second, as a mean over the last few seconds."""


@dataclass(slots=True)
class MetricsReader:
    """Reads `/metrics` of the consumer; computes rate and latency from two successive reads."""

    address: str
    _latest_figures: ConsumerFigures = field(default_factory=ConsumerFigures)
    _record_counts: deque[tuple[float, int]] = field(default_factory=deque)
    """Time and record count of each read in the last few seconds."""
    _latency_total: tuple[float, float] = (0.0, 0.0)
    """Sum and count of the latencies, from the last read that changed the count."""
    _latency: float = 0.0

    def read(self, now: float) -> ConsumerFigures:
        """Return the current metrics, or the previous metrics if the request fails.

        `now`: monotonic seconds.
        """
        text = http_get(f"{self.address}/metrics")
        if text is not None:
            self._latest_figures = self._parse_metrics(text, now)
        return self._latest_figures

    def _parse_metrics(self, text: str, now: float) -> ConsumerFigures:
        totals: dict[str, float] = {}
        version = ""
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                name = sample.name.removeprefix(f"{PREFIX}_")
                totals[name] = totals.get(name, 0.0) + sample.value
                if name == "model_info":
                    version = sample.labels["version"]
        records = int(totals.get("records_consumed_total", 0))
        return ConsumerFigures(
            records=records,
            anomalies=int(totals.get("anomalies_total", 0)),
            dead_letters=int(totals.get("dead_letters_total", 0)),
            anomaly_ratio=totals.get("anomaly_ratio", 0.0),
            latency_seconds=self._mean_latency(totals),
            version=version,
            rows_per_second=self._rate(now, records),
        )

    def _mean_latency(self, totals: dict[str, float]) -> float:
        latency_sum, latency_count = (
            totals.get(f"{_LATENCY_METRIC}_sum", 0.0),
            totals.get(f"{_LATENCY_METRIC}_count", 0.0),
        )
        previous_sum, previous_count = self._latency_total
        if latency_count > previous_count:
            self._latency_total = (latency_sum, latency_count)
            self._latency = (latency_sum - previous_sum) / (latency_count - previous_count)
        return self._latency

    def _rate(self, now: float, records: int) -> float:
        self._record_counts.append((now, records))
        while len(self._record_counts) > 2 and now - self._record_counts[0][0] > _RATE_SECONDS:
            self._record_counts.popleft()
        start_time, start_records = self._record_counts[0]
        return (records - start_records) / (now - start_time) if now > start_time else 0.0


def http_get(url: str) -> str | None:
    """Return the body of a response with status 200 within one second, else None."""
    try:
        with urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - the address of the demo's own service
            return str(response.read().decode())
    except (URLError, OSError, HTTPException):
        return None
