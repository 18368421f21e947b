"""Builds scored rows and records of the scores topic."""

from sensorwatch.api.page.score_history import ReceivedScores
from tests.scoring.plain_aggregates import Band, ScoredRow, plain_aggregates

BAND: Band = (2.0, 1.0, 3.0)


def a_row(
    sensor: str = "a",
    seconds: float = 0,
    *,
    score: float = 0.5,
    severity: int = 0,
    value: float = 2.0,
    band: Band = BAND,
) -> ScoredRow:
    """Return a row with one signal; `seconds`: event time since 1970 UTC."""
    time = round(seconds * 1e6)
    return ScoredRow(sensor, time, 0, score, severity, (value,), (band,))


def a_record(*rows: ScoredRow, signal: str = "flow") -> ReceivedScores:
    """Return the record of rows that was written at the newest event time."""
    newest = max(row.time for row in rows) / 1e6
    return ReceivedScores(plain_aggregates(rows, (signal,)), newest)
