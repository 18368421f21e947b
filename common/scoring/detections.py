"""What was found of each reading, and which episodes ended with it."""

from dataclasses import dataclass, fields, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.calibration import Calibration, p_values


class Severity(StrEnum):
    """How far above the threshold an anomalous row is; `none` for the others."""

    NONE = "none"
    WARNING = "warning"
    MAJOR = "major"
    CRITICAL = "critical"


SEVERITIES = tuple(Severity)
SEVERITY_TEXTS = np.asarray([severity.value for severity in SEVERITIES], dtype=object)
"""See `sensorwatch.common.scoring.recall.STATUS_TEXTS`."""
SEVERITY_BOUNDS = {Severity.MAJOR: 1.25, Severity.CRITICAL: 1.5}
"""Anomaly score from which on a row is of this severity; below: warning."""


@dataclass(frozen=True, slots=True)
class ScoreEvidence:
    """What the rows' scores came from, kept to explain them; each (n, ...)."""

    measured: NDArray[np.float64]
    """(n, columns) signals, then context; what was missing is held from the row before."""
    imputed: NDArray[np.bool_]
    """(n, columns) what was missing."""
    location: NDArray[np.float64]
    scale: NDArray[np.float64]
    """(n, columns) the sensor's level when the row came."""
    standardised: NDArray[np.float64]
    """(n, columns) (measured - location) / scale, squashed."""
    expected: NDArray[np.float64]
    """(n, signals) forecast of `standardised`, 0 without memory; (n, 0) of the plain plan."""
    repeats: NDArray[np.int64]
    """(n, signals) how long each signal has repeated its value exactly."""
    drift: NDArray[np.float64]
    """(n, signals) smoothed whitened residuals, this row included."""


@dataclass(frozen=True, slots=True)
class Detections:
    """The scores and decisions of n readings, each an array (n,)."""

    raw_score: NDArray[np.float64]
    anomaly_score: NDArray[np.float64]
    """1.0 at the threshold; inside an episode, with memory, only what exceeds its worst so far."""
    is_anomaly: NDArray[np.bool_]
    """The decision: it may hold on for a while below an anomaly score of 1.0."""
    severity: NDArray[np.int8]
    """Position in SEVERITIES: that of `episode_peak`."""
    status: NDArray[np.int8]
    """Position in STATUSES: how the row could be judged."""
    episode: NDArray[np.int64]
    """Position of the first anomalous row of its episode; -1 of a normal row."""
    episode_rows: NDArray[np.int64]
    """Anomalous rows of the episode so far, this one included; 0 of a normal row."""
    episode_time: NDArray[np.int64]
    """Event time of the episode's first row, microseconds UTC; 0 of a normal row."""
    episode_peak: NDArray[np.float64]
    """Highest score of the episode so far, this row's included; 0 of a normal row.

    Each row counts with the anomaly score that it would have as its episode's first.
    """
    calibration: Calibration
    """What p-values are read by."""
    evidence: ScoreEvidence

    def __len__(self) -> int:
        return len(self.raw_score)

    @property
    def p_value(self) -> NDArray[np.float64]:
        """The conformal p-value of each raw score, looked up when it is asked for."""
        return p_values(self.raw_score, self.calibration)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "Detections":
        """Select rows by position, mask or slice."""
        columns = {
            field.name: getattr(self, field.name)[rows]
            for field in fields(self)
            if field.name not in {"calibration", "evidence"}
        }
        evidence = ScoreEvidence(
            **{
                field.name: getattr(self.evidence, field.name)[rows]
                for field in fields(ScoreEvidence)
            }
        )
        return replace(self, **columns, evidence=evidence)


@dataclass(frozen=True, slots=True)
class ClosedEpisode:
    """A stretch of anomalous rows of one sensor that is over."""

    index: int
    """Of the record in its micro-batch with which it ended."""
    position: int
    """Of that record in its stream."""
    closed_time: int
    """Event time of that record's row, microseconds UTC."""
    sensor_id: str
    """Whose episode it was: with an eviction not the sensor of that row."""
    start: int
    """Position of its first anomalous row."""
    start_time: int
    last_time: int
    """Event times of its first and last anomalous row, microseconds UTC."""
    rows: int
    """How many anomalous rows it had."""
    peak: float
    """Its highest score: of each row, the anomaly score that it would have as the first one."""
    severity: Severity
    """That of the peak."""


def severity_numbers(anomaly_score: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return the position in SEVERITIES of anomalous rows' scores (n,)."""
    severities = np.ones(len(anomaly_score), dtype=np.int8)
    for bound in SEVERITY_BOUNDS.values():
        severities += (anomaly_score >= bound).astype(np.int8)
    return severities
