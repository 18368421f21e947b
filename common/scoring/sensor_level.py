"""A sensor's level: location and scale of its columns, learned from its rows."""

import numpy as np

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.model.forecast import N_LAGS
from sensorwatch.common.model.levels import CONSTANT_SCALE_SHARE, NO_SCALE
from sensorwatch.common.scoring.memory_layout import FloatColumn, IntColumn

LINEAR_SCALES = 4.0
"""`compress_outliers` does not change a value that is at most this number of scales from the
location."""
MAX_FOLLOWED_SCALES = 3.0
"""A value's distance from its sensor's location is clipped at this number of scales before it moves
the location."""
IGNORED_FROM_SCALES = 8.0
"""A value that is this number of scales from its sensor's location does not move the location."""
LOCATION_ADAPTS_IN_ROWS = 1000.0
"""Time constant, in rows, of a sensor's location.

The time constant is long, so that the location follows a slow change but hardly a fault.
"""
LEARN_CLIP_FROM_ROW = 20
"""The values of a new sensor are clipped at LEARN_CLIP after this number of its rows."""
LEARN_CLIP = 4.0
"""While the level of a new sensor is learned, the distance of a value from the mean is clipped at
this number of standard deviations."""


@inlined_kernel
def compress_outliers(standardised: float) -> float:
    """Return a standardised value; the part above LINEAR_SCALES is compressed logarithmically."""
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
def start_level(float_row, int_row, scales_start, level, level_location, level_scale, min_rows):  # type: ignore[no-untyped-def]
    """Reset the level of a new sensor; a sensor with a level in the model starts with it."""
    has_level = level > 0 or min_rows == 0
    int_row[IntColumn.LEVEL_ROWS] = min_rows if has_level else 0
    for column in range(level_location.shape[1]):
        float_row[FloatColumn.LOCATIONS + column] = (
            level_location[level, column] if has_level else 0.0
        )
        float_row[scales_start + column] = level_scale[level, column] if has_level else 0.0


@inlined_kernel
def read_level(  # type: ignore[no-untyped-def]
    float_row, int_row, column_starts, level_location, level_scale, min_rows, location, scale
):  # fmt: skip
    """Write the level of the row's sensor, or the pooled level before the warm-up ended."""
    scales_start = column_starts[0]
    has_own_level = int_row[IntColumn.LEVEL_ROWS] >= min_rows
    for column in range(len(location)):
        location[column] = (
            float_row[FloatColumn.LOCATIONS + column]
            if has_own_level
            else level_location[0, column]
        )
        scale[column] = (
            float_row[scales_start + column] if has_own_level else level_scale[0, column]
        )


@inlined_kernel
def standardise(  # type: ignore[no-untyped-def]
    float_row, int_row, column_starts, measured, location, scale, standardised, lagged
):  # fmt: skip
    """Write the standardised values of the row, and those of its lagged rows."""
    lags_start, width = column_starts[1], len(measured)
    for column in range(width):
        standardised[column] = compress_outliers(
            distance_in_scales(measured[column], location[column], scale[column])
        )
        for lag in range(min(N_LAGS, int_row[IntColumn.LAG_COUNT])):
            lagged_value = float_row[lags_start + lag * width + column]
            lagged_column = lag * width + column
            lagged[lagged_column] = compress_outliers(
                distance_in_scales(lagged_value, location[column], scale[column])
            )


@inlined_kernel
def _followed_step(scales):  # type: ignore[no-untyped-def]
    """Return how many scales of a value's distance from the location move the location.

    This is the redescending function of Hampel (1974): near values count as they are, farther ones
    as MAX_FOLLOWED_SCALES, and values beyond IGNORED_FROM_SCALES count nothing.
    """
    size = min(abs(scales), MAX_FOLLOWED_SCALES)
    if abs(scales) > LINEAR_SCALES:
        falling = (IGNORED_FROM_SCALES - abs(scales)) / (IGNORED_FROM_SCALES - LINEAR_SCALES)
        size *= max(falling, 0.0)
    return size if scales > 0.0 else -size


@inlined_kernel
def update_level(  # type: ignore[no-untyped-def]
    float_row, int_row, scales_start, measured, min_scale, min_rows, away_rows_start, watched
):  # fmt: skip
    """Move the location by one row; before the warm-up ends, learn location and scale.

    A location does not move while the level guard finds its signal away from the reference level.
    Otherwise usual values would be far from it after a long fault, and the alarm would stay open.
    `watched`: number of signals that the guard watches; they are the first columns.
    `away_rows_start`: see `GuardParameters`.
    """
    level_rows = int_row[IntColumn.LEVEL_ROWS]
    for column in range(len(measured)):
        if level_rows >= min_rows:
            if column < watched and int_row[away_rows_start + column] > 0:
                continue
            location, scale = (
                float_row[FloatColumn.LOCATIONS + column],
                float_row[scales_start + column],
            )
            if scale <= NO_SCALE and measured[column] != location:
                scale = CONSTANT_SCALE_SHARE * abs(measured[column])
                float_row[scales_start + column] = scale
            # The location moves slowly: one row changes it by at most 0.003 scales.
            step = _followed_step(distance_in_scales(measured[column], location, scale))
            float_row[FloatColumn.LOCATIONS + column] += scale * step / LOCATION_ADAPTS_IN_ROWS
        else:
            _update_running_level(
                float_row,
                scales_start,
                column,
                measured[column],
                level_rows,
                min_scale[column],
                min_rows,
            )
    int_row[IntColumn.LEVEL_ROWS] = min(level_rows + 1, min_rows)


@inlined_kernel
def _update_running_level(float_row, scales_start, column, value, level_rows, min_scale, min_rows):  # type: ignore[no-untyped-def]
    """Update the running mean and sum of squares of a new sensor's level by one row (Welford).

    At the last row of the warm-up, the sum of squares is converted to the scale.
    """
    mean, squares = float_row[FloatColumn.LOCATIONS + column], float_row[scales_start + column]
    step = value - mean
    if level_rows >= LEARN_CLIP_FROM_ROW:
        max_step = LEARN_CLIP * max(np.sqrt(squares / level_rows), min_scale)
        step = min(max(step, -max_step), max_step)
    mean += step / (level_rows + 1)
    squares += step * (step - step / (level_rows + 1))
    float_row[FloatColumn.LOCATIONS + column] = mean
    if level_rows + 1 == min_rows:
        squares = max(np.sqrt(squares / min_rows), min_scale)
        if squares <= NO_SCALE:
            squares = max(CONSTANT_SCALE_SHARE * abs(mean), NO_SCALE)
    float_row[scales_start + column] = squares
