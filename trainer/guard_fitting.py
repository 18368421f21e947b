"""Fit the level guard: learn the usual changes of each signal's level from held out rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, t

from sensorwatch.common.kernels import kernel
from sensorwatch.common.model.civil_clock import UTC_CLOCK, CivilClock
from sensorwatch.common.model.level_guard import UNWATCHED_SPREAD, LevelGuard
from sensorwatch.common.model.levels import Levels
from sensorwatch.common.model.season import DAY, Season, no_season
from sensorwatch.common.model.tails import KNOTS
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.level_guard import (
    MAX_DEVIATION_SCALES,
    guard_scores,
    smooth_deviation,
)
from sensorwatch.trainer.season_fitting import SeasonFit, fit_season

GUARD_BLOCKS = 10
"""Number of blocks into which the training time is divided."""
DEGREES_OF_FREEDOM_RANGE = (3.0, 30.0)
"""Smallest and largest number of degrees of freedom of a spread."""
FREEDOM_CONFIDENCE = 0.8
"""Confidence of the lower bound of a spread's degrees of freedom.

With one sensor, they are estimated from ten blocks, and the estimate is often twice too high. Then
a usual level would count as rare."""
MIN_SPREAD = 0.3
"""Smallest spread of a smoothed deviation, in scales. For independent rows, the spread is 0.18."""
FAR_BLOCK_DISTANCE = 5
"""Number of blocks between the starts of two far blocks. Two near blocks are neighbours."""
MAX_TABLE_RARITY = 25.0
"""Rarity of the last knot of the guard's table, in nats."""
MIN_TABLE_DEVIATION = 0.01
"""Smallest deviation of the guard's table, so that its logarithm is finite."""
MAX_DIVIDED_DEVIATION = 1e6
"""Limit, in scales, at which a deviation is clipped when it is divided by the scale."""
ACCEPT_RARITY = 4.0
"""Smallest rarity, in nats, of the deviation of a row that is away from its level."""


@dataclass(frozen=True, slots=True)
class FittedGuard:
    """A level guard, and its scores of the training rows."""

    guard: LevelGuard
    scores: NDArray[np.float64]
    """Shape (n,). Scores in nats. A row is compared with the level of the rows outside its block of
    time."""
    season_fit: SeasonFit | None
    """The fit of the guard's season; None if no sensor has a level."""


def fit_guard(
    readings: Readings,
    levels: Levels,
    *,
    step: float,
    accept_after_rows: int,
    clock: CivilClock = UTC_CLOCK,
) -> FittedGuard:
    """Fit the level guard on readings in time order, without missing values.

    `levels`: fitted on the same rows, without sensors that have few rows. `step`: median time
    between two rows of a sensor, in microseconds. `clock`: the civil time of the season. Only the
    rows of sensors with a level are used; other rows get the score 0. If no sensor has a level, no
    signal is watched.
    """
    level_of_sensor = np.asarray(
        [levels.level_by_sensor.get(sensor_id, 0) for sensor_id in readings.sensor_ids],
        dtype=np.int64,
    )
    level_of_row = level_of_sensor[readings.sensor]
    is_known = level_of_row > 0
    signals = readings.values.shape[1]
    location, scale = levels.location[:, :signals].copy(), levels.scale[:, :signals]
    level_of_known, known_rows = level_of_row[is_known], readings.take(is_known)
    distance = known_rows.values - location[level_of_known]
    # The division does not overflow for NO_SCALE. Large deviations are clipped below.
    deviations = distance / np.maximum(
        scale[level_of_known], np.abs(distance) / MAX_DIVIDED_DEVIATION
    )
    season_fit = None
    if len(known_rows):
        deviations = np.clip(deviations, -MAX_DEVIATION_SCALES, MAX_DEVIATION_SCALES)
        season_fit = fit_season(deviations, known_rows.event_time, step, clock)
    season = season_fit.season if season_fit else no_season(signals)
    deviations -= season.at(known_rows.event_time)
    movement = _measure_movement(deviations, level_of_known, len(location))
    spread = movement.spread * _season_factor(season, known_rows.event_time)
    comparison_count = 2 * max(int((spread < UNWATCHED_SPREAD).sum()), 1)
    table = np.stack(
        [_tail_table(comparison_count, freedom) for freedom in movement.freedom.tolist()]
    )
    guard = LevelGuard(
        location=location,
        spread=spread,
        drift_rate=movement.drift_rate,
        slope=movement.slope,
        fit_rows=len(known_rows) / max(len(np.unique(level_of_known)), 1),
        season=season,
        table=table,
        accept_bound=np.exp([np.interp(ACCEPT_RARITY, *_knots(row)) for row in table]),
        accept_after_rows=accept_after_rows,
    )
    scores = np.zeros(len(readings))
    scores[is_known] = guard_scores(movement.smoothed / spread, guard)
    return FittedGuard(guard, scores, season_fit)


@dataclass(frozen=True, slots=True)
class _Movement:
    """The changes of the signals' levels over n rows."""

    smoothed: NDArray[np.float64]
    """Shape (n, signals). Smoothed deviation from the level of the sensor in the other blocks."""
    spread: NDArray[np.float64]
    """Shape (signals,). See `LevelGuard.spread`."""
    freedom: NDArray[np.float64]
    """Shape (signals,). Degrees of freedom of the spread."""
    drift_rate: NDArray[np.float64]
    """Shape (signals,). See `LevelGuard.drift_rate`."""
    slope: NDArray[np.float64]
    """Shape (signals,). See `LevelGuard.slope`."""


def _measure_movement(
    deviations: NDArray[np.float64], level_of_row: NDArray[np.int64], levels: int
) -> _Movement:
    rows, signals = deviations.shape
    if rows == 0:
        unwatched = np.full(signals, UNWATCHED_SPREAD)
        no_movement = np.zeros(signals)
        return _Movement(deviations, unwatched, np.ones(signals), no_movement, no_movement)
    block = np.arange(rows) * GUARD_BLOCKS // rows
    block_means = _block_means(deviations, level_of_row, block)
    smoothed = np.zeros_like(deviations)
    _smooth_deviations(
        deviations - _level_outside_block(deviations, level_of_row, block),
        level_of_row,
        levels,
        smoothed,
    )
    spread = np.maximum(np.sqrt((smoothed**2).mean(axis=0)), MIN_SPREAD)
    freedom = _freedom(_block_means(smoothed**2, level_of_row, block))
    rows_per_sensor = rows / len(block_means)
    return _Movement(
        smoothed,
        spread,
        freedom,
        _drift_rate(block_means, rows_per_sensor),
        _slope(block_means, rows_per_sensor),
    )


def _freedom(mean_squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a lower bound of the degrees of freedom (signals,) of the mean of `mean_squares`.

    `mean_squares`: shape (sensors, GUARD_BLOCKS, signals), mean squared deviations. The variance of
    a mean square with k degrees of freedom is 2 / k times its squared mean (Satterthwaite 1946).
    This variance is itself estimated from the blocks. The upper bound of its chi-squared confidence
    interval is used, so few blocks give few degrees of freedom.
    """
    cells = mean_squares.reshape(-1, mean_squares.shape[2])
    cells = cells[np.isfinite(cells).all(axis=1)]
    if len(cells) < 2:
        return np.full(mean_squares.shape[2], DEGREES_OF_FREEDOM_RANGE[0])
    others = len(cells) - 1
    variance = cells.var(axis=0, ddof=1) / len(cells)
    variance *= others / chi2.ppf(1.0 - FREEDOM_CONFIDENCE, others)
    mean = cells.mean(axis=0)
    freedom = 2.0 * mean**2 / np.maximum(variance, 1e-12 * mean**2 + np.finfo(np.float64).tiny)
    result: NDArray[np.float64] = np.clip(freedom, *DEGREES_OF_FREEDOM_RANGE)
    return result


def _level_outside_block(
    deviations: NDArray[np.float64], level_of_row: NDArray[np.int64], block: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return for each row (n, signals) the median deviation of its sensor in the other blocks."""
    result = np.zeros_like(deviations)
    order = np.argsort(level_of_row, kind="stable")
    _, starts = np.unique(level_of_row[order], return_index=True)
    for rows in np.split(order, starts[1:]):
        for number in np.unique(block[rows]):
            in_block = block[rows] == number
            if not in_block.all():
                result[rows[in_block]] = np.median(deviations[rows[~in_block]], axis=0)
    return result


def _block_means(
    deviations: NDArray[np.float64], level_of_row: NDArray[np.int64], block: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the mean deviation of each sensor in each block (sensors, GUARD_BLOCKS, signals).

    A block without rows of a sensor has NaN.
    """
    sensors, sensor_number = np.unique(level_of_row, return_inverse=True)
    cell = sensor_number * GUARD_BLOCKS + block
    cells = len(sensors) * GUARD_BLOCKS
    counts = np.bincount(cell, minlength=cells)
    sums = np.stack([np.bincount(cell, column, minlength=cells) for column in deviations.T], axis=1)
    means = np.where(counts[:, np.newaxis] > 0, sums / np.maximum(counts, 1)[:, np.newaxis], np.nan)
    return means.reshape(len(sensors), GUARD_BLOCKS, -1)


def _drift_rate(block_means: NDArray[np.float64], rows_per_sensor: float) -> NDArray[np.float64]:
    """Return the increase of the squared deviation per row (signals,), at least 0.

    If the level moves, distant blocks differ more than neighbouring blocks. The mean squared
    difference of neighbouring blocks is subtracted from that of distant blocks. The result is
    divided by the additional distance in rows.
    """
    near_difference = _mean_squared_difference(block_means, 1)
    far_difference = _mean_squared_difference(block_means, FAR_BLOCK_DISTANCE)
    distance = (FAR_BLOCK_DISTANCE - 1) / GUARD_BLOCKS * rows_per_sensor
    return np.maximum(far_difference - near_difference, 0.0) / max(distance, 1.0)


def _mean_squared_difference(
    block_means: NDArray[np.float64], distance: int
) -> NDArray[np.float64]:
    squares = (block_means[:, distance:] - block_means[:, :-distance]) ** 2
    is_known = np.isfinite(squares)
    total = np.where(is_known, squares, 0.0).sum(axis=(0, 1))
    result: NDArray[np.float64] = total / np.maximum(is_known.sum(axis=(0, 1)), 1)
    return result


def _slope(block_means: NDArray[np.float64], rows_per_sensor: float) -> NDArray[np.float64]:
    """Return the root mean square (signals,) over sensors of the least-squares slope per row.

    Sensors that have no rows in a block are left out.
    """
    complete_block_means = block_means[np.isfinite(block_means).all(axis=(1, 2))]
    if len(complete_block_means) == 0:
        return np.zeros(block_means.shape[2])
    time = (np.arange(GUARD_BLOCKS) - (GUARD_BLOCKS - 1) / 2) * rows_per_sensor / GUARD_BLOCKS
    slopes = np.einsum("sbk,b->sk", complete_block_means, time) / (time**2).sum()
    return np.asarray(np.sqrt((slopes**2).mean(axis=0)))


def _season_factor(season: Season, event_time: NDArray[np.int64]) -> float:
    """Return the error of a season on other cycles, divided by its error on the fitted cycles."""
    if not season.is_present:
        return 1.0
    cycles = max(int(np.ptp(event_time)) / max(season.period, DAY), 2.0)
    return float(np.sqrt((cycles + 1.0) / (cycles - 1.0)))


def _tail_table(comparison_count: int, freedom: float) -> NDArray[np.float64]:
    """Return the table from the logarithm of a deviation to nats; see `LevelGuard.table`.

    The rarity of a deviation u is -ln(comparison_count * P(T > u)) for Student's t with `freedom`
    degrees of freedom, or 0 if that is negative. P(T > u) decreases as u to the power -freedom.
    """
    rarities = np.linspace(0.0, MAX_TABLE_RARITY, KNOTS)
    knots = np.log(
        np.maximum(t.isf(np.exp(-rarities) / comparison_count, freedom), MIN_TABLE_DEVIATION)
    )
    return np.concatenate([knots, [MAX_TABLE_RARITY, 1.0 / freedom]])


def _knots(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rarities and the scores of a table's knots."""
    return np.linspace(0.0, table[KNOTS], KNOTS), table[:KNOTS]


@kernel
def _smooth_deviations(deviations, sensor, sensors, smoothed):  # type: ignore[no-untyped-def]
    """Write the smoothed deviation of each row; the smoothing of each sensor starts at 0."""
    signals = deviations.shape[1]
    state = np.zeros((sensors, signals))
    for row in range(len(deviations)):
        for signal in range(signals):
            state[sensor[row], signal] = smooth_deviation(
                state[sensor[row], signal], deviations[row, signal]
            )
            smoothed[row, signal] = state[sensor[row], signal]
