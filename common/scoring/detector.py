"""Everything that turns readings into detections, at one version."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.calibration import (
    Calibration,
    calibration_from_arrays,
    to_anomaly_scores,
)
from sensorwatch.common.model.decision import Decision, decision_from_arrays
from sensorwatch.common.model.forecast import Forecast, forecast_from_arrays
from sensorwatch.common.model.forest import Forest, forest_from_arrays, score
from sensorwatch.common.model.levels import Levels, levels_from_arrays, no_levels
from sensorwatch.common.model.plan import FeaturePlan
from sensorwatch.common.row_executor import RowExecutor, serial
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.decide import RowDecisions, decide
from sensorwatch.common.scoring.detections import (
    ClosedEpisode,
    Detections,
    ScoreEvidence,
    severity_numbers,
)
from sensorwatch.common.scoring.episodes import episodes
from sensorwatch.common.scoring.features import features
from sensorwatch.common.scoring.memory import MAX_SENSORS, Memory
from sensorwatch.common.scoring.memory_layout import Layout
from sensorwatch.common.scoring.recall import Recalled, recall
from sensorwatch.common.scoring.residuals import Residuals, residuals

RANGE_QUANTILES = (0.005, 0.5, 0.995)


@dataclass(frozen=True, slots=True)
class SignalRanges:
    """What each signal did in training, each an array (signals,): the band and its middle."""

    low: NDArray[np.float64]
    expected: NDArray[np.float64]
    high: NDArray[np.float64]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as they are stored."""
        return {"signal_ranges": np.stack([self.low, self.expected, self.high])}


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """What was found of a micro-batch's readings."""

    readings: Readings
    """The same, with what was missing held from the row before."""
    detections: Detections
    closed: list[ClosedEpisode]
    """The episodes that ended, rising by index."""


@dataclass(frozen=True, slots=True)
class Detector:
    """Schema, features, forest and calibration: ready to score, and never changed."""

    version: str
    schema: Schema
    plan: FeaturePlan
    levels: Levels
    forest: Forest
    calibration: Calibration
    ranges: SignalRanges
    forecast: Forecast | None = None
    """None of the plain plan, which looks at rows one by one."""
    decision: Decision | None = None

    @property
    def layout(self) -> Layout:
        """What a memory for this detector holds of each sensor."""
        return Layout(self.schema.signal_names, self.schema.context_names, self.levels.min_rows)

    def empty_memory(self, *, max_sensors: int = MAX_SENSORS) -> Memory:
        """The memory before the first row of a stream."""
        return Memory(self.layout, max_sensors=max_sensors)

    def detect(
        self,
        readings: Readings,
        memory: Memory,
        *,
        positions: NDArray[np.int64] | None = None,
        row_executor: RowExecutor = serial,
    ) -> DetectionResult:
        """Score readings in order, writing each into `memory` as it comes.

        `positions` (n,): strictly rising numbers of the readings in their stream (Kafka's offsets);
        default: counted on from the memory's.
        """
        if positions is None:
            positions = memory.position + np.arange(len(readings), dtype=np.int64)
        recalled = recall(readings, self.levels, self.levels.level_by_sensor, memory)
        readings = _with_imputed_values(readings, recalled)
        decisions, expected = self._score_and_decide(readings, recalled, memory, row_executor)
        anomaly_score = to_anomaly_scores(decisions.novelty, self.calibration).anomaly_score
        is_anomaly = decisions.is_anomaly
        full_score = to_anomaly_scores(decisions.raw_score, self.calibration).anomaly_score
        row_episodes = episodes(readings, recalled, positions, is_anomaly, full_score, memory)
        if len(positions):
            memory.position = int(positions[-1]) + 1
        detections = Detections(
            raw_score=decisions.raw_score,
            anomaly_score=anomaly_score,
            is_anomaly=is_anomaly,
            calibration=self.calibration,
            severity=np.where(is_anomaly, severity_numbers(row_episodes.peak), np.int8(0)),
            status=recalled.status,
            episode=row_episodes.start,
            episode_rows=row_episodes.rows,
            episode_time=row_episodes.time,
            episode_peak=row_episodes.peak,
            evidence=_evidence(recalled, decisions, expected),
        )
        return DetectionResult(readings, detections, row_episodes.closed)

    def matrix(self, readings: Readings) -> NDArray[np.float64]:
        """Compute what the forest sees of readings in order, (n, features), from cold memory."""
        recalled = recall(readings, self.levels, self.levels.level_by_sensor, self.empty_memory())
        if self.forecast is None:
            return features(_with_imputed_values(readings, recalled), self.plan)
        return forecast_features(recalled, residuals(self.forecast, recalled))

    def _score_and_decide(
        self, readings: Readings, recalled: Recalled, memory: Memory, row_executor: RowExecutor
    ) -> tuple[RowDecisions, NDArray[np.float64]]:
        """Return what was decided, and the forecast (n, signals) that it comes from."""
        threshold = self.calibration.threshold
        if self.forecast is None or self.decision is None:
            raw = score(self.forest, features(readings, self.plan), row_executor=row_executor)
            no_columns = np.zeros((len(raw), 0))
            return RowDecisions(raw, raw > threshold, raw, no_columns, no_columns), no_columns
        row_residuals = residuals(self.forecast, recalled)
        forest_score = score(
            self.forest, forecast_features(recalled, row_residuals), row_executor=row_executor
        )
        decisions = decide(
            self.decision, recalled, forest_score, row_residuals, memory, threshold=threshold
        )
        return decisions, row_residuals.expected

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array that decides a score, by name, as they are stored."""
        return (
            self.forest.arrays()
            | self.calibration.arrays()
            | self.ranges.arrays()
            | self.levels.arrays()
            | (self.forecast.arrays() if self.forecast else {})
            | (self.decision.arrays() if self.decision else {})
        )


def detector_from_arrays(
    version: str, schema: Schema, plan: FeaturePlan, arrays: dict[str, NDArray[Any]]
) -> Detector:
    """Build a detector from stored arrays.

    Raises ModelRefused where they are damaged or do not fit the schema and plan.
    """
    forest = forest_from_arrays(arrays)
    if forest.columns[0] != len(plan.features):
        raise ModelRefused(
            f"the forest takes {forest.columns[0]} features, the plan has {len(plan.features)}"
        )
    ranges = arrays.get("signal_ranges")
    signals = len(schema.signals)
    if ranges is None or ranges.shape != (3, signals) or not np.all(np.isfinite(ranges)):
        raise ModelRefused(f"the signals' ranges are not three rows of {signals} finite numbers")
    columns = len(schema.columns)
    # Versions from before there were levels have none, and need none.
    has_no_levels = "level_sensors" not in arrays and not plan.needs_memory
    levels = no_levels(np.zeros(columns)) if has_no_levels else levels_from_arrays(arrays, columns)
    plain = Detector(
        version,
        schema,
        plan,
        levels,
        forest,
        calibration_from_arrays(arrays),
        SignalRanges(*ranges),
    )
    if not plan.needs_memory:
        return plain
    return replace(
        plain,
        forecast=forecast_from_arrays(arrays, signals=signals, contexts=columns - signals),
        decision=decision_from_arrays(arrays),
    )


def learn_signal_ranges(readings: Readings) -> SignalRanges:
    """Learn each signal's band (0.5 % to 99.5 %) and median from training readings."""
    low, expected, high = np.nanquantile(readings.values, RANGE_QUANTILES, axis=0)
    return SignalRanges(low, expected, high)


def _with_imputed_values(readings: Readings, recalled: Recalled) -> Readings:
    if not recalled.imputed.any():
        return readings
    signals = readings.values.shape[1]
    measured = recalled.measured
    return replace(readings, values=measured[:, :signals], context=measured[:, signals:])


def forecast_features(recalled: Recalled, row_residuals: Residuals) -> NDArray[np.float64]:
    """Return the forecast plan's matrix (n, 2 * signals): whitened residuals, standard signals."""
    signals = row_residuals.whitened.shape[1]
    return np.concatenate([row_residuals.whitened, recalled.standardised[:, :signals]], axis=1)


def _evidence(
    recalled: Recalled, decisions: RowDecisions, expected: NDArray[np.float64]
) -> ScoreEvidence:
    return ScoreEvidence(
        recalled.measured,
        recalled.imputed,
        recalled.location,
        recalled.scale,
        recalled.standardised,
        expected,
        recalled.repeats,
        decisions.drift,
    )
