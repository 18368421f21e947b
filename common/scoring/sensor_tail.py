"""Each sensor's own tail: the distribution of the highest scores that are usual for this sensor."""

import numpy as np

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.scoring.memory_layout import (
    CLEAN_TAIL_START,
    SENSOR_TAIL_SHARE,
    FloatColumn,
    IntColumn,
)

SENSOR_TAIL_ROWS = 1000.0
"""Time constant, in rows, of a sensor's own tail. This time constant equals that of the sensor's
location."""
ALARM_ROW_WEIGHT = 0.1
"""Weight of a row inside an alarm when it updates the sensor's own tail; other rows have weight 1.

The weight is small, because the tail should describe rows without a fault.
"""
SENSOR_TAIL_SCALE_RANGE = (1.0, 4.0)
"""Smallest and largest scale of a sensor's own tail, in nats.

The tail of clean rows has the scale 1. A smaller scale would raise the scores of the sensor's rare
rows, although a tail of some 50 excesses does not show how rare they are.
"""
SENSOR_TAIL_CLIP = 3.0
"""Limit, in tail scales, at which an excess is clipped before it changes the scale of a sensor's
own tail."""
MIN_TAIL_START_SHARE = 0.3
"""Smallest start of a sensor's own tail, as a share of CLEAN_TAIL_START."""

MIN_SCALE_PER_ALARM_SCORE = 0.5
"""Smallest scale of the tail after an alarm was accepted, as a share of the alarm's smoothed
score."""
_CLIPPED_MEAN_EXCESS = 1.0 - float(np.exp(-SENSOR_TAIL_CLIP))


LEVEL_WAIT_ROWS = 100
"""Largest number of rows that the level guard needs to detect that a signal has left its level."""
ALARM_SMOOTHING = 0.01
"""Weight of the newest row in the smoothed score of an alarm."""


@inlined_kernel
def accept_scores(  # type: ignore[no-untyped-def]
    float_state, int_state, score, in_alarm, accepts_level, accept_after_rows
):  # fmt: skip
    """Count the rows of an alarm; if the alarm lasts very long, accept its scores as usual.

    The scores are accepted after `accept_after_rows` + LEVEL_WAIT_ROWS rows, so that a new level is
    accepted before them. The sensor's own tail then begins at the smoothed score of the alarm.
    `accepts_level`: whether a new level is accepted at this row; if so, the count starts again.
    Return whether the scores are accepted at this row.
    """
    if accepts_level or not in_alarm:
        int_state[IntColumn.ALARM_ROWS] = 0
        return False
    rows = int_state[IntColumn.ALARM_ROWS] + 1
    weight = max(1.0 / rows, ALARM_SMOOTHING)
    mean = float_state[FloatColumn.ALARM_MEAN_SCORE] if rows > 1 else 0.0
    mean += weight * (score - mean)
    float_state[FloatColumn.ALARM_MEAN_SCORE] = mean
    is_accepted = rows >= accept_after_rows + LEVEL_WAIT_ROWS
    if is_accepted and mean > float_state[FloatColumn.TAIL_START]:
        float_state[FloatColumn.TAIL_START] = mean
        float_state[FloatColumn.TAIL_SCALE] = max(
            float_state[FloatColumn.TAIL_SCALE], MIN_SCALE_PER_ALARM_SCORE * mean
        )
    int_state[IntColumn.ALARM_ROWS] = 0 if is_accepted else rows
    return is_accepted


@inlined_kernel
def relative_to_sensor_tail(float_state, score):  # type: ignore[no-untyped-def]
    """Convert a score to the scale of clean rows by the sensor's own tail.

    The result is lower for a sensor that often has high scores.
    """
    start = float_state[FloatColumn.TAIL_START]
    if score > start:
        return CLEAN_TAIL_START + (score - start) / float_state[FloatColumn.TAIL_SCALE]
    return score * CLEAN_TAIL_START / start


@inlined_kernel
def adapt_sensor_tail(float_state, score, weight):  # type: ignore[no-untyped-def]
    """Update a sensor's own tail by one row.

    The start moves towards a quantile of the scores, and the scale towards the mean excess.
    """
    start, scale = float_state[FloatColumn.TAIL_START], float_state[FloatColumn.TAIL_SCALE]
    step = weight / (SENSOR_TAIL_ROWS * SENSOR_TAIL_SHARE)
    if score > start:
        excess = min(score - start, SENSOR_TAIL_CLIP * scale)
        # Clipping an exponentially distributed excess at three scales reduces its mean to 95 %.
        scale += step * (excess / _CLIPPED_MEAN_EXCESS - scale)
        # After an accepted alarm, the scale can be above its range. It can then only decrease.
        largest_scale = max(SENSOR_TAIL_SCALE_RANGE[1], float_state[FloatColumn.TAIL_SCALE])
        scale = min(max(scale, SENSOR_TAIL_SCALE_RANGE[0]), largest_scale)
        start += step * scale * (1.0 - SENSOR_TAIL_SHARE)
    else:
        start -= step * scale * SENSOR_TAIL_SHARE
    float_state[FloatColumn.TAIL_START] = max(start, MIN_TAIL_START_SHARE * CLEAN_TAIL_START)
    float_state[FloatColumn.TAIL_SCALE] = scale
