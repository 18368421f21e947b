"""The open episodes of a memory, by severity."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.alarm_rates import AlarmRates
from sensorwatch.common.scoring.detections import FIRST_SEVERITY, SEVERITIES
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import FloatColumn, IntColumn
from sensorwatch.common.scoring.news import SUPPRESSION_SHIFT


def open_severities(
    memory: Memory, alarm_rates: AlarmRates
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the slots (n,) of the sensors with an open episode, and its severity number (n,).

    `alarm_rates`: the rates of the model that scored the newest rows.
    """
    ints, floats = memory.ints[: memory.sensors], memory.floats[: memory.sensors]
    slots = np.flatnonzero(ints[:, IntColumn.EPISODE_ROWS] > 0)
    rates = floats[slots, FloatColumn.EPISODE_RATE]
    met_budget_counts = (rates[:, np.newaxis] <= alarm_rates.budgets).sum(axis=1)
    is_suppressed = ints[slots, IntColumn.RECENT_ALARMS] >> SUPPRESSION_SHIFT > 0
    met_budget_counts[is_suppressed] = 0
    return slots, FIRST_SEVERITY + met_budget_counts


def count_open_episodes(memory: Memory, alarm_rates: AlarmRates) -> NDArray[np.int64]:
    """Return the number of open episodes of each severity; shape (len(SEVERITIES),)."""
    return np.bincount(open_severities(memory, alarm_rates)[1], minlength=len(SEVERITIES))
