"""A sensor's level: the location and the scale of its columns, learned from its rows."""

import numpy as np

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.model.forecast import N_LAGS
from sensorwatch.common.model.levels import CONSTANT_SCALE_SHARE, NO_SCALE
from sensorwatch.common.scoring.memory_layout import FloatColumn, IntColumn

LINEAR_SCALES = 4.0
"""Largest distance from the location, in scales, of a value that `compress_outliers` does not
change."""
MAX_COMPRESSED_VALUE = 500.0
"""Limit of a compressed value before its expansion, so that the result is finite."""
MAX_FOLLOWED_SCALES = 3.0
"""Limit, in scales, at which a value's distance from the location is clipped before the value moves
the location."""
IGNORED_FROM_SCALES = 8.0
"""Distance from the location, in scales, from which on a value does not move the location."""
LOCATION_ADAPTS_IN_ROWS = 1000.0
"""Time constant, in rows, of a sensor's location.

The time constant is long, so that the location follows a slow change but hardly a fault.
"""
LEARN_CLIP_FROM_ROW = 20
"""Number of rows of a new sensor after which its values are clipped at LEARN_CLIP."""
LEARN_CLIP = 4.0
"""While the level of a new sensor is learned, the distance of a value from the mean is clipped at
this number of standard deviations."""


@inlined_kernel
def compress_outliers(standardised: float) -> float:
    """Return a standardised value whose part above LINEAR_SCALES is compressed logarithmically."""
    size = abs(standardised)
    if size <= LINEAR_SCALES:
        return standardised
    compressed: float = LINEAR_SCALES + np.log(size - (LINEAR_SCALES - 1.0))
    return compressed if standardised > 0 else -compressed


@inlined_kernel
def distance_in_scales(value, location, scale):  # type: ignore[no-untyped-def]
    """Return the distance of a value from a location; see NO_SCALE for a column without scale."""
    if scale > NO_SCALE:
        return (value - location) / scale
    return np.sign(value - location) / CONSTANT_SCALE_SHARE


@inlined_kernel
def start_level(float_state, int_state, scales_start, level, level_location, level_scale, min_rows):  # type: ignore[no-untyped-def]
    """Reset the level of a new sensor; a sensor with a level in the model starts with it."""
    has_level = level > 0 or min_rows == 0
    int_state[IntColumn.LEVEL_ROWS] = min_rows if has_level else 0
    for column in range(level_location.shape[1]):
        float_state[FloatColumn.LOCATIONS + column] = (
            level_location[level, column] if has_level else 0.0
        )
        float_state[scales_start + column] = level_scale[level, column] if has_level else 0.0


@inlined_kernel
def read_level(  # type: ignore[no-untyped-def]
    float_state, int_state, column_starts, level_location, level_scale, min_rows, location, scale
):  # fmt: skip
    """Write the level of the row's sensor; during the warm-up, write the level of all sensors."""
    scales_start = column_starts[0]
    has_own_level = int_state[IntColumn.LEVEL_ROWS] >= min_rows
    for column in range(len(location)):
        location[column] = (
            float_state[FloatColumn.LOCATIONS + column]
            if has_own_level
            else level_location[0, column]
        )
        scale[column] = (
            float_state[scales_start + column] if has_own_level else level_scale[0, column]
        )


@inlined_kernel
def standardise(  # type: ignore[no-untyped-def]
    float_state, int_state, column_starts, measured, location, scale, standardised, lagged
):  # fmt: skip
    """Write the standardised values of the row, and those of its lagged rows."""
    lags_start, width = column_starts[1], len(measured)
    for column in range(width):
        standardised[column] = compress_outliers(
            distance_in_scales(measured[column], location[column], scale[column])
        )
        for lag in range(min(N_LAGS, int_state[IntColumn.LAG_COUNT])):
            lagged_value = float_state[lags_start + lag * width + column]
            lagged_column = lag * width + column
            lagged[lagged_column] = compress_outliers(
                distance_in_scales(lagged_value, location[column], scale[column])
            )


@inlined_kernel
def _followed_step(scales):  # type: ignore[no-untyped-def]
    """Return the part of a value's distance from the location, in scales, that moves the location.

    This is the redescending function of Hampel (1974). A small distance counts unchanged. A larger
    one counts as MAX_FOLLOWED_SCALES. A distance beyond IGNORED_FROM_SCALES counts as 0.
    """
    size = min(abs(scales), MAX_FOLLOWED_SCALES)
    if abs(scales) > LINEAR_SCALES:
        falling = (IGNORED_FROM_SCALES - abs(scales)) / (IGNORED_FROM_SCALES - LINEAR_SCALES)
        size *= max(falling, 0.0)
    return size if scales > 0.0 else -size


@inlined_kernel
def update_level(  # type: ignore[no-untyped-def]
    float_state, int_state, scales_start, measured, min_scale, min_rows, away_rows_start, watched
):  # fmt: skip
    """Move the location by one row; before the warm-up ends, learn location and scale.

    A location does not move while the level guard finds its signal away from the reference level.
    Otherwise the location would follow a long fault. After the fault, usual values would be far
    from the location, and the alarm would stay open. `watched`: number of signals that the guard
    watches; they are the first columns. `away_rows_start`: see `GuardParameters`.
    """
    level_rows = int_state[IntColumn.LEVEL_ROWS]
    for column in range(len(measured)):
        if level_rows >= min_rows:
            if column < watched and int_state[away_rows_start + column] > 0:
                continue
            location, scale = (
                float_state[FloatColumn.LOCATIONS + column],
                float_state[scales_start + column],
            )
            if scale <= NO_SCALE and measured[column] != location:
                scale = CONSTANT_SCALE_SHARE * abs(measured[column])
                float_state[scales_start + column] = scale
            # The location moves slowly: one row changes it by at most 0.003 scales.
            step = _followed_step(distance_in_scales(measured[column], location, scale))
            float_state[FloatColumn.LOCATIONS + column] += scale * step / LOCATION_ADAPTS_IN_ROWS
        else:
            _update_running_level(
                float_state,
                scales_start,
                column,
                measured[column],
                level_rows,
                min_scale[column],
                min_rows,
            )
    int_state[IntColumn.LEVEL_ROWS] = min(level_rows + 1, min_rows)


@inlined_kernel
def _update_running_level(  # type: ignore[no-untyped-def]
    float_state, scales_start, column, value, level_rows, min_scale, min_rows
):
    """Update the running mean and sum of squares of a new sensor's level by one row (Welford).

    At the last row of the warm-up, the sum of squares is converted to the scale.
    """
    mean, squares = float_state[FloatColumn.LOCATIONS + column], float_state[scales_start + column]
    step = value - mean
    if level_rows >= LEARN_CLIP_FROM_ROW:
        max_step = LEARN_CLIP * max(np.sqrt(squares / level_rows), min_scale)
        step = min(max(step, -max_step), max_step)
    mean += step / (level_rows + 1)
    squares += step * (step - step / (level_rows + 1))
    float_state[FloatColumn.LOCATIONS + column] = mean
    if level_rows + 1 == min_rows:
        squares = max(np.sqrt(squares / min_rows), min_scale)
        if squares <= NO_SCALE:
            squares = max(CONSTANT_SCALE_SHARE * abs(mean), NO_SCALE)
    float_state[scales_start + column] = squares


@inlined_kernel
def expand_outlier(compressed: float) -> float:
    """Return the standardised value that `compress_outliers` turned into `compressed`."""
    magnitude = min(abs(compressed), MAX_COMPRESSED_VALUE)
    if magnitude <= LINEAR_SCALES:
        return compressed
    expanded: float = np.exp(magnitude - LINEAR_SCALES) + (LINEAR_SCALES - 1.0)
    return expanded if compressed > 0 else -expanded


# This function is a kernel, because a vectorised exponential may round the last rows differently
# from the first rows.
@kernel
def undo_compression(compressed):  # type: ignore[no-untyped-def]
    """Return the standardised values that `compress_outliers` turned into `compressed`."""
    standardised = np.empty_like(compressed)
    for row in range(compressed.shape[0]):
        for signal in range(compressed.shape[1]):
            standardised[row, signal] = expand_outlier(compressed[row, signal])
    return standardised
