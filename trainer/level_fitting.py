"""Where each sensor's columns lie and how far they spread, learned from training rows."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.levels import Levels
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.trainer.row_subsampling import MAX_FIT_ROWS

ROWS_FOR_LEVEL = 2_000
"""Spread over the whole time, so many rows of a sensor tell its location to 0.03 scales, and its
scale to some percent."""
MIN_TAIL_SHARE = 0.05
"""A scale is at least this share of the sensors' usual one."""
MIN_ROWS_OF_KNOWN_SENSOR = 50
"""Training looks back on all of a sensor's rows at once, so it knows it from fewer than a memory
that learns as it goes."""
CLIP_QUANTILES = (0.05, 0.95)
CLIPPED_NORMAL_STD = 0.8903
"""Standard deviation of a standard normal variable that is clipped at its quantiles CLIP."""
MIN_SHARE_OF_STD = 0.2
"""A scale is at least this share of the whole standard deviation: a signal that rests most of the
time and moves now and then must not be measured by its rest alone."""
GAP_STEPS = 10.0
"""A gap is longer than so many usual steps ..."""
LONG_STEP_QUANTILE = 0.999
GAP_LONG_STEPS = 3.0
"""... and than so many of the longest steps that training shows every thousand rows."""
CONSTANT_SCALE_SHARE = 0.01
CONSTANT_TOLERANCE = 1e-9
"""A column that varies by less than this share of its size is constant."""


def fit_levels(readings: Readings, schema: Schema, *, min_rows: int) -> Levels:
    """Learn the levels of all sensors together, and of each one.

    One with fewer than KNOWN_ROWS rows has that of all; `with_enough_rows` leaves it out. Of more than
    MOST_ROWS rows, those of a sensor that has very many are thinned.

    `readings`: in time order, without gaps in their values (what was missing is filled).
    """
    columns = np.concatenate([readings.values, readings.context], axis=1)
    streams = _by_sensor(readings)
    if len(readings) <= MAX_FIT_ROWS:
        pooled_level = _level(columns)
    else:
        streams = [(number, _subsampled(rows, len(streams))) for number, rows in streams]
        pooled_level = _level(columns[np.concatenate([rows for _, rows in streams])])
    names, location, scale = [], [], []
    for number, rows in streams:
        level = _level(columns[rows]) if len(rows) >= MIN_ROWS_OF_KNOWN_SENSOR else pooled_level
        names.append(readings.sensor_ids[number])
        location.append(level[0])
        scale.append(level[1])
    scale_floor = _scale_floor(*pooled_level, scale)
    return Levels(
        tuple(names),
        np.stack([pooled_level[0], *location]),
        np.maximum(np.stack([pooled_level[1], *scale]), scale_floor),
        min_rows,
        max_gap(readings, schema),
    )


def with_enough_rows(levels: Levels, readings: Readings) -> Levels:
    """Leave out the sensors with too few rows: in service they learn a level of their own."""
    rows = {readings.sensor_ids[number]: len(rows) for number, rows in _by_sensor(readings)}
    kept_indices = [
        level_index
        for name, level_index in levels.level_by_sensor.items()
        if rows.get(name, 0) >= MIN_ROWS_OF_KNOWN_SENSOR
    ]
    names = tuple(levels.sensor_ids[level_index - 1] for level_index in kept_indices)
    level_indices = [0, *kept_indices]
    return replace(
        levels,
        sensor_ids=names,
        location=levels.location[level_indices],
        scale=levels.scale[level_indices],
    )


def max_gap(readings: Readings, schema: Schema) -> int:
    """Microseconds between two rows of a sensor beyond which the older one says nothing.

    The schema's, or learned: longer than anything usual in training; 0 where there are no steps.
    """
    declared = schema.order.max_gap_seconds
    if declared is not None:
        return max(round(declared * 1_000_000), 1)  # 0 would mean that no gap is too long
    steps = np.concatenate(
        [np.diff(readings.event_time[rows]) for _, rows in _by_sensor(readings)] or [np.empty(0)]
    )
    steps = steps[steps > 0]
    if len(steps) == 0:
        return 0
    median_scale, longest = np.quantile(steps, (0.5, LONG_STEP_QUANTILE))
    return int(max(GAP_STEPS * median_scale, GAP_LONG_STEPS * longest))


def _by_sensor(readings: Readings) -> list[tuple[int, NDArray[np.int64]]]:
    order = np.argsort(readings.sensor, kind="stable")
    sensors, starts = np.unique(readings.sensor[order], return_index=True)
    streams = zip(sensors.tolist(), np.split(order, starts[1:]), strict=True)
    # By name: their numbers come from the order in which a file happened to name them.
    return sorted(streams, key=lambda stream: readings.sensor_ids[stream[0]])


def _subsampled(rows: NDArray[np.int64], sensors: int) -> NDArray[np.int64]:
    """Draw one row out of each of equal parts of a sensor's rows, if there are more than enough.

    Drawn, because a fixed step could always meet the same hour of a day.
    """
    max_rows = max(MAX_FIT_ROWS // sensors, ROWS_FOR_LEVEL)
    if len(rows) <= max_rows:
        return rows
    draw_positions = np.arange(max_rows) + np.random.default_rng(0).random(max_rows)
    return rows[(draw_positions * (len(rows) / max_rows)).astype(np.int64)]


def _level(columns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median, and a spread that one row in ten cannot move; 0 for a constant column."""
    # Sorted once: both look for ranks, and find them at once in what is in order.
    ordered = np.sort(np.ascontiguousarray(columns.T), axis=1)
    location = np.median(ordered, axis=1)
    low, high = np.quantile(ordered, CLIP_QUANTILES, axis=1)
    clipped = np.clip(columns, low, high).std(axis=0) / CLIPPED_NORMAL_STD
    scale = np.maximum(clipped, MIN_SHARE_OF_STD * columns.std(axis=0))
    return location, np.where(scale > CONSTANT_TOLERANCE * (1.0 + np.abs(location)), scale, 0.0)


def _scale_floor(
    location: NDArray[np.float64],
    pooled_level: NDArray[np.float64],
    scales: list[NDArray[np.float64]],
) -> NDArray[np.float64]:
    """(columns,) the least scale: what stands still at one sensor is measured as at the others.

    A column that never changed anywhere has no spread to measure a change in: a share of its size
    stands in.
    """
    scales_by_sensor = np.stack(scales or [pooled_level])
    sorted_nonzero_scales = np.sort(
        np.where(scales_by_sensor > 0, scales_by_sensor, np.inf), axis=0
    )
    count = (scales_by_sensor > 0).sum(axis=0)
    median_scale = np.take_along_axis(
        sorted_nonzero_scales, np.maximum(count - 1, 0)[None] // 2, axis=0
    )[0]
    fallback_scale = CONSTANT_SCALE_SHARE * np.maximum(np.abs(location), 1.0)
    scale_floor: NDArray[np.float64] = np.where(
        count > 0, MIN_TAIL_SHARE * median_scale, fallback_scale
    )
    return scale_floor
