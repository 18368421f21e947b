"""What each signal of a row was, beside what it should have been: one list for events and REST."""

from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.scoring.attribution import attributions
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.recall import LINEAR
from sensorwatch.common.scoring.status import STATUSES, Status

BAND = 2.58
"""Spreads from the forecast, or scales from the location, to either end of the band: 99 % of
normally distributed residuals."""
FARTHEST = 500.0
"""A squashed value beyond would be no finite number any more."""

_SCORED = STATUSES.index(Status.SCORED)


class Direction(StrEnum):
    """Where a signal lies against its band (both ends included)."""

    LOW = "low"
    WITHIN = "within"
    HIGH = "high"


_DIRECTIONS = np.asarray([direction.value for direction in Direction], dtype=object)


# A dataclass would take three times as long to make and to write: there is one a signal and event.
class SignalReading(msgspec.Struct, frozen=True):
    """One signal of one row; its fields are those of an event's `signals`, in that order."""

    name: str
    actual: float
    expected: float
    """The forecast; without memory the sensor's location, of a plain model the training median."""
    expected_low: float
    """About 99 % of clean rows lie from here ..."""
    expected_high: float
    """... to here."""
    direction: str
    """A Direction's value: of a member the encoder would have to ask for it each time."""
    attribution: float
    """The signal's share of what is strange about the row, 0 to 1."""
    held: bool
    """Whether the value was missing, so that the last one was held."""


def signals_of_rows(
    detector: Detector, outcome: Outcome, rows: NDArray[np.int64]
) -> list[list[SignalReading]]:
    """Describe rows, each with its signals from the highest attribution to the lowest.

    `rows`: positions among the outcome's readings.
    """
    if len(rows) == 0:
        return []
    names = np.asarray(detector.schema.signal_names, dtype=object)
    signals = len(names)
    shares = attributions(detector, outcome, rows)
    orders = np.argsort(-shares, axis=1, kind="stable")
    actual = outcome.readings.values[rows]
    expected, low, high = _expected(detector, outcome, rows)
    columns = [
        actual,
        expected,
        low,
        high,
        _DIRECTIONS[1 - (actual < low) + (actual > high)],
        shares,
        outcome.detections.evidence.held[rows, :signals],
    ]
    lines = np.arange(len(rows))[:, np.newaxis]
    ordered = [names[orders], *(column[lines, orders] for column in columns)]
    # One list a column, not a row: cutting rows apart took longer than all that is computed here.
    made = list(map(SignalReading, *(column.ravel().tolist() for column in ordered)))
    return [made[first : first + signals] for first in range(0, len(made), signals)]


def _expected(
    detector: Detector, outcome: Outcome, rows: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Return what was expected, then the band's lower and upper end, each (len(rows), signals)."""
    if detector.forecast is None:
        ranges, shape = detector.ranges, (len(rows), len(detector.schema.signals))
        ends = (ranges.expected, ranges.low, ranges.high)
        return [np.broadcast_to(end, shape) for end in ends]
    return _forecast(detector, detector.forecast, outcome, rows)


def _forecast(
    detector: Detector, forecast: Forecast, outcome: Outcome, rows: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Turn the forecast back into the signals' units, never beyond what the schema allows."""
    evidence, signals = outcome.detections.evidence, len(forecast.spread)
    location, scale = evidence.location[rows, :signals], evidence.scale[rows, :signals]
    scored = outcome.detections.status[rows, np.newaxis] == _SCORED
    reach = BAND * np.where(scored, forecast.spread, 1.0)
    expected = evidence.expected[rows]
    least, most = np.transpose([signal.bounds for signal in detector.schema.signals])
    return [
        np.clip(location + scale * _unsquash(end), least, most)
        for end in (expected, expected - reach, expected + reach)
    ]


# Compiled, because a vectorised exponential may round the last rows otherwise than the first.
@kernel
def _unsquash(squashed):  # type: ignore[no-untyped-def]
    """Undo `squash`, value by value."""
    found = squashed.copy()
    for row in range(found.shape[0]):
        for signal in range(found.shape[1]):
            size = min(abs(squashed[row, signal]), FARTHEST)
            if size > LINEAR:
                far = np.exp(size - LINEAR) + (LINEAR - 1.0)
                found[row, signal] = far if squashed[row, signal] > 0 else -far
    return found
