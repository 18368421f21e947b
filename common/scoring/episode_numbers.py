"""The number of each anomalous row in its episode, before the episodes are tracked."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import IntColumn
from sensorwatch.common.scoring.recall import RecalledRows
from sensorwatch.common.scoring.status import STATUSES, Status

_LATE = STATUSES.index(Status.LATE)


def episode_row_numbers(
    recalled: RecalledRows, is_anomaly: NDArray[np.bool_], memory: Memory
) -> NDArray[np.int64]:
    """Return the number (n,) of each row in its episode, 0 for a normal row.

    The numbers equal `Episodes.rows`, which do not depend on the policy. `memory` is not changed.
    """
    numbers = np.zeros(len(is_anomaly), dtype=np.int64)
    _number_rows(
        recalled.slots,
        recalled.new_sensor_level,
        recalled.status >= _LATE,
        recalled.gap,
        is_anomaly,
        memory.ints[:, IntColumn.EPISODE_ROWS].copy(),
        numbers,
    )
    return numbers


@kernel
def _number_rows(  # type: ignore[no-untyped-def]
    slots, new_sensor_level, is_out_of_order, gap, is_anomaly, open_rows, numbers
):
    """Write the numbers; `open_rows`: rows of each slot's open episode, changed in place."""
    for row in range(len(is_anomaly)):
        slot = slots[row]
        if new_sensor_level[row] >= 0:
            open_rows[slot] = 0
        if is_out_of_order[row]:
            numbers[row] = 1 if is_anomaly[row] else 0
            continue
        if gap[row] or not is_anomaly[row]:
            open_rows[slot] = 0
        if is_anomaly[row]:
            open_rows[slot] += 1
            numbers[row] = open_rows[slot]
