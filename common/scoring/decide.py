"""The second pass over the memory: it combines the components of a row into a decision."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.model.decision import COMPONENTS, Decision, RarityTable
from sensorwatch.common.model.tails import look_up_rarity
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import (
    CLEAN_TAIL_START,
    INITIAL_SMOOTHED_SCORE,
    MAX_ROWS_SINCE_ALARM,
    SENSOR_TAIL_SHARE,
    FloatColumn,
    IntColumn,
)
from sensorwatch.common.scoring.recall import RecalledRows
from sensorwatch.common.scoring.residuals import Residuals
from sensorwatch.common.scoring.status import STATUSES, Status

SMOOTHING = 0.2
"""Weight of the newest row in the exponential smoothing of residuals and scores. The span of the
smoothing is nine rows."""
DRIFT_CLIP = 4.0
"""A whitened residual is clipped to plus or minus this value before it is smoothed."""
MAX_SCORE_IN_SMOOTHING = 12.0
"""A row's score is clipped at this value, in nats, before smoothing, so that a spike does not
prolong an alarm."""
ALARM_END_SHARE = 0.8
"""An alarm starts above the threshold and ends below this share of the threshold."""
SENSOR_TAIL_ROWS = 1000.0
"""Time constant, in rows, of a sensor's own tail. This time constant equals that of the sensor's
location."""
ALARM_ROW_WEIGHT = 0.1
"""Weight of a row inside an alarm when it updates the sensor's own tail; other rows have weight 1.

The weight is small, because the tail should describe rows without a fault.
"""
SENSOR_TAIL_SCALE_RANGE = (0.5, 20.0)
"""Smallest and largest scale of a sensor's own tail, in nats."""
SENSOR_TAIL_CLIP = 3.0
"""An excess is clipped at this number of tail scales before it changes the scale of a sensor's own
tail."""
MIN_TAIL_START_SHARE = 0.3
"""Smallest start of a sensor's own tail, as a share of CLEAN_TAIL_START."""
DRIFT_SCALE = float(np.sqrt((2.0 - SMOOTHING) / SMOOTHING))
"""1 divided by the standard deviation of a smoothed residual, if the rows are independent."""


@dataclass(frozen=True, slots=True)
class RowDecisions:
    """The scores and decisions of n rows."""

    raw_score: NDArray[np.float64]
    """Shape (n,). Combined score, in nats."""
    is_anomaly: NDArray[np.bool_]
    """Shape (n,). Whether the row is in an alarm."""
    novelty: NDArray[np.float64]
    """Shape (n,). Raw score; inside an alarm, how far the raw score exceeds the alarm's highest raw
    score so far."""
    components: NDArray[np.float64]
    """Shape (n, len(COMPONENTS)). Rarity of each component, in nats; 0 for a row without memory."""
    drift: NDArray[np.float64]
    """Shape (n, signals). Smoothed whitened residuals, including this row; 0 without memory."""
    forest_score: NDArray[np.float64]
    """Shape (n,). Raw score of the forest."""


def decide(
    decision: Decision,
    recalled: RecalledRows,
    forest_score: NDArray[np.float64],
    residuals: Residuals,
    memory: Memory,
    *,
    threshold: float,
) -> RowDecisions:
    """Return the decisions of rows; update scores and alarms in `memory`, in row order.

    `forest_score`: shape (n,), raw scores of the forest. `threshold`: score in nats above which an
    alarm starts.
    """
    n, signals = residuals.whitened.shape
    decisions = RowDecisions(
        raw_score=np.empty(n),
        is_anomaly=np.empty(n, dtype=np.bool_),
        novelty=np.empty(n),
        components=np.zeros((n, len(COMPONENTS))),
        drift=np.zeros((n, signals)),
        forest_score=forest_score,
    )
    _decide_rows(
        memory.floats,
        memory.ints,
        memory.layout.drift_start,
        decision.tables,
        decision.weights,
        threshold,
        decision.refractory_rows,
        recalled.slots,
        recalled.new_sensor_level,
        recalled.gap,
        recalled.status,
        forest_score,
        residuals.distance,
        residuals.stuck,
        residuals.whitened,
        decisions.raw_score,
        decisions.is_anomaly,
        decisions.novelty,
        decisions.components,
        decisions.drift,
    )
    return decisions


_CLIPPED_MEAN_EXCESS = 1.0 - float(np.exp(-SENSOR_TAIL_CLIP))
_SCORED, _LATE = STATUSES.index(Status.SCORED), STATUSES.index(Status.LATE)


@kernel
def _decide_rows(  # type: ignore[no-untyped-def]
    floats, ints, drift_start, tables, weights, threshold, refractory_rows, slots, new_sensor_level,
    gaps, statuses, forest_score, distance, stuck, whitened, raw_score, is_anomaly, novelty,
    components, drift,
):  # fmt: skip
    for row in range(len(slots)):
        float_row, int_row = floats[slots[row]], ints[slots[row]]
        if new_sensor_level[row] >= 0 or gaps[row]:
            float_row[FloatColumn.SMOOTHED_SCORE] = INITIAL_SMOOTHED_SCORE
            float_row[drift_start : drift_start + whitened.shape[1]] = 0.0
            int_row[IntColumn.IN_ALARM] = 0
        if new_sensor_level[row] >= 0:
            float_row[FloatColumn.TAIL_START] = CLEAN_TAIL_START
            float_row[FloatColumn.TAIL_SCALE] = 1.0
            int_row[IntColumn.ROWS_SINCE_ALARM] = MAX_ROWS_SINCE_ALARM
        if statuses[row] == _SCORED:
            score = _score_with_memory(
                float_row, drift_start, tables, weights, forest_score[row], distance[row],
                stuck[row], whitened[row], components[row], drift[row],
            )  # fmt: skip
        else:
            score = _score_without_memory(tables, forest_score[row], distance[row])
        relative_score = (
            _relative_to_sensor_tail(float_row, score) if statuses[row] == _SCORED else score
        )
        is_out_of_order = statuses[row] >= _LATE
        was_in_alarm = int_row[IntColumn.IN_ALARM] == 1 and not is_out_of_order
        starts_alarm = relative_score > threshold and (
            is_out_of_order or int_row[IntColumn.ROWS_SINCE_ALARM] >= refractory_rows
        )
        in_alarm = (was_in_alarm and relative_score >= ALARM_END_SHARE * threshold) or starts_alarm
        raw_score[row], is_anomaly[row] = relative_score, in_alarm
        novelty[row] = (
            max(relative_score - float_row[FloatColumn.ALARM_PEAK_SCORE], 0.0)
            if was_in_alarm and in_alarm
            else relative_score
        )
        if not is_out_of_order:
            float_row[FloatColumn.ALARM_PEAK_SCORE] = max(
                relative_score, float_row[FloatColumn.ALARM_PEAK_SCORE] if was_in_alarm else 0.0
            )
            int_row[IntColumn.IN_ALARM] = 1 if in_alarm else 0
            int_row[IntColumn.ROWS_SINCE_ALARM] = (
                0
                if in_alarm
                else min(int_row[IntColumn.ROWS_SINCE_ALARM] + 1, MAX_ROWS_SINCE_ALARM)
            )
        if statuses[row] == _SCORED:
            _adapt_sensor_tail(
                float_row, score, ALARM_ROW_WEIGHT if in_alarm and was_in_alarm else 1.0
            )


@inlined_kernel
def _relative_to_sensor_tail(float_row, score):  # type: ignore[no-untyped-def]
    """Convert a score to the scale of clean rows by the sensor's own tail.

    If a sensor often has high scores, its rows need a higher score for the same result.
    """
    start = float_row[FloatColumn.TAIL_START]
    if score > start:
        return CLEAN_TAIL_START + (score - start) / float_row[FloatColumn.TAIL_SCALE]
    return score * CLEAN_TAIL_START / start


@inlined_kernel
def _adapt_sensor_tail(float_row, score, weight):  # type: ignore[no-untyped-def]
    """Update the sensor's own tail: the start follows a quantile, the scale the mean excess."""
    start, scale = float_row[FloatColumn.TAIL_START], float_row[FloatColumn.TAIL_SCALE]
    step = weight / (SENSOR_TAIL_ROWS * SENSOR_TAIL_SHARE)
    if score > start:
        excess = min(score - start, SENSOR_TAIL_CLIP * scale)
        # Clipping an exponentially distributed excess at three scales reduces its mean to 95 %.
        scale += step * (excess / _CLIPPED_MEAN_EXCESS - scale)
        scale = min(max(scale, SENSOR_TAIL_SCALE_RANGE[0]), SENSOR_TAIL_SCALE_RANGE[1])
        start += step * scale * (1.0 - SENSOR_TAIL_SHARE)
    else:
        start -= step * scale * SENSOR_TAIL_SHARE
    float_row[FloatColumn.TAIL_START] = max(start, MIN_TAIL_START_SHARE * CLEAN_TAIL_START)
    float_row[FloatColumn.TAIL_SCALE] = scale


@inlined_kernel
def _score_without_memory(tables, forest_score, distance):  # type: ignore[no-untyped-def]
    total = look_up_rarity(tables[RarityTable.NO_MEMORY_FOREST], forest_score)
    total += look_up_rarity(tables[RarityTable.NO_MEMORY_DISTANCE], distance)
    return look_up_rarity(tables[RarityTable.NO_MEMORY_SUM], total)


@inlined_kernel
def _score_with_memory(  # type: ignore[no-untyped-def]
    float_row, drift_start, tables, weights, forest_score, distance, stuck, whitened, components,
    drift,
):  # fmt: skip
    components[0] = look_up_rarity(tables[RarityTable.FOREST], forest_score)
    components[1] = look_up_rarity(tables[RarityTable.DISTANCE], distance)
    components[2] = look_up_rarity(
        tables[RarityTable.DRIFT], update_drift(float_row, drift_start, whitened, drift)
    )
    components[3] = look_up_rarity(tables[RarityTable.STUCK], stuck)
    total = 0.0
    for component in range(len(components)):
        total += weights[component] * components[component]
    sum_rarity = look_up_rarity(tables[RarityTable.RARITY_SUM], total)
    float_row[FloatColumn.SMOOTHED_SCORE] = smooth_score(
        float_row[FloatColumn.SMOOTHED_SCORE], sum_rarity
    )
    smoothed_rarity = look_up_rarity(
        tables[RarityTable.SMOOTHED_SCORE], float_row[FloatColumn.SMOOTHED_SCORE]
    )
    return look_up_rarity(
        tables[RarityTable.MAX_OF_SUM_AND_SMOOTHED], max(sum_rarity, smoothed_rarity)
    )


@inlined_kernel
def smooth_score(smoothed_score, score):  # type: ignore[no-untyped-def]
    """Return the smoothed score after one more row."""
    return smoothed_score + SMOOTHING * (min(score, MAX_SCORE_IN_SMOOTHING) - smoothed_score)


@inlined_kernel
def update_drift(float_row, drift_start, whitened, drift):  # type: ignore[no-untyped-def]
    """Update the smoothed residuals by one row; return the largest in standard deviations."""
    largest_drift = 0.0
    for signal in range(len(whitened)):
        value = min(max(whitened[signal], -DRIFT_CLIP), DRIFT_CLIP)
        float_row[drift_start + signal] += SMOOTHING * (value - float_row[drift_start + signal])
        drift[signal] = float_row[drift_start + signal]
        largest_drift = max(largest_drift, abs(drift[signal]))
    return DRIFT_SCALE * largest_drift
