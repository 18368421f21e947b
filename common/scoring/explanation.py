"""The explanation of a row: each signal's value, expectation and attribution."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.angles import has_angles
from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.model.level_guard import LevelGuard
from sensorwatch.common.row_executor import RowExecutor, run_serially
from sensorwatch.common.scoring.angle_explanation import (
    Explanation,
    explain_angles,
    on_first_turn,
)
from sensorwatch.common.scoring.attribution import attribute_rows, is_decided_by_guard
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.patterns import PATTERNS, Pattern
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.sensor_level import undo_compression
from sensorwatch.common.scoring.status import STATUSES, Status

BAND_SPREADS = 2.58
"""Half the width of the expected band. The band contains 99 % of normally distributed residuals.

The unit of this number is the forecast's spread; for a row without memory, the sensor's scale.
"""
MIN_REST_VARIANCE = 0.04
"""Lower limit of the variance that remains of a signal after its season is subtracted, in squared
scales."""

_IS_LEVEL_PATTERN = np.asarray(
    [pattern in {Pattern.LEVEL_SHIFT, Pattern.DRIFT} for pattern in PATTERNS]
)
_SCORED = STATUSES.index(Status.SCORED)


class Direction(StrEnum):
    """Whether a value is below, within or above its expected band. The band includes both ends."""

    LOW = "low"
    WITHIN = "within"
    HIGH = "high"


DIRECTIONS = tuple(Direction)
"""Positions in this tuple are the numbers of `RankedSignals.direction`."""
_DIRECTION_TEXTS = np.asarray([direction.value for direction in DIRECTIONS], dtype=object)


# This class is not a dataclass, because every event contains several signal readings, and a
# dataclass takes three times as long to build and encode.
class SignalReading(msgspec.Struct, frozen=True):
    """One signal of one row; its fields are those of an event's `signals`, in the same order."""

    name: str
    actual: float
    """The signal's value, imputed if it was missing; the rate of a counter."""
    expected: float
    """The forecast of the value. For a row without memory, it is the sensor's location.

    With the plain plan, this is the signal's median in training.
    """
    expected_low: float
    """Lower end of the band that contains about 99 % of clean rows.

    For an angle, this is above `expected_high` if the band contains the angle 0.
    """
    expected_high: float
    """Upper end of the band that contains about 99 % of clean rows."""
    direction: str
    """The value of a Direction as plain text, because encoders write texts faster than enum
    members."""
    attribution: float
    """The signal's share of the row's score, 0 to 1."""
    held: bool
    """Whether the value was missing and was imputed."""


@dataclass(frozen=True, slots=True)
class RankedSignals:
    """The signals of n rows, from the highest attribution to the lowest.

    Each array has shape (n, signals); `SignalReading` describes the values.
    """

    signal: NDArray[np.int64]
    """Position of the signal in the schema."""
    actual: NDArray[np.float64]
    expected: NDArray[np.float64]
    expected_low: NDArray[np.float64]
    expected_high: NDArray[np.float64]
    direction: NDArray[np.int64]
    """Position of the direction in DIRECTIONS."""
    attribution: NDArray[np.float64]
    held: NDArray[np.bool_]


def rank_signals(
    detector: Detector,
    outcome: Outcome,
    rows: NDArray[np.int64],
    *,
    row_executor: RowExecutor = run_serially,
) -> RankedSignals:
    """Return the signals of each row, ordered by attribution.

    `rows`: positions of the rows in the outcome's readings. `row_executor`: runs the attribution.
    """
    schema = detector.schema
    shares = attribute_rows(detector, outcome, rows, row_executor=row_executor)
    expected, low, high = expected_and_band(detector, outcome, rows)
    held = outcome.detections.evidence.imputed[rows, : shares.shape[1]]
    explanation = Explanation(outcome.readings.values[rows], expected, low, high, shares, held)
    if has_angles(schema):
        explanation = explain_angles(explanation, schema.signals)
    directions = _directions(explanation)
    if has_angles(schema):
        explanation = on_first_turn(explanation, schema.signals)
    order = np.argsort(-explanation.shares, axis=1, kind="stable")
    row_index = np.arange(len(rows))[:, np.newaxis]
    return RankedSignals(
        signal=order,
        actual=explanation.actual[row_index, order],
        expected=explanation.expected[row_index, order],
        expected_low=explanation.low[row_index, order],
        expected_high=explanation.high[row_index, order],
        direction=directions[row_index, order],
        attribution=explanation.shares[row_index, order],
        held=explanation.held[row_index, order],
    )


def explain_rows(
    detector: Detector, outcome: Outcome, rows: NDArray[np.int64]
) -> list[list[SignalReading]]:
    """Return the signal readings of each row, from the highest attribution to the lowest.

    `rows`: positions of the rows in the outcome's readings.
    """
    if len(rows) == 0:
        return []
    return signal_readings(detector, rank_signals(detector, outcome, rows))


def signal_readings(detector: Detector, ranked: RankedSignals) -> list[list[SignalReading]]:
    """Return the ranked signals of n rows as one list of readings for each row."""
    names = np.asarray(detector.schema.signal_names, dtype=object)
    columns = [
        names[ranked.signal],
        ranked.actual,
        ranked.expected,
        ranked.expected_low,
        ranked.expected_high,
        _DIRECTION_TEXTS[ranked.direction],
        ranked.attribution,
        ranked.held,
    ]
    # All signal readings are built from flat columns, because building them row by row took longer
    # than all other steps together.
    readings = list(map(SignalReading, *(column.ravel().tolist() for column in columns)))
    signals = len(names)
    return [
        readings[first_reading : first_reading + signals]
        for first_reading in range(0, len(readings), signals)
    ]


def _directions(explanation: Explanation) -> NDArray[np.int64]:
    """Return the position in DIRECTIONS of each value's direction."""
    is_low = explanation.actual < explanation.low
    is_high = explanation.actual > explanation.high
    return 1 - is_low.astype(np.int64) + is_high


def expected_and_band(
    detector: Detector, outcome: Outcome, rows: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Return expected values and the bands' lower and upper ends, each (len(rows), signals).

    `rows`: positions of the rows in the outcome's readings. `signals` are those of the model.
    """
    if detector.forecast is None:
        ranges, shape = detector.ranges, (len(rows), len(detector.model_schema.signals))
        band_columns = (ranges.expected, ranges.low, ranges.high)
        return [np.broadcast_to(band_column, shape) for band_column in band_columns]
    return _forecast_and_band(detector, detector.forecast, outcome, rows)


def _forecast_and_band(
    detector: Detector, forecast: Forecast, outcome: Outcome, rows: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Convert forecasts and bands to the signals' units; clip them to the schema's bounds."""
    evidence, signals = outcome.detections.evidence, len(forecast.spread)
    location, scale = evidence.location[rows, :signals], evidence.scale[rows, :signals]
    is_scored = outcome.detections.status[rows, np.newaxis] == _SCORED
    half_band = BAND_SPREADS * np.where(is_scored, forecast.spread, 1.0)
    expected = evidence.expected[rows]
    ends = [
        location + scale * undo_compression(compressed_values)
        for compressed_values in (expected, expected - half_band, expected + half_band)
    ]
    if detector.guard is not None:
        shows_level = shows_reference(detector, outcome, rows)[:, np.newaxis]
        level_band = _reference_band(detector.guard, outcome, rows)
        ends = [
            np.where(shows_level, level_end, end)
            for level_end, end in zip(level_band, ends, strict=True)
        ]
    lower_bounds, upper_bounds = np.transpose(
        [signal.bounds for signal in detector.model_schema.signals]
    )
    return [np.clip(end, lower_bounds, upper_bounds) for end in ends]


def shows_reference(
    detector: Detector, outcome: Outcome, rows: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return, for each row, whether its expected band is around the reference level.

    This is the case if a level has moved, or if the row's score comes from the level guard. The
    reason: the forecast follows a long fault, but the reference level does not.
    """
    has_moved = _IS_LEVEL_PATTERN[outcome.detections.pattern[rows]]
    return has_moved | is_decided_by_guard(detector, outcome, rows)


def _reference_band(
    guard: LevelGuard, outcome: Outcome, rows: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Return the usual values of rows and the ends of their bands, in the signals' units."""
    evidence, signals = outcome.detections.evidence, len(guard.spread)
    scale = evidence.scale[rows, :signals]
    season = guard.season.at(outcome.readings.event_time[rows])
    expected = evidence.reference[rows] + scale * season
    # The scale includes the variation of the season. The band describes only the other variation.
    share_of_spread = np.sqrt(np.maximum(1.0 - guard.season.profile.var(axis=1), MIN_REST_VARIANCE))
    half_band = BAND_SPREADS * scale * share_of_spread
    return [expected, expected - half_band, expected + half_band]
