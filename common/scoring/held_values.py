"""The values that replace a row's missing values, from the sensor's memory."""

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.scoring.memory_layout import NO_ROW_YET, IntColumn


@inlined_kernel
def has_no_signal(imputed, signals):  # type: ignore[no-untyped-def]
    """Return whether all signals of a row are missing."""
    for signal in range(signals):
        if not imputed[signal]:
            return False
    return True


@inlined_kernel
def keep_context(float_state, column_starts, imputed, measured):  # type: ignore[no-untyped-def]
    """Replace the context values of a row without signals by those of the sensor's newest row."""
    lags_start, signals = column_starts[1], column_starts[2]
    for column in range(signals, len(measured)):
        if not imputed[column]:
            float_state[lags_start + column] = measured[column]


@inlined_kernel
def impute_missing(  # type: ignore[no-untyped-def]
    float_state, int_state, column_starts, imputed, location, is_late, measured
):  # fmt: skip
    """Replace missing values by those of the sensor's newest row, unless the row is late."""
    lags_start = column_starts[1]
    has_previous_row = int_state[IntColumn.NEWEST_TIME] != NO_ROW_YET and not is_late
    for column in range(len(measured)):
        if imputed[column]:
            measured[column] = (
                float_state[lags_start + column] if has_previous_row else location[column]
            )
