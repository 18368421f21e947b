"""What the consumer tells Prometheus, read the way Prometheus reads it."""

from collections import deque
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from sensorwatch.common.runtime.metrics import PREFIX
from sensorwatch.demonstration.asking import get

_RATE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """The consumer's state at one instant."""

    records: int = 0
    anomalies: int = 0
    dead_letters: int = 0
    anomaly_ratio: float = 0.0
    latency_seconds: float = 0.0
    """Mean, from a record's timestamp to the commit of its outcome, of the newest records."""
    version: str = ""
    rows_per_second: float = 0.0
    """Over the last seconds."""


@dataclass(slots=True)
class Meter:
    """Asks `/metrics` and knows how fast the counters move."""

    address: str
    _seen: deque[tuple[float, int]] = field(default_factory=deque)
    _summed: tuple[float, float] = (0.0, 0.0)
    """Sum and count of the latencies when they last moved."""
    _latency: float = 0.0

    def read(self, now: float) -> ServerFigures | None:
        """Return the figures at `now` (monotonic seconds), or None where there is no answer."""
        text = get(f"{self.address}/metrics")
        return None if text is None else self._figures(text, now)

    def _figures(self, text: str, now: float) -> ServerFigures:
        sums: dict[str, float] = {}
        version = ""
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                name = sample.name.removeprefix(f"{PREFIX}_")
                sums[name] = sums.get(name, 0.0) + sample.value
                if name == "model_info":
                    version = sample.labels["version"]
        records = int(sums.get("records_consumed_total", 0))
        return ServerFigures(
            records=records,
            anomalies=int(sums.get("anomalies_total", 0)),
            dead_letters=int(sums.get("dead_letters_total", 0)),
            anomaly_ratio=sums.get("anomaly_ratio", 0.0),
            latency_seconds=self._mean_latency(sums),
            version=version,
            rows_per_second=self._rate(now, records),
        )

    def _mean_latency(self, sums: dict[str, float]) -> float:
        name = "end_to_end_latency_seconds"
        total, count = sums.get(f"{name}_sum", 0.0), sums.get(f"{name}_count", 0.0)
        before_total, before_count = self._summed
        if count > before_count:
            self._summed = (total, count)
            self._latency = (total - before_total) / (count - before_count)
        return self._latency

    def _rate(self, now: float, records: int) -> float:
        self._seen.append((now, records))
        while len(self._seen) > 2 and now - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        return (records - before) / (now - since) if now > since else 0.0
