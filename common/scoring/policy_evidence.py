"""The facts about each declared signal of anomalous rows by which rules judge the rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.angles import model_positions
from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.model.level_guard import LevelGuard
from sensorwatch.common.model.signal_ranges import SignalRanges
from sensorwatch.common.policy.verdicts import RowEvidence
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.patterns import (
    FAR_DEVIATION,
    FAR_DRIFT,
    LARGE_CONDITIONAL,
    LARGE_OFFSET,
    STUCK_NATS,
)
from sensorwatch.common.scoring.recall import RecalledRows
from sensorwatch.common.scoring.residuals import Residuals, repeat_allowance
from sensorwatch.common.scoring.score_combination import DRIFT_SCALE
from sensorwatch.common.scoring.sensor_level import undo_compression


@dataclass(frozen=True, slots=True)
class RuleInputs:
    """The values of n rows from which the evidence for rules is computed."""

    schema: Schema
    readings: Readings
    """The readings as the model sees them."""
    recalled: RecalledRows
    residuals: Residuals | None
    """None with the plain plan."""
    drift: NDArray[np.float64]
    forecast: Forecast | None
    guard: LevelGuard | None
    ranges: SignalRanges


def row_evidence(inputs: RuleInputs, rows: NDArray[np.int64]) -> RowEvidence:
    """Return the evidence of k rows. `rows`: shape (k,), positions of anomalous rows."""
    schema = inputs.schema
    strength, level, is_stuck = _strengths(inputs, rows)
    actual = inputs.readings.values[rows]
    expected = _expectations(inputs, rows)
    model_position = np.asarray(model_positions(schema.signals), dtype=np.int64)
    is_angle = np.asarray([signal.wrap is not None for signal in schema.signals])
    declared_strength = strength[:, model_position]
    if is_angle.any():
        cosine = strength[:, model_position + is_angle]
        is_larger = np.abs(cosine) > np.abs(declared_strength)
        declared_strength = np.where(is_larger, cosine, declared_strength)
    return RowEvidence(
        declared_strength,
        level[:, model_position],
        is_stuck[:, model_position] | is_angle,
        (actual - expected)[:, :, model_position],
        expected[:, :, model_position],
    )


def _strengths(
    inputs: RuleInputs, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return for each of the model's signals (k, signals) strength, level, and whether it is stuck.

    With memory, the strengths are those from which `row_changes` finds the changes of a row.
    """
    recalled, residuals, forecast = inputs.recalled, inputs.residuals, inputs.forecast
    signals = inputs.readings.values.shape[1]
    if residuals is None or forecast is None:
        ranges, values = inputs.ranges, inputs.readings.values[rows]
        half_band = np.maximum((ranges.high - ranges.low) / 2.0, np.finfo(np.float64).tiny)
        middle = (ranges.high + ranges.low) / 2.0
        strength = (values - middle) / half_band
        return strength, strength, np.zeros((len(rows), signals), dtype=np.bool_)
    is_watched = recalled.offset.shape[1] > 0
    offset = recalled.offset if is_watched else recalled.standardised[:, :signals]
    allowance = repeat_allowance.py_func(forecast.repeat_nats)  # an inlined kernel
    rarity = recalled.repeats[rows] * forecast.repeat_nats - allowance
    stuck_strength = rarity / STUCK_NATS
    level = offset[rows] / LARGE_OFFSET
    if is_watched:
        level = _larger_in_size(level, recalled.deviation[rows] / FAR_DEVIATION)
    # If one signal is far from its level, the forecast of the other signals is wrong, too. So
    # residuals count only if every signal is near its level.
    has_far_or_stuck_signal = ((np.abs(level) > 1.0) | (stuck_strength > 1.0)).any(
        axis=1, keepdims=True
    )
    by_residual = _larger_in_size(
        residuals.conditional[rows] / LARGE_CONDITIONAL,
        DRIFT_SCALE * inputs.drift[rows] / FAR_DRIFT,
    )
    strength = np.where(has_far_or_stuck_signal, level, _larger_in_size(level, by_residual))
    is_stuck = (stuck_strength > 1.0) & (stuck_strength > np.abs(strength))
    return np.where(is_stuck, stuck_strength, strength), level, is_stuck


def _larger_in_size(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.abs(first) >= np.abs(second), first, second)


def _expectations(inputs: RuleInputs, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the forecast and the usual level of each signal, (2, k, signals), in its unit."""
    recalled, guard, signals = inputs.recalled, inputs.guard, inputs.readings.values.shape[1]
    if inputs.residuals is None:
        return np.broadcast_to(inputs.ranges.expected, (2, len(rows), signals))
    location, scale = recalled.location[rows, :signals], recalled.scale[rows, :signals]
    forecast = location + scale * undo_compression(inputs.residuals.expected[rows])
    if guard is None or recalled.reference.shape[1] == 0:
        return np.stack([forecast, forecast])
    season = guard.season.at(recalled.event_time[rows])
    return np.stack([forecast, recalled.reference[rows] + scale * season])
