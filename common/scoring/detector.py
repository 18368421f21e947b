"""The detector: one model version that converts readings to detections."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.alarm_rates import AlarmRates
from sensorwatch.common.model.angles import (
    from_model_readings,
    model_positions,
    model_schema,
    to_angle,
    to_model_readings,
)
from sensorwatch.common.model.calibration import (
    Calibration,
    to_anomaly_scores,
)
from sensorwatch.common.model.decision import Decision
from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.model.forest import Forest, score
from sensorwatch.common.model.level_guard import LevelGuard
from sensorwatch.common.model.levels import Levels
from sensorwatch.common.model.plan import FeaturePlan
from sensorwatch.common.model.signal_ranges import SignalRanges
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.row_executor import RowExecutor, run_serially
from sensorwatch.common.rows.limits import MAX_SENSORS
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Times
from sensorwatch.common.scoring.decide import RowDecisions, decide
from sensorwatch.common.scoring.detections import ClosedEpisode, Detections
from sensorwatch.common.scoring.episodes import Episodes
from sensorwatch.common.scoring.features import compute_features, forecast_features
from sensorwatch.common.scoring.level_guard import guard_scores
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import Layout
from sensorwatch.common.scoring.recall import RecalledRows, recall
from sensorwatch.common.scoring.residuals import Residuals, compute_residuals
from sensorwatch.common.scoring.row_alarms import DecidedRows, track_alarms
from sensorwatch.common.scoring.score_evidence import score_evidence
from sensorwatch.common.scoring.silence import track_silences
from sensorwatch.common.scoring.silence_rule import (
    NO_SILENCE_CHECK,
    SensorSilence,
    SilenceRule,
)
from sensorwatch.common.scoring.staleness import StaleRows, find_stale_rows
from sensorwatch.common.scoring.status import STATUSES, Status


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """The detections of a micro-batch's readings."""

    readings: Readings
    """The readings, with counters replaced by rates, and missing values imputed."""
    detections: Detections
    """One detection per reading, in the same order."""
    closed: list[ClosedEpisode]
    """The episodes that ended, in ascending order of `ClosedEpisode.index`."""
    silences: list[SensorSilence]
    """The silences of sensors that began or ended, in the order of the rows."""


@dataclass(frozen=True, slots=True)
class Detector:
    """One model version, ready to score; it is immutable."""

    version: str
    schema: Schema
    plan: FeaturePlan
    levels: Levels
    forest: Forest
    calibration: Calibration
    ranges: SignalRanges
    alarm_rates: AlarmRates
    forecast: Forecast | None = None
    """The forecast; None with the plain plan, which scores each row without previous rows."""
    decision: Decision | None = None
    """Parameters of the decision; None with the plain plan, which compares the raw score with the
    threshold."""
    guard: LevelGuard | None = None
    """The level guard; None with the plain plan."""
    policy: AlarmPolicy | None = None
    """The rules and calendar that decide which anomalous rows are alarms; with None, all are."""

    @property
    def policy_id(self) -> str:
        """The id of the policy; empty without a policy."""
        return "" if self.policy is None else self.policy.id

    def under(self, policy: AlarmPolicy | None) -> "Detector":
        """Return this version under another policy; None: without a policy."""
        return self if policy is self.policy else replace(self, policy=policy)

    @property
    def model_schema(self) -> Schema:
        """The schema of the rows that the model sees; angles are sines and cosines."""
        return model_schema(self.schema)

    @property
    def typical_values(self) -> list[float]:
        """For each signal of `schema`, the median of the training values.

        For a counter, this is the median rate; for an angle, the angle of the median sine and
        cosine.
        """
        medians, signals = self.ranges.expected.tolist(), self.schema.signals
        return [
            medians[first]
            if signal.wrap is None
            else to_angle(medians[first], medians[first + 1], signal.wrap)
            for signal, first in zip(signals, model_positions(signals), strict=True)
        ]

    @property
    def layout(self) -> Layout:
        """The layout of this detector's memory."""
        schema = self.model_schema
        return Layout(
            schema.signal_names, schema.context_names, self.levels.min_rows, schema.counters
        )

    def empty_memory(
        self,
        *,
        max_sensors: int = MAX_SENSORS,
        silence_rule: SilenceRule = NO_SILENCE_CHECK,
    ) -> Memory:
        """Return a cold memory: one that contains no sensor yet."""
        return Memory(self.layout, max_sensors=max_sensors, silence_rule=silence_rule)

    def detect(
        self,
        readings: Readings,
        memory: Memory,
        *,
        positions: NDArray[np.int64] | None = None,
        next_position: int | None = None,
        received: Times | None = None,
        row_executor: RowExecutor = run_serially,
    ) -> DetectionResult:
        """Return the detections of readings in the same order; update `memory` with each reading.

        `positions`: shape (n,), strictly rising positions of the readings in their stream (Kafka's
        offsets); default: the memory's next positions. `next_position`: position of the record
        after these readings; default: the last of `positions` plus 1. `received`: see `process`.

        >>> from sensorwatch.common.rows.parsing import parse
        >>> from sensorwatch.common.rows.schema import schema_from_plain
        >>> from sensorwatch.common.runtime.setting_keys import TrainerSettings
        >>> from sensorwatch.trainer.training import fit_unregistered
        >>> schema = schema_from_plain(
        ...     {"name": "pump", "time": {"field": "at"}, "key": {"field": "pump"},
        ...      "signals": [{"name": "flow"}]})
        >>> payload = '{{"at": "2026-01-01T00:{:02}:00Z", "pump": "p1", "flow": {}}}'.format
        >>> normal_rows = [payload(minute, minute % 7).encode() for minute in range(50)]
        >>> readings, _ = parse(normal_rows, schema)
        >>> detector = fit_unregistered(readings, schema, TrainerSettings(min_rows=20))
        >>> new_readings, _ = parse([payload(50, 3).encode(), payload(51, 900).encode()], schema)
        >>> detector.detect(new_readings, detector.empty_memory()).detections.is_anomaly
        array([False,  True])
        """
        if positions is None:
            positions = memory.next_positions(len(readings))
        if next_position is None:
            next_position = int(positions[-1]) + 1 if len(positions) else memory.position
        model_readings = to_model_readings(readings, self.schema)
        recalled = recall(
            model_readings, self.levels, self.levels.level_by_sensor, memory, self.guard
        )
        model_readings = _with_recalled_values(model_readings, recalled, self.schema)
        guard_score = guard_scores(recalled.deviation, self.guard)
        decisions, row_residuals = self._score_and_decide(
            model_readings, recalled, guard_score, memory, row_executor
        )
        anomaly_score = to_anomaly_scores(decisions.novelty, self.calibration).anomaly_score
        scored_readings = from_model_readings(model_readings, readings, self.schema)
        alarms = track_alarms(
            self,
            DecidedRows(
                scored_readings,
                model_readings,
                positions,
                recalled,
                row_residuals,
                guard_score,
                decisions,
            ),
            memory,
        )
        row_episodes = alarms.episodes
        stale_rows = self._stale_rows(recalled, decisions, row_episodes, memory)
        silences = track_silences(
            readings, recalled, positions, received, self.levels, self.policy, memory
        )
        memory.position = next_position
        detections = Detections(
            raw_score=decisions.raw_score,
            anomaly_score=anomaly_score,
            is_anomaly=alarms.is_anomaly,
            calibration=self.calibration,
            severity=row_episodes.severity,
            previous_severity=row_episodes.previous_severity,
            suppression=row_episodes.suppression,
            is_news=row_episodes.is_news,
            alike=row_episodes.alike,
            rule=row_episodes.rule,
            limit=alarms.by_policy.limit,
            annotation=alarms.by_policy.annotation,
            is_accepted=decisions.is_anomaly & (recalled.accepts_level | decisions.accepts_scores),
            stale_episodes=stale_rows.episodes,
            stale_expected=stale_rows.expected_episodes,
            pattern=alarms.pattern,
            status=recalled.status,
            episode=row_episodes.start,
            episode_rows=row_episodes.rows,
            episode_time=row_episodes.time,
            episode_peak=row_episodes.peak,
            episode_rate=row_episodes.rate,
            incident=row_episodes.incident,
            evidence=score_evidence(recalled, decisions, row_residuals),
        )
        return DetectionResult(
            scored_readings,
            detections,
            row_episodes.closed,
            silences,
        )

    def matrix(self, readings: Readings) -> NDArray[np.float64]:
        """Return the forest's input (n, features) for readings, starting with a cold memory."""
        readings = to_model_readings(readings, self.schema)
        recalled = recall(readings, self.levels, self.levels.level_by_sensor, self.empty_memory())
        if self.forecast is None:
            return compute_features(
                _with_recalled_values(readings, recalled, self.schema), self.plan
            )
        return forecast_features(recalled, compute_residuals(self.forecast, recalled))

    def _score_and_decide(
        self,
        readings: Readings,
        recalled: RecalledRows,
        guard_score: NDArray[np.float64],
        memory: Memory,
        row_executor: RowExecutor,
    ) -> tuple[RowDecisions, Residuals | None]:
        """Return decisions and the forecast: shape (n, signals), or (n, 0) with the plain plan."""
        threshold = self.calibration.threshold
        if self.forecast is None or self.decision is None:
            matrix = compute_features(readings, self.plan)
            raw_score = score(self.forest, matrix, row_executor=row_executor)
            raw_score[recalled.status == STATUSES.index(Status.MISSING)] = 0.0
            no_columns = np.zeros((len(raw_score), 0))
            return RowDecisions(
                raw_score,
                raw_score > threshold,
                raw_score,
                no_columns,
                no_columns,
                np.zeros(len(raw_score), dtype=np.bool_),
                raw_score,
            ), None
        row_residuals = compute_residuals(self.forecast, recalled)
        forest_score = score(
            self.forest, forecast_features(recalled, row_residuals), row_executor=row_executor
        )
        decisions = decide(
            self.decision,
            recalled,
            forest_score,
            row_residuals,
            memory,
            threshold=threshold,
            guard_score=guard_score,
        )
        return decisions, row_residuals

    def _stale_rows(
        self,
        recalled: RecalledRows,
        decisions: RowDecisions,
        row_episodes: Episodes,
        memory: Memory,
    ) -> StaleRows:
        """Return the rows at which the model becomes stale.

        A row that is anomalous only because of a hard limit says nothing about the model.
        """
        is_counted = recalled.status == STATUSES.index(Status.SCORED)
        is_counted &= np.isfinite(decisions.raw_score)
        is_counted &= decisions.is_anomaly | (row_episodes.rows == 0)
        return find_stale_rows(
            is_counted,
            row_episodes.rows,
            memory.staleness,
            alarm_rates=self.alarm_rates,
            threshold=self.calibration.threshold,
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays on which a score depends, by their stored names."""
        return (
            self.forest.arrays()
            | self.calibration.arrays()
            | self.ranges.arrays()
            | self.levels.arrays()
            | self.alarm_rates.arrays()
            | (self.forecast.arrays() if self.forecast else {})
            | (self.decision.arrays() if self.decision else {})
            | (self.guard.arrays() if self.guard else {})
        )


def _with_recalled_values(readings: Readings, recalled: RecalledRows, schema: Schema) -> Readings:
    """Return readings with the counters' rates and with imputed values."""
    if not (schema.counters or recalled.imputed.any()):
        return readings
    signals = readings.values.shape[1]
    measured = recalled.measured
    return replace(readings, values=measured[:, :signals], context=measured[:, signals:])
