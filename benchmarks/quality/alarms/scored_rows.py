"""Fit the detector on rows, score the later rows, and collect the alarms."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.alarms.sensor_rows import SensorRows
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detections import SEVERITIES, Severity
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.silence_rule import SensorSilence
from sensorwatch.trainer.unregistered_model import fit_with_memory

BATCH_ROWS = 10_000
"""Maximum number of rows per call of the detector; the scores do not depend on this number."""
ANY = "any"
LEVELS = (ANY, *(level.value for level in (Severity.WARNING, Severity.MAJOR, Severity.CRITICAL)))
"""The levels of alarms that are counted: all anomalous rows, or rows with at least a severity."""


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Scores and alarms of m rows, in order of time; each array has shape (m,)."""

    sensor: NDArray[np.int32]
    """Number of the row's sensor."""
    event_time: NDArray[np.int64]
    """Event time, microseconds UTC."""
    raw_score: NDArray[np.float64]
    anomaly_score: NDArray[np.float64]
    """Calibrated score; inside an episode, the excess over the episode's highest score so far."""
    severity: NDArray[np.int8]
    """Severity of the row's episode so far, as a position in SEVERITIES."""
    episode: NDArray[np.int64]
    """Number of the row's episode; -1 for a normal row."""

    def alarmed(self, level: str) -> NDArray[np.bool_]:
        """Return a mask (m,) of the rows with an alarm of at least this level of LEVELS."""
        return (self.episode >= 0) & (self.severity >= lowest_severity(level))


def lowest_severity(level: str) -> int:
    """Return the lowest severity number of a level of LEVELS; see SEVERITIES."""
    return 0 if level == ANY else SEVERITIES.index(Severity(level))


def fit_and_score(
    rows: SensorRows, trainer_settings: TrainerSettings | None = None
) -> tuple[Detector, ScoredRows]:
    """Fit on the training rows, and score the judged rows causally."""
    detector, memory = fit_with_memory(
        rows.training, rows.schema, trainer_settings or TrainerSettings()
    )
    return detector, score(rows.judged, detector, memory)


def score(
    readings: Readings,
    detector: Detector,
    memory: Memory,
    *,
    silences: list[SensorSilence] | None = None,
) -> ScoredRows:
    """Score readings in order; update `memory`. `readings.index` has the positions.

    `silences`: a list to which the silences of sensors are appended.
    """
    parts = []
    for first in range(0, len(readings), BATCH_ROWS):
        batch = readings.take(slice(first, first + BATCH_ROWS))
        result = detector.detect(batch, memory, positions=batch.index)
        detections = result.detections
        if silences is not None:
            silences += result.silences
        parts.append(
            ScoredRows(
                batch.sensor,
                batch.event_time,
                detections.raw_score,
                detections.anomaly_score,
                detections.severity,
                np.where(detections.is_anomaly, detections.episode, -1),
            )
        )
    return ScoredRows(
        *(
            np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(ScoredRows)
        )
    )
