"""Everything that turns readings into detections, at one version."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.detection.calibration import Calibration, calibration_of, read
from common.detection.detections import ClosedEpisode, Detections, Evidence, severity_of
from common.detection.episodes import episodes
from common.detection.features import features
from common.detection.forest import Forest, forest_of, score
from common.detection.layout import Layout
from common.detection.levels import Levels, levels_of
from common.detection.memory import MAX_SENSORS, Memory
from common.detection.plan import FeaturePlan
from common.detection.recall import Recalled, recall
from common.errors import ModelRefused
from common.rows.readings import Readings
from common.rows.schema import Schema

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

    @property
    def layout(self) -> Layout:
        """What a memory for this detector holds of each sensor."""
        contexts = tuple(column.name for column in self.schema.context)
        return Layout(self.schema.signal_names, contexts, self.levels.min_rows)

    def cold(self, *, max_sensors: int = MAX_SENSORS) -> Memory:
        """The memory before the first row of a stream."""
        return Memory(self.layout, max_sensors=max_sensors)

    def detect(
        self, readings: Readings, memory: Memory, *, positions: NDArray[np.int64] | None = None
    ) -> Found:
        """Score readings in order, writing each into `memory` as it comes.

        `positions` (n,): strictly rising numbers of the readings in their stream (Kafka's offsets);
        default: counted on from the memory's.
        """
        if positions is None:
            positions = memory.position + np.arange(len(readings), dtype=np.int64)
        recalled = recall(readings, self.levels, self.levels.known, memory)
        readings = _filled(readings, recalled)
        raw = score(self.forest, features(readings, self.plan))
        meaning = read(raw, self.calibration)
        is_anomaly = meaning.above
        found = episodes(readings, recalled, positions, is_anomaly, meaning.anomaly_score, memory)
        if len(positions):
            memory.position = int(positions[-1]) + 1
        detections = Detections(
            raw_score=raw,
            anomaly_score=meaning.anomaly_score,
            is_anomaly=is_anomaly,
            p_value=meaning.p_value,
            severity=np.where(is_anomaly, severity_of(meaning.anomaly_score), np.int8(0)),
            status=recalled.status,
            episode=found.start,
            episode_rows=found.rows,
            episode_time=found.time,
            evidence=_evidence(recalled),
        )
        return Found(readings, detections, found.closed)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array that decides a score, by name, as they are stored."""
        return (
            self.forest.arrays()
            | self.calibration.arrays()
            | self.ranges.arrays()
            | self.levels.arrays()
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
    levels = levels_of(arrays, signals + len(schema.context))
    return Detector(
        version, schema, plan, levels, forest, calibration_of(arrays), SignalRanges(*ranges)
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


def _evidence(recalled: Recalled) -> Evidence:
    return Evidence(
        recalled.measured,
        recalled.held,
        recalled.location,
        recalled.scale,
        recalled.standard,
        recalled.lagged,
        recalled.runs,
        np.zeros_like(recalled.runs, dtype=np.float64),
    )
