"""What each signal of a row was, beside what it was in training: one list for events and REST."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from common.detection.detector import Detector


class Direction(StrEnum):
    """Where a signal lies against the band it kept to in training (both ends included)."""

    LOW = "low"
    WITHIN = "within"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class SignalReading:
    """One signal of one row; its fields are those of an event's `signals`, in that order."""

    name: str
    actual: float
    expected: float
    """The median in training."""
    expected_low: float
    """99 % of the training rows lay from here ..."""
    expected_high: float
    """... to here."""
    direction: Direction


def signals_of_rows(detector: Detector, values: NDArray[np.float64]) -> list[list[SignalReading]]:
    """Describe the values (n, signals) of n rows, each in the schema's order."""
    names, ranges = detector.schema.signal_names, detector.ranges
    bands = [ranges.expected.tolist(), ranges.low.tolist(), ranges.high.tolist()]
    return [
        [
            SignalReading(name, actual, expected, low, high, _direction(actual, low, high))
            for name, actual, expected, low, high in zip(names, row, *bands, strict=True)
        ]
        for row in values.tolist()
    ]


def _direction(actual: float, low: float, high: float) -> Direction:
    if actual < low:
        return Direction.LOW
    return Direction.HIGH if actual > high else Direction.WITHIN
