"""The log line of a worker that says once a minute what it does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.runtime.logs import logger

REPORT_SECONDS = 60.0

_log = logger("consumer")


@dataclass(slots=True)
class _Counts:
    records: int = 0
    rows: int = 0
    anomalies: int = 0
    dead_letters: int = 0


class MinuteReport:
    """Counts committed outcomes, and logs them every REPORT_SECONDS."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begin = clock()
        self._counts = _Counts()

    def add(self, *, records: int, rows: int, anomalies: int, dead_letters: int) -> None:
        """Count the outcomes of a committed micro-batch."""
        counts = self._counts
        counts.records += records
        counts.rows += rows
        counts.anomalies += anomalies
        counts.dead_letters += dead_letters

    def log_if_due(self, lags: Mapping[Partition, int], not_ready_reason: str | None) -> None:
        """Log the counts since the last report, if it is time.

        `lags`: the lag of each partition, as far as it is known. `not_ready_reason`: why no records
        are scored now, or None.
        """
        seconds = self._clock() - self._begin
        if seconds < REPORT_SECONDS:
            return
        counts, self._counts, self._begin = self._counts, _Counts(), self._clock()
        fields = {
            "rows": counts.rows,
            "rows_per_second": round(counts.rows / seconds, 1),
            "anomalies": counts.anomalies,
            "dead_letters": counts.dead_letters,
            "records": counts.records,
            "lag": sum(lags.values()) if lags else "unknown",
            "seconds": round(seconds),
        }
        if not_ready_reason is None:
            _log.info("all is well", **fields)
        else:
            _log.warning("no records are scored", why=not_ready_reason, **fields)
