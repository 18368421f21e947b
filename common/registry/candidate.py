"""The result of training: the content of a model version that has no id yet."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sensorwatch.common.model.alarm_rates import AlarmRates
from sensorwatch.common.model.calibration import Calibration
from sensorwatch.common.model.decision import Decision
from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.model.forest import Forest
from sensorwatch.common.model.level_guard import LevelGuard
from sensorwatch.common.model.levels import Levels
from sensorwatch.common.model.plan import FeaturePlan
from sensorwatch.common.model.signal_ranges import SignalRanges
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.detector import Detector

MAX_GOLDEN_ROWS = 200


class DataSource(BaseModel):
    """The origin of the training rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    uri: str
    """The source as the user wrote it: a file, a glob or `kafka:TOPIC`."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Digest of all bytes that were read from the source."""
    first_time: int
    """Earliest event time, microseconds since 1970-01-01 UTC."""
    last_time: int
    """Latest event time, microseconds since 1970-01-01 UTC."""
    rows: Annotated[int, Field(ge=0)]
    """Number of accepted rows."""
    as_of: int | None = None
    """The time of `--as-of`, microseconds since 1970-01-01 UTC; None for a topic.

    Rows of files with later times were rejected."""
    rejected: dict[str, int] = {}
    """Number of rejected rows by reason code."""
    left_out_true_faults: dict[str, int] = {}
    """Number of rows that were left out because a person judged their episode as a true fault, by
    the id of the episode."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained model that is not yet registered."""

    schema: Schema
    plan: FeaturePlan
    levels: Levels
    forest: Forest
    calibration: Calibration
    ranges: SignalRanges
    alarm_rates: AlarmRates
    estimator: Any
    """The fitted scikit-learn estimator. The estimator is stored with joblib; services never read
    it."""
    parameters: dict[str, Any]
    """Training parameters as plain JSON values: trees, max_samples, target_alert_rate, ..."""
    seed: int
    data_source: DataSource
    split: dict[str, Any]
    """The split of the training rows: `fit_rows`, `calibration_rows`, and `boundary_time` in
    microseconds."""
    golden: Readings
    """1 to MAX_GOLDEN_ROWS readings, spread over the calibration rows. The golden rows are scored
    with a cold memory."""
    forecast: Forecast | None = None
    decision: Decision | None = None
    guard: LevelGuard | None = None
    """`forecast`, `decision` and `guard` are None if the features are `plain`."""
    alarms: dict[str, Any] = field(default_factory=dict)
    """The fitted rates of false alarms as plain JSON values, as information for people."""
    blind_signals: dict[str, float] = field(default_factory=dict)
    """Signals in which the model misses most large spikes, each with the share that it finds."""

    def detector(self, version: str) -> Detector:
        """Return this candidate as a detector with the id `version`."""
        return Detector(
            version,
            self.schema,
            self.plan,
            self.levels,
            self.forest,
            self.calibration,
            self.ranges,
            self.alarm_rates,
            self.forecast,
            self.decision,
            self.guard,
        )
