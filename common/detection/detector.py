"""Everything that turns readings into detections, at one version."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.detection.calibration import Calibration, Detections, calibration_of, decide
from common.detection.features import features
from common.detection.forest import Forest, forest_of, score
from common.detection.memory import Memory
from common.detection.plan import FeaturePlan
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
class Detector:
    """Schema, features, forest and calibration: ready to score, and never changed."""

    version: str
    schema: Schema
    plan: FeaturePlan
    forest: Forest
    calibration: Calibration
    ranges: SignalRanges

    def detect(self, readings: Readings, memory: Memory) -> tuple[Detections, Memory]:
        """Score readings in order, starting from `memory`; return the memory after them."""
        matrix, memory = features(readings, self.plan, memory)
        return decide(score(self.forest, matrix), self.calibration), memory

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array that decides a score, by name, as they are stored."""
        return self.forest.arrays() | self.calibration.arrays() | self.ranges.arrays()


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
    return Detector(version, schema, plan, forest, calibration_of(arrays), SignalRanges(*ranges))


def ranges_from(readings: Readings) -> SignalRanges:
    """Learn each signal's band (0.5 % to 99.5 %) and median from training readings."""
    low, expected, high = np.quantile(readings.values, RANGE_QUANTILES, axis=0)
    return SignalRanges(low, expected, high)
