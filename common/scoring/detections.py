"""The detections: scores, decisions and episodes of readings."""

from dataclasses import dataclass, fields, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.calibration import Calibration, p_values
from sensorwatch.common.scoring.score_evidence import ScoreEvidence
from sensorwatch.common.scoring.suppression import Suppression


class Severity(StrEnum):
    """How rarely an episode of a clean sensor reaches the row's score; `none` for a normal row.

    `warning`, `major` and `critical` are budgets of false episodes per sensor-day, see
    `AlarmRates`.
    """

    NONE = "none"
    INFO = "info"
    """Clean sensors reach this score more often than the budget of `warning` allows."""
    WARNING = "warning"
    MAJOR = "major"
    CRITICAL = "critical"


SEVERITIES = tuple(Severity)
"""Positions in this tuple are the severity numbers of `Detections.severity`."""
SEVERITY_TEXTS = np.asarray([severity.value for severity in SEVERITIES], dtype=object)
"""The values of SEVERITIES as plain texts, which encoders write faster than enum members."""
FIRST_SEVERITY = SEVERITIES.index(Severity.INFO)
"""Severity number of an anomalous row that is too frequent for every budget: `info`."""


@dataclass(frozen=True, slots=True)
class Detections:
    """The scores and decisions of n readings; each array has shape (n,)."""

    raw_score: NDArray[np.float64]
    """Score before calibration; higher is more anomalous."""
    anomaly_score: NDArray[np.float64]
    """Calibrated score: 0.0 at the median of calibration, 1.0 at the threshold.

    If the row is inside an alarm and the model uses a memory, the score is instead the calibrated
    excess of the raw score over the alarm's highest raw score so far.
    """
    is_anomaly: NDArray[np.bool_]
    """Whether the row is in an alarm; an alarm can go on at anomaly scores below 1.0. A row that
    breaks a hard limit of the policy is always in an alarm."""
    severity: NDArray[np.int8]
    """Highest severity of the row's episode so far, as its position in SEVERITIES; 0 for a normal
    row."""
    previous_severity: NDArray[np.int8]
    """Severity of the row's episode just before this row, as its position in SEVERITIES; 0 for the
    first row of an episode and for a normal row."""
    suppression: NDArray[np.int8]
    """The reason for which the row's episode is suppressed so far, as its position in SUPPRESSIONS;
    0 if it is not suppressed, and for a normal row. A suppressed episode has the severity
    `info`."""
    rule: NDArray[np.int64]
    """Number of the rule or calendar window that suppresses the row's episode so far; 0 if there is
    none. See `AlarmPolicy.name_of`."""
    limit: NDArray[np.int64]
    """Number of the rule whose hard limit the row breaks; 0 if there is none."""
    annotation: NDArray[np.int64]
    """Number of the calendar window that annotates the row; 0 if there is none."""
    is_news: NDArray[np.bool_]
    """Whether the row shows a further fault inside an alarm: a change of another signal, or in
    another direction, that alone is rare enough for the budget of `warning`."""
    alike: NDArray[np.int64]
    """Number of similar alarms of the sensor in the recent past, including this episode and
    suppressed ones; 0 for a normal row."""
    is_accepted: NDArray[np.bool_]
    """Whether the level or the scores of the row's episode count as usual for the sensor after this
    row, because the episode has lasted long."""
    stale_episodes: NDArray[np.int64]
    """At a row that makes the model stale, the number of new episodes since the first evidence; 0
    for other rows. See `find_stale_rows`."""
    stale_expected: NDArray[np.float64]
    """At a row that makes the model stale, the number of new episodes that the model predicts for
    the same time; 0 for other rows."""
    pattern: NDArray[np.int8]
    """Pattern of the row's episode so far, as its position in PATTERNS; 0 for a normal row."""
    status: NDArray[np.int8]
    """Status of the row, as its position in STATUSES."""
    episode: NDArray[np.int64]
    """Stream position of the first anomalous row of the row's episode, see `row_positions`; -1 for
    a normal row."""
    episode_rows: NDArray[np.int64]
    """Number of anomalous rows of the row's episode so far, including the row; 0 for a normal
    row."""
    episode_time: NDArray[np.int64]
    """Event time of the first anomalous row of the row's episode, microseconds UTC; 0 for a normal
    row."""
    episode_peak: NDArray[np.float64]
    """Highest full score of the row's episode so far, including the row; 0 for a normal row.

    The full score is the anomaly score that the row would have as the first row of an episode.
    """
    episode_rate: NDArray[np.float64]
    """Number of episodes per day of a clean sensor that reach the highest score of the row's
    episode so far; 0 for a normal row."""
    incident: NDArray[np.int64]
    """Stream position of the first row of the row's incident; -1 for a normal row.
    Without a group, it is the position in `episode`. See `track_incidents`."""
    calibration: Calibration
    """Calibration of the detector that computed the scores."""
    evidence: ScoreEvidence

    def __len__(self) -> int:
        return len(self.raw_score)

    @property
    def p_value(self) -> NDArray[np.float64]:
        """Shape (n,). Conformal p-value of each raw score, computed at every access."""
        return p_values(self.raw_score, self.calibration)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "Detections":
        """Return the detections of some rows, selected by position, mask or slice."""
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
    """An episode that has ended: consecutive anomalous rows of one sensor."""

    index: int
    """Index (within its micro-batch) of the record that ended the episode."""
    position: int
    """Stream position of the row that ended the episode; see `row_positions`."""
    closed_time: int
    """Event time of the record that ended the episode, microseconds UTC."""
    sensor_id: str
    """Sensor of the episode. If the sensor was evicted, the episode was ended by a record of
    another sensor."""
    start: int
    """Stream position of the first anomalous row."""
    start_time: int
    """Event time of the first anomalous row, microseconds UTC."""
    last_time: int
    """Event time of the last anomalous row, microseconds UTC."""
    rows: int
    """Number of the episode's anomalous rows."""
    peak: float
    """Highest full score of the episode's rows (see `Detections.episode_peak`)."""
    rate: float
    """Number of episodes per day of a clean sensor that reach the episode's highest score."""
    severity: Severity
    """Highest severity of the episode."""
    suppression: Suppression
    """The reason for which the episode was suppressed up to its end."""
    incident: int
    """Stream position of the first row of the episode's incident; see `Detections.incident`."""
    rule: int = 0
    """Number of the rule or calendar window that suppressed the episode; 0 if there is none."""
