"""Clock skew: the difference of a sensor's clock from the clocks of its partition."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import NO_ROW_YET, NOT_SILENT, IntColumn

MAX_SKEW_SECONDS = 300.0
"""A sensor is skewed if its clock differs by more than this."""


def clock_skews(memory: Memory) -> NDArray[np.float64]:
    """Return how far the clock of each sensor (sensors,) is ahead of the usual clock, in seconds.

    The usual clock has the median delay (from event time to receipt) of all sensors that are not
    silent. So a replay of old rows, which delays all sensors, is not a skew. The skew is 0 for a
    silent sensor, and for a sensor without a time of receipt.
    """
    delays = memory.ints[: memory.sensors, IntColumn.CLOCK_DELAY]
    is_known = (delays != NO_ROW_YET) & (
        memory.ints[: memory.sensors, IntColumn.SILENT_POSITION] == NOT_SILENT
    )
    skews = np.zeros(memory.sensors)
    if is_known.any():
        delay_seconds = delays[is_known] / 1e6
        skews[is_known] = np.median(delay_seconds) - delay_seconds
    return skews
