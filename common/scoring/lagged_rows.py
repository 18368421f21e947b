"""The newest rows of a sensor: lagged rows, and the number of exact repeats of each signal."""

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.model.forecast import N_LAGS
from sensorwatch.common.scoring.memory_layout import NO_ROW_YET, IntColumn


@inlined_kernel
def start_lagged_rows(float_state, int_state, column_starts):  # type: ignore[no-untyped-def]
    """Reset time, lagged rows and repeats of a new sensor."""
    scales_start, lags_start, signals = column_starts
    int_state[IntColumn.NEWEST_TIME] = NO_ROW_YET
    int_state[IntColumn.LAG_COUNT] = 0
    int_state[IntColumn.REPEATS_START : IntColumn.REPEATS_START + signals] = 0
    lagged_values = N_LAGS * (lags_start - scales_start)
    float_state[lags_start : lags_start + lagged_values] = 0.0


@inlined_kernel
def count_repeats(float_state, int_state, column_starts, imputed, measured, repeats):  # type: ignore[no-untyped-def]
    """Count the exact repeats of each signal's value, and write the counts into `repeats`."""
    lags_start = column_starts[1]
    for signal in range(column_starts[2]):
        repeat_count = int_state[IntColumn.REPEATS_START + signal]
        if not imputed[signal]:  # an imputed value does not change the count
            is_repeat = (
                int_state[IntColumn.LAG_COUNT] > 0
                and measured[signal] == float_state[lags_start + signal]
            )
            repeat_count = repeat_count + 1 if is_repeat else 0
            int_state[IntColumn.REPEATS_START + signal] = repeat_count
        repeats[signal] = repeat_count


@inlined_kernel
def push_lagged_row(float_state, int_state, lags_start, measured):  # type: ignore[no-untyped-def]
    """Store a row as the newest lagged row of its sensor; the oldest one is dropped."""
    width = len(measured)
    for column in range(width):
        for lag in range(N_LAGS - 1, 0, -1):
            older_column = lags_start + lag * width + column
            float_state[older_column] = float_state[older_column - width]
        float_state[lags_start + column] = measured[column]
    int_state[IntColumn.LAG_COUNT] = min(int_state[IntColumn.LAG_COUNT] + 1, N_LAGS)
