"""The kernel that reads the level, lagged rows and repeats of each row's sensor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.model.forecast import N_LAGS
from sensorwatch.common.model.level_guard import LevelGuard
from sensorwatch.common.model.levels import Levels
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.cadence import (
    MIN_INTERVALS,
    is_gap,
    start_cadence,
    update_cadence,
)
from sensorwatch.common.scoring.counters import (
    counter_columns,
    drop_counters,
    replace_counters_by_rates,
    start_counters,
)
from sensorwatch.common.scoring.held_values import has_no_signal, impute_missing, keep_context
from sensorwatch.common.scoring.lagged_rows import (
    count_repeats,
    push_lagged_row,
    start_lagged_rows,
)
from sensorwatch.common.scoring.level_guard import (
    GuardParameters,
    guard_parameters,
    start_guard,
    update_guard,
)
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import NO_ROW_YET, FloatColumn, IntColumn, Layout
from sensorwatch.common.scoring.sensor_level import (
    read_level,
    standardise,
    start_level,
    update_level,
)
from sensorwatch.common.scoring.status import STATUSES

_SCORED, _WARMING_UP, _GAP, _LATE, _DUPLICATE, _MISSING = range(len(STATUSES))


@dataclass(frozen=True, slots=True)
class RecalledRows:
    """For each of n rows, the values in the memory before the row changed them."""

    slots: NDArray[np.int64]
    """Shape (n,). Row of the sensor in the memory's tables."""
    event_time: NDArray[np.int64]
    """Shape (n,). Event time in microseconds UTC."""
    new_sensor_level: NDArray[np.int32]
    """Shape (n,). 0 or more if the row's sensor is new; see `SlotAssignment`."""
    evicted: dict[int, str]
    """The ids of the evicted sensors. The key is the row that needed the evicted sensor's slot."""
    status: NDArray[np.int8]
    """Shape (n,). Status of the row, as its position in STATUSES."""
    gap: NDArray[np.bool_]
    """Shape (n,). Whether the row is its sensor's first row after a gap."""
    measured: NDArray[np.float64]
    """Shape (n, columns). Values of the signals, then of the context columns. Counters are replaced
    by their rates. A missing value is replaced by that of the sensor's previous row; in a late row
    it is replaced by the location, because the memory has only newer rows."""
    imputed: NDArray[np.bool_]
    """Shape (n, columns). Whether the value was missing, or a counter had no rate."""
    location: NDArray[np.float64]
    """Shape (n, columns). Location of the sensor's level, in the column's unit."""
    scale: NDArray[np.float64]
    """Shape (n, columns). Scale of the sensor's level, in the column's unit."""
    standardised: NDArray[np.float64]
    """Shape (n, columns). `compress_outliers((measured - location) / scale)`."""
    lagged: NDArray[np.float64]
    """Shape (n, N_LAGS * columns). Standardised lagged rows, newest first; 0 for lagged rows that
    are missing."""
    repeats: NDArray[np.int64]
    """Shape (n, signals). Number of exact repeats of the signal's value, up to and including the
    row."""
    cadence: NDArray[np.float64]
    """Shape (n,). Cadence of the sensor in microseconds; 0 until it is learned from MIN_INTERVALS
    intervals."""
    deviation: NDArray[np.float64]
    """Shape (n, signals). Smoothed deviation from the reference level, including this row, divided
    by its usual size; 0 if the signal is not watched. Shape (n, 0) without a guard."""
    reference: NDArray[np.float64]
    """Shape (n, signals). Reference level in the signal's unit; shape (n, 0) without a guard."""
    next_reference: NDArray[np.float64]
    """Same shape as `reference`. Reference level after the row; it differs from `reference` if a
    level was accepted."""
    offset: NDArray[np.float64]
    """Shape (n, signals). Deviation of the value from the reference level and the season, in
    scales; 0 for a missing value. Shape (n, 0) without a guard."""
    smoothed_offset: NDArray[np.float64]
    """Shape (n, signals). Smoothed `offset`, in scales; shape (n, 0) without a guard."""
    accepts_level: NDArray[np.bool_]
    """Shape (n,). Whether a signal of the sensor gets a new reference level after the row."""


def recall(
    readings: Readings,
    levels: Levels,
    level_by_sensor: dict[str, int],
    memory: Memory,
    guard: LevelGuard | None = None,
) -> RecalledRows:
    """Return the stored values of each row's sensor; update `memory` with each row, in order.

    `level_by_sensor`: for each sensor with its own level, its row in `levels`. `guard`: None if
    levels are not watched.
    """
    layout, n = memory.layout, len(readings)
    measured = _measured_values(readings)
    imputed = np.isnan(measured)
    shape = (n, layout.columns)
    recalled = RecalledRows(
        slots=np.empty(n, dtype=np.int64),
        event_time=readings.event_time,
        new_sensor_level=np.empty(n, dtype=np.int32),
        evicted={},
        status=np.empty(n, dtype=np.int8),
        gap=np.zeros(n, dtype=np.bool_),
        measured=measured,
        imputed=imputed,
        location=np.empty(shape),
        scale=np.empty(shape),
        standardised=np.empty(shape),
        lagged=np.zeros((n, N_LAGS * layout.columns)),
        repeats=np.zeros((n, len(layout.signals)), dtype=np.int64),
        cadence=np.empty(n),
        deviation=np.zeros((n, len(layout.signals) if guard else 0)),
        reference=np.zeros((n, len(layout.signals) if guard else 0)),
        next_reference=np.zeros((n, len(layout.signals) if guard else 0)),
        offset=np.zeros((n, len(layout.signals) if guard else 0)),
        smoothed_offset=np.zeros((n, len(layout.signals) if guard else 0)),
        accepts_level=np.zeros(n, dtype=np.bool_),
    )
    parameters = guard_parameters(guard, layout)
    phases = guard.season.phases(readings.event_time) if guard else np.zeros(n, dtype=np.int64)
    for assignment in memory.assign_slots(readings, level_by_sensor):
        recalled.slots[assignment.rows], recalled.new_sensor_level[assignment.rows] = (
            assignment.slots,
            assignment.new_sensor_level,
        )
        recalled.evicted.update(assignment.evicted)
        _recall_row_range(recalled, assignment.rows, levels, parameters, phases, memory)
    return recalled


def _measured_values(readings: Readings) -> NDArray[np.float64]:
    if readings.context.shape[1] == 0:
        return readings.values.copy()
    return np.concatenate([readings.values, readings.context], axis=1)


def _recall_row_range(
    recalled: RecalledRows,
    rows: slice,
    levels: Levels,
    guard: GuardParameters,
    phases: NDArray[np.int64],
    memory: Memory,
) -> None:
    layout = memory.layout
    memory.clock = _recall_rows(
        memory.floats,
        memory.ints,
        _column_starts(layout),
        memory.clock,
        levels.location,
        levels.scale,
        levels.cadence,
        levels.gap_factor,
        levels.min_scale,
        layout.min_rows,
        levels.max_gap,
        N_LAGS if layout.min_rows else 0,
        counter_columns(layout),
        guard,
        recalled.slots[rows],
        recalled.new_sensor_level[rows],
        recalled.event_time[rows],
        phases[rows],
        recalled.imputed[rows],
        recalled.status[rows],
        recalled.gap[rows],
        recalled.measured[rows],
        recalled.location[rows],
        recalled.scale[rows],
        recalled.standardised[rows],
        recalled.lagged[rows],
        recalled.repeats[rows],
        recalled.cadence[rows],
        recalled.deviation[rows],
        recalled.reference[rows],
        recalled.next_reference[rows],
        recalled.offset[rows],
        recalled.smoothed_offset[rows],
        recalled.accepts_level[rows],
    )


def _column_starts(layout: Layout) -> tuple[int, int, int]:
    return layout.scales_start, layout.lags_start, len(layout.signals)


# The kernel processes row by row in a fixed order. So the bits of the results do not depend on the
# boundaries of micro-batches.
@kernel
def _recall_rows(  # type: ignore[no-untyped-def]
    floats, ints, column_starts, clock, level_location, level_scale, level_cadence,
    level_gap_factor, min_scale, min_rows, max_gap, required_lags, counters, guard,
    slots, new_sensor_level, event_time, phases, imputed, statuses, gaps, measured, location, scale,
    standardised, lagged, repeats, cadence, deviation, reference, next_reference, offset,
    smoothed_offset, accepts_level,
):  # fmt: skip
    for row in range(len(slots)):
        float_state, int_state = floats[slots[row]], ints[slots[row]]
        if new_sensor_level[row] >= 0:
            start_lagged_rows(float_state, int_state, column_starts)
            start_level(float_state, int_state, column_starts[0], new_sensor_level[row],
                        level_location, level_scale, min_rows)  # fmt: skip
            start_cadence(float_state, int_state, new_sensor_level[row], level_cadence,
                           level_gap_factor)  # fmt: skip
            start_counters(int_state, counters)
            start_guard(float_state, int_state, guard, new_sensor_level[row],
                        new_sensor_level[row] > 0 or min_rows == 0)  # fmt: skip
        status = _row_status(
            float_state, int_state, event_time[row], min_rows, max_gap, required_lags
        )
        is_newer = status < _LATE
        if has_no_signal(imputed[row], column_starts[2]):
            status = _MISSING
        gaps[row] = status == _GAP
        if status == _GAP:
            int_state[IntColumn.LAG_COUNT] = 0
            int_state[IntColumn.REPEATS_START : IntColumn.REPEATS_START + column_starts[2]] = 0
            start_counters(int_state, counters)
        if status < _LATE:
            replace_counters_by_rates(
                float_state, int_state, counters, event_time[row], measured[row], imputed[row]
            )
        else:
            drop_counters(counters, imputed[row])
        read_level(float_state, int_state, column_starts, level_location, level_scale, min_rows,
                    location[row], scale[row])  # fmt: skip
        impute_missing(
            float_state, int_state, column_starts, imputed[row], location[row], status == _LATE,
            measured[row],
        )  # fmt: skip
        if status == _MISSING and is_newer:
            keep_context(float_state, column_starts, imputed[row], measured[row])
        standardise(float_state, int_state, column_starts, measured[row], location[row], scale[row],
                     standardised[row], lagged[row])  # fmt: skip
        statuses[row] = status
        if status < _LATE:
            count_repeats(
                float_state, int_state, column_starts, imputed[row], measured[row], repeats[row]
            )
            if deviation.shape[1] > 0:
                accepts_level[row] = update_guard(
                    float_state, int_state, guard, column_starts,
                    int_state[IntColumn.LEVEL_ROWS] >= min_rows, phases[row], imputed[row],
                    measured[row], deviation[row], reference[row],
                    next_reference[row],
                    offset[row], smoothed_offset[row],
                )  # fmt: skip
            update_level(
                float_state, int_state, column_starts[0], measured[row], min_scale, min_rows,
                guard.away_rows_start, deviation.shape[1],
            )  # fmt: skip
            push_lagged_row(float_state, int_state, column_starts[1], measured[row])
            clock += 1
            if int_state[IntColumn.NEWEST_TIME] != NO_ROW_YET:
                interval = event_time[row] - int_state[IntColumn.NEWEST_TIME]
                update_cadence(float_state, int_state, interval)
            int_state[IntColumn.NEWEST_TIME] = event_time[row]
            int_state[IntColumn.LAST_USED] = clock
        is_learned = int_state[IntColumn.CADENCE_INTERVALS] >= MIN_INTERVALS
        cadence[row] = float_state[FloatColumn.CADENCE] if is_learned else 0.0
    return clock


@inlined_kernel
def _row_status(float_state, int_state, event_time, min_rows, max_gap, required_lags):  # type: ignore[no-untyped-def]
    newest_time = int_state[IntColumn.NEWEST_TIME]
    if newest_time != NO_ROW_YET:
        if event_time < newest_time:
            return _LATE
        if event_time == newest_time:
            return _DUPLICATE
        if is_gap(float_state, int_state, event_time - newest_time, max_gap):
            return _GAP
    if int_state[IntColumn.LEVEL_ROWS] < min_rows or int_state[IntColumn.LAG_COUNT] < required_lags:
        return _WARMING_UP
    return _SCORED
