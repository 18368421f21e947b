"""Each sensor's own tail: how high the scores of this sensor usually are."""

import numpy as np

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.scoring.memory_layout import (
    CLEAN_TAIL_START,
    SENSOR_TAIL_SHARE,
    FloatColumn,
)

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

_CLIPPED_MEAN_EXCESS = 1.0 - float(np.exp(-SENSOR_TAIL_CLIP))


@inlined_kernel
def relative_to_sensor_tail(float_row, score):  # type: ignore[no-untyped-def]
    """Convert a score to the scale of clean rows by the sensor's own tail.

    If a sensor often has high scores, its rows need a higher score for the same result.
    """
    start = float_row[FloatColumn.TAIL_START]
    if score > start:
        return CLEAN_TAIL_START + (score - start) / float_row[FloatColumn.TAIL_SCALE]
    return score * CLEAN_TAIL_START / start


@inlined_kernel
def adapt_sensor_tail(float_row, score, weight):  # type: ignore[no-untyped-def]
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
