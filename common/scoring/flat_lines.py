"""Flat lines: signals that repeat their value for longer than chance explains."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import IntColumn
from sensorwatch.common.scoring.patterns import STUCK_NATS
from sensorwatch.common.scoring.residuals import repeat_allowance


def flat_rows(memory: Memory, forecast: Forecast | None) -> NDArray[np.int64]:
    """Return the repeats of each signal's last value (sensors, signals); 0 if they are usual.

    Repeats are unusual if their rarity would give an anomalous row the pattern `stuck`. Without a
    forecast, no repeats are unusual.
    """
    signals = len(memory.layout.signals)
    columns = slice(IntColumn.REPEATS_START, IntColumn.REPEATS_START + signals)
    repeats = memory.ints[: memory.sensors, columns]
    if forecast is None:
        return np.zeros_like(repeats)
    allowance = repeat_allowance.py_func(forecast.repeat_nats)  # an inlined kernel
    is_flat = repeats * forecast.repeat_nats - allowance > STUCK_NATS
    return np.where(is_flat, repeats, 0)
