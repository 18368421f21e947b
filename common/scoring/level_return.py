"""The location of a signal that was away from its reference level, and has returned."""

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.scoring.memory_layout import FloatColumn

AWAY_FROM_SCALES = 2.0
"""A signal is away if its smoothed deviation is more than this number of scales."""
RETURNED_SCALES = 1.0
"""A signal that was away has returned if its smoothed deviation is less than this."""


@inlined_kernel
def undo_movement(float_row, guard, location, reference, next_reference):  # type: ignore[no-untyped-def]
    """Move the location of each signal that has returned back to where it was before.

    While a signal is away, its location follows it slowly. After the return, usual values would be
    far from this location for about as long as the signal was away, and the alarm would stay open.
    If a new level was accepted meanwhile, the location stays. Call this function after the row has
    changed locations and deviations. `guard`: see `GuardParameters`; `location`: of the columns
    before the row; `reference`, `next_reference`: shape (signals,), see `RecalledRows`.
    """
    deviations_start, movements_start = guard.deviations_start, guard.movements_start
    for signal in range(len(reference)):
        size, movement = (
            abs(float_row[deviations_start + signal]),
            float_row[movements_start + signal],
        )
        if size <= AWAY_FROM_SCALES and movement == 0.0:
            continue
        level = float_row[FloatColumn.LOCATIONS + signal]
        movement += level - location[signal]
        if next_reference[signal] != reference[signal]:
            movement = 0.0
        elif size < RETURNED_SCALES:
            distance = abs(level - reference[signal])
            if abs(level - movement - reference[signal]) < distance:
                float_row[FloatColumn.LOCATIONS + signal] = level - movement
            movement = 0.0
        float_row[movements_start + signal] = movement
