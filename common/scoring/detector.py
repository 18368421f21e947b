"""Everything that turns readings into detections, at one version."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.calibration import Calibration, calibration_of, read
from sensorwatch.common.model.decision import Decision, decision_of
from sensorwatch.common.model.forecast import Forecast, forecast_of
from sensorwatch.common.model.forest import Forest, forest_of, score
from sensorwatch.common.model.levels import Levels, levels_of, no_levels
from sensorwatch.common.model.plan import FeaturePlan
from sensorwatch.common.row_executor import Crew, alone
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.decide import Judged, decide
from sensorwatch.common.scoring.detections import ClosedEpisode, Detections, Evidence, severity_of
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
class Found:
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

    def cold(self, *, max_sensors: int = MAX_SENSORS) -> Memory:
        """The memory before the first row of a stream."""
        return Memory(self.layout, max_sensors=max_sensors)

    def detect(
        self,
        readings: Readings,
        memory: Memory,
        *,
        positions: NDArray[np.int64] | None = None,
        crew: Crew = alone,
    ) -> Found:
        """Score readings in order, writing each into `memory` as it comes.

        `positions` (n,): strictly rising numbers of the readings in their stream (Kafka's offsets);
        default: counted on from the memory's.
        """
        if positions is None:
            positions = memory.position + np.arange(len(readings), dtype=np.int64)
        recalled = recall(readings, self.levels, self.levels.known, memory)
        readings = _filled(readings, recalled)
        scored, expected = self._scored(readings, recalled, memory, crew)
        anomaly_score = read(scored.novelty, self.calibration).anomaly_score
        is_anomaly = scored.is_anomaly
        full_score = read(scored.raw_score, self.calibration).anomaly_score
        found = episodes(readings, recalled, positions, is_anomaly, full_score, memory)
        if len(positions):
            memory.position = int(positions[-1]) + 1
        detections = Detections(
            raw_score=scored.raw_score,
            anomaly_score=anomaly_score,
            is_anomaly=is_anomaly,
            calibration=self.calibration,
            severity=np.where(is_anomaly, severity_of(found.peak), np.int8(0)),
            status=recalled.status,
            episode=found.start,
            episode_rows=found.rows,
            episode_time=found.time,
            episode_peak=found.peak,
            evidence=_evidence(recalled, scored, expected),
        )
        return Found(readings, detections, found.closed)

    def matrix(self, readings: Readings) -> NDArray[np.float64]:
        """Compute what the forest sees of readings in order, (n, features), from cold memory."""
        recalled = recall(readings, self.levels, self.levels.known, self.cold())
        if self.forecast is None:
            return features(_filled(readings, recalled), self.plan)
        return forecast_features(recalled, residuals(self.forecast, recalled))

    def _scored(
        self, readings: Readings, recalled: Recalled, memory: Memory, crew: Crew
    ) -> tuple[Judged, NDArray[np.float64]]:
        """Return what was decided, and the forecast (n, signals) that it comes from."""
        threshold = self.calibration.threshold
        if self.forecast is None or self.decision is None:
            raw = score(self.forest, features(readings, self.plan), crew=crew)
            nothing = np.zeros((len(raw), 0))
            return Judged(raw, raw > threshold, raw, nothing, nothing), nothing
        left = residuals(self.forecast, recalled)
        forest_score = score(self.forest, forecast_features(recalled, left), crew=crew)
        judged = decide(self.decision, recalled, forest_score, left, memory, threshold=threshold)
        return judged, left.expected

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


def detector_of(
    version: str, schema: Schema, plan: FeaturePlan, arrays: dict[str, NDArray[Any]]
) -> Detector:
    """Build a detector from stored arrays.

    Raises ModelRefused where they are damaged or do not fit the schema and plan.
    """
    forest = forest_of(arrays)
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
    bare = "level_sensors" not in arrays and not plan.remembers
    levels = no_levels(np.zeros(columns)) if bare else levels_of(arrays, columns)
    plain = Detector(
        version, schema, plan, levels, forest, calibration_of(arrays), SignalRanges(*ranges)
    )
    if not plan.remembers:
        return plain
    return replace(
        plain,
        forecast=forecast_of(arrays, signals=signals, contexts=columns - signals),
        decision=decision_of(arrays),
    )


def ranges_from(readings: Readings) -> SignalRanges:
    """Learn each signal's band (0.5 % to 99.5 %) and median from training readings."""
    low, expected, high = np.nanquantile(readings.values, RANGE_QUANTILES, axis=0)
    return SignalRanges(low, expected, high)


def _filled(readings: Readings, recalled: Recalled) -> Readings:
    if not recalled.held.any():
        return readings
    signals = readings.values.shape[1]
    measured = recalled.measured
    return replace(readings, values=measured[:, :signals], context=measured[:, signals:])


def forecast_features(recalled: Recalled, left: Residuals) -> NDArray[np.float64]:
    """Return the forecast plan's matrix (n, 2 * signals): whitened residuals, standard signals."""
    signals = left.white.shape[1]
    return np.concatenate([left.white, recalled.standard[:, :signals]], axis=1)


def _evidence(recalled: Recalled, judged: Judged, expected: NDArray[np.float64]) -> Evidence:
    return Evidence(
        recalled.measured,
        recalled.held,
        recalled.location,
        recalled.scale,
        recalled.standard,
        expected,
        recalled.runs,
        judged.drift,
    )
