"""Fit levels: location and scale of each sensor's columns, and the sensor's cadence."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.angles import sine_positions
from sensorwatch.common.model.levels import CONSTANT_SCALE_SHARE, NO_SCALE, Levels
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.trainer.cadence_fitting import fit_cadences
from sensorwatch.trainer.row_subsampling import MAX_FIT_ROWS

ROWS_FOR_LEVEL = 2_000
"""Number of rows that is enough for a sensor's level if the rows cover all of the training time.

With this number of rows, the location is accurate to 0.03 scales, and the scale to a few
percent."""
MIN_SHARE_OF_USUAL_SCALE = 0.05
"""Smallest scale of a sensor, as a share of the median scale of all sensors."""
MIN_ROWS_OF_KNOWN_SENSOR = 50
"""Smallest number of training rows of a sensor that gets a level of its own.

The memory needs more rows to learn a level, because it does not see all rows of a sensor at
once."""
CLIP_QUANTILES = (0.05, 0.95)
"""Quantiles at which values are clipped before their standard deviation is measured."""
CLIPPED_NORMAL_STD = 0.8903
"""Standard deviation of a standard normal variable that is clipped at CLIP_QUANTILES."""
MIN_SHARE_OF_STD = 0.2
"""Smallest scale, as a share of the unclipped standard deviation.

This limit matters for a signal that is constant most of the time and changes rarely."""
CONSTANT_TOLERANCE = 1e-9
"""A column counts as constant if its scale is below this share of the column's absolute value."""


def fit_levels(readings: Readings, schema: Schema, *, min_rows: int) -> Levels:
    """Fit the pooled level of all sensors, and the level and the cadence of each sensor.

    A sensor with fewer than MIN_ROWS_OF_KNOWN_SENSOR rows gets the pooled level.
    `drop_sensors_with_few_rows` removes such sensors from the result. If there are more than
    MAX_FIT_ROWS rows, sensors with many rows are subsampled. `readings`: in time order, with
    missing values filled, with the columns of `model_schema(schema)`. `min_rows`: warm-up length to
    store in the levels.
    """
    columns = np.concatenate([readings.values, readings.context], axis=1)
    rows_by_sensor = _rows_by_sensor(readings)
    cadences = fit_cadences(readings.event_time, [rows for _, rows in rows_by_sensor])
    if len(readings) <= MAX_FIT_ROWS:
        pooled_level = _fit_level(columns)
    else:
        rows_by_sensor = [
            (sensor_number, _subsample_rows(rows, len(rows_by_sensor)))
            for sensor_number, rows in rows_by_sensor
        ]
        pooled_level = _fit_level(columns[np.concatenate([rows for _, rows in rows_by_sensor])])
    sensor_ids, location, scale = [], [], []
    for sensor_number, rows in rows_by_sensor:
        level = _fit_level(columns[rows]) if len(rows) >= MIN_ROWS_OF_KNOWN_SENSOR else pooled_level
        sensor_ids.append(readings.sensor_ids[sensor_number])
        location.append(level[0])
        scale.append(level[1])
    locations, scales = np.stack([pooled_level[0], *location]), np.stack([pooled_level[1], *scale])
    scales = np.maximum(scales, _scale_floor(locations, scales))
    return Levels(
        tuple(sensor_ids),
        locations,
        _with_scales_of_angles(scales, sine_positions(schema.columns)),
        cadences.cadence,
        cadences.gap_factor,
        min_rows,
        schema_max_gap(schema),
    )


def drop_sensors_with_few_rows(levels: Levels, readings: Readings) -> Levels:
    """Return the levels without the sensors that have fewer than MIN_ROWS_OF_KNOWN_SENSOR rows.

    In service, the memory learns a level for such a sensor.
    """
    rows = {
        readings.sensor_ids[sensor_number]: len(rows)
        for sensor_number, rows in _rows_by_sensor(readings)
    }
    level_indices_to_keep = [
        level_index
        for sensor_id, level_index in levels.level_by_sensor.items()
        if rows.get(sensor_id, 0) >= MIN_ROWS_OF_KNOWN_SENSOR
    ]
    sensor_ids = tuple(levels.sensor_ids[level_index - 1] for level_index in level_indices_to_keep)
    level_indices = [0, *level_indices_to_keep]
    return replace(
        levels,
        sensor_ids=sensor_ids,
        location=levels.location[level_indices],
        scale=levels.scale[level_indices],
        cadence=levels.cadence[level_indices],
        gap_factor=levels.gap_factor[level_indices],
    )


def schema_max_gap(schema: Schema) -> int:
    """Return the schema's `max_gap_seconds` in microseconds, or 0 if each sensor's cadence decides.

    A limit of less than a microsecond is rounded up to 1.
    """
    max_gap_seconds = schema.order.max_gap_seconds
    return 0 if max_gap_seconds is None else max(round(max_gap_seconds * 1_000_000), 1)


def pooled_gap_factor(readings: Readings) -> float:
    """Return the gap factor of sensors that training does not know; see `fit_cadences`.

    `readings`: in time order.
    """
    rows_of_sensors = [rows for _, rows in _rows_by_sensor(readings)]
    return float(fit_cadences(readings.event_time, rows_of_sensors).gap_factor[0])


def _rows_by_sensor(readings: Readings) -> list[tuple[int, NDArray[np.int64]]]:
    """Return each sensor's number and row indices, sorted by sensor id."""
    order = np.argsort(readings.sensor, kind="stable")
    sensors, sensor_starts = np.unique(readings.sensor[order], return_index=True)
    rows_by_sensor = zip(sensors.tolist(), np.split(order, sensor_starts[1:]), strict=True)
    # Sorted by id, because the sensor numbers depend on the order of the input rows.
    return sorted(rows_by_sensor, key=lambda item: readings.sensor_ids[item[0]])


def _subsample_rows(rows: NDArray[np.int64], sensors: int) -> NDArray[np.int64]:
    """Return a sample of a sensor's rows, or all rows if there are few.

    The rows are divided into consecutive groups of equal size, and one row of each group is drawn.
    The draw is random, because a fixed step could always select the same hour of a day.
    """
    max_rows = max(MAX_FIT_ROWS // sensors, ROWS_FOR_LEVEL)
    if len(rows) <= max_rows:
        return rows
    draw_positions = np.arange(max_rows) + np.random.default_rng(0).random(max_rows)
    return rows[(draw_positions * (len(rows) / max_rows)).astype(np.int64)]


def _fit_level(columns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the location (median) and the robust scale of each column, both (columns,).

    The scale is the standard deviation after clipping at CLIP_QUANTILES, so a tenth of the rows may
    be outliers. The scale of a constant column is 0.
    """
    # Median and quantiles are faster on sorted values.
    sorted_columns = np.sort(np.ascontiguousarray(columns.T), axis=1)
    location = np.median(sorted_columns, axis=1)
    low_quantiles, high_quantiles = np.quantile(sorted_columns, CLIP_QUANTILES, axis=1)
    clipped_scale = np.clip(columns, low_quantiles, high_quantiles).std(axis=0) / CLIPPED_NORMAL_STD
    scale = np.maximum(clipped_scale, MIN_SHARE_OF_STD * columns.std(axis=0))
    return location, np.where(scale > CONSTANT_TOLERANCE * np.abs(location), scale, 0.0)


def _with_scales_of_angles(scales: NDArray[np.float64], sines: list[int]) -> NDArray[np.float64]:
    """Return scales (levels, columns) in which sine and cosine of an angle have the same scale.

    The scale is the root of the sum of both squares. A step on the circle then has the same length
    in every direction. `sines`: position of the sine of each angle; the cosine follows.
    """
    scales = scales.copy()
    for sine in sines:
        sine_and_cosine = slice(sine, sine + 2)
        scales[:, sine_and_cosine] = np.sqrt(
            (scales[:, sine_and_cosine] ** 2).sum(axis=1, keepdims=True)
        )
    return scales


def _scale_floor(
    locations: NDArray[np.float64], scales: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the minimum scales, an array of the same shape as `Levels.scale` (levels, columns).

    The minimum is a share of the median scale of the sensors. If a column is constant at every
    sensor, the minimum is CONSTANT_SCALE_SHARE of the level's absolute value, and NO_SCALE if this
    value is 0. No minimum depends on the unit of a column.
    """
    scales_by_sensor = scales[1:] if len(scales) > 1 else scales
    sorted_nonzero_scales = np.sort(
        np.where(scales_by_sensor > 0, scales_by_sensor, np.inf), axis=0
    )
    sensors_with_scale = (scales_by_sensor > 0).sum(axis=0)
    median_scale = np.take_along_axis(
        sorted_nonzero_scales, np.maximum(sensors_with_scale - 1, 0)[None] // 2, axis=0
    )[0]
    scale_floor: NDArray[np.float64] = np.where(
        sensors_with_scale > 0,
        MIN_SHARE_OF_USUAL_SCALE * median_scale,
        np.maximum(CONSTANT_SCALE_SHARE * np.abs(locations), NO_SCALE),
    )
    return scale_floor
