"""What each signal of a row was, beside what it should have been: one list for events and REST."""

from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.scoring.attribution import attribute_rows
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.recall import LINEAR_SCALES
from sensorwatch.common.scoring.status import STATUSES, Status

BAND_SPREADS = 2.58
"""Spreads from the forecast, or scales from the location, to either end of the band: 99 % of
normally distributed residuals."""
MAX_SQUASHED = 500.0
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


def explain_rows(
    detector: Detector, outcome: Outcome, rows: NDArray[np.int64]
) -> list[list[SignalReading]]:
    """Describe rows, each with its signals from the highest attribution to the lowest.

    `rows`: positions among the outcome's readings.
    """
    if len(rows) == 0:
        return []
    names = np.asarray(detector.schema.signal_names, dtype=object)
    signals = len(names)
    shares = attribute_rows(detector, outcome, rows)
    orders = np.argsort(-shares, axis=1, kind="stable")
    actual = outcome.readings.values[rows]
    expected, low, high = _expected_and_band(detector, outcome, rows)
    columns = [
        actual,
        expected,
        low,
        high,
        _DIRECTIONS[1 - (actual < low) + (actual > high)],
        shares,
        outcome.detections.evidence.imputed[rows, :signals],
    ]
    row_index = np.arange(len(rows))[:, np.newaxis]
    ordered = [names[orders], *(column[row_index, orders] for column in columns)]
    # One list a column, not a row: cutting rows apart took longer than all that is computed here.
    signal_readings = list(map(SignalReading, *(column.ravel().tolist() for column in ordered)))
    return [
        signal_readings[first : first + signals]
        for first in range(0, len(signal_readings), signals)
    ]


def _expected_and_band(
    detector: Detector, outcome: Outcome, rows: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Return what was expected, then the band's lower and upper end, each (len(rows), signals)."""
    if detector.forecast is None:
        ranges, shape = detector.ranges, (len(rows), len(detector.schema.signals))
        band_columns = (ranges.expected, ranges.low, ranges.high)
        return [np.broadcast_to(end, shape) for end in band_columns]
    return _forecast_and_band(detector, detector.forecast, outcome, rows)


def _forecast_and_band(
    detector: Detector, forecast: Forecast, outcome: Outcome, rows: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Turn the forecast back into the signals' units, never beyond what the schema allows."""
    evidence, signals = outcome.detections.evidence, len(forecast.spread)
    location, scale = evidence.location[rows, :signals], evidence.scale[rows, :signals]
    scored = outcome.detections.status[rows, np.newaxis] == _SCORED
    half_band = BAND_SPREADS * np.where(scored, forecast.spread, 1.0)
    expected = evidence.expected[rows]
    lower_bounds, upper_bounds = np.transpose([signal.bounds for signal in detector.schema.signals])
    return [
        np.clip(location + scale * _unsquash(end), lower_bounds, upper_bounds)
        for end in (expected, expected - half_band, expected + half_band)
    ]


# Compiled, because a vectorised exponential may round the last rows otherwise than the first.
@kernel
def _unsquash(squashed):  # type: ignore[no-untyped-def]
    """Undo `squash`, value by value."""
    unsquashed = squashed.copy()
    for row in range(unsquashed.shape[0]):
        for signal in range(unsquashed.shape[1]):
            magnitude = min(abs(squashed[row, signal]), MAX_SQUASHED)
            if magnitude > LINEAR_SCALES:
                expanded = np.exp(magnitude - LINEAR_SCALES) + (LINEAR_SCALES - 1.0)
                unsquashed[row, signal] = expanded if squashed[row, signal] > 0 else -expanded
    return unsquashed
