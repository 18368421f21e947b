"""The sensors that are silent now, without those that a policy does not expect to send rows."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.policy.silence_limits import silence_limits
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import NOT_SILENT, IntColumn


def silent_slots(memory: Memory, policy: AlarmPolicy | None) -> NDArray[np.int64]:
    """Return the slots (n,) of the silent sensors.

    A sensor that the policy calls never silent is left out, even if its silence began earlier.
    """
    slots: NDArray[np.int64] = np.flatnonzero(
        memory.ints[: memory.sensors, IntColumn.SILENT_POSITION] != NOT_SILENT
    )
    if policy is None or not policy.silences or not len(slots):
        return slots
    limits = silence_limits(policy, [memory.names[slot] for slot in slots.tolist()])
    expected_slots: NDArray[np.int64] = slots[limits != 0]
    return expected_slots
