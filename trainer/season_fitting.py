"""The season of what the lags leave: taken where whole cycles show one, and it foretells others."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.forecast import N_LAGS
from sensorwatch.common.model.season import DAY, WEEK, Season, bins_at, no_season

MIN_CYCLES = 3
"""Whole ones: from fewer nobody can tell a season from chance."""
DAILY_BINS = (24, 48, 96)
MIN_ERROR_REDUCTION = 0.05
"""Of the squared error in cycles that a profile was not made of, which a signal's season takes
away at the least ..."""
MIN_STANDARD_ERRORS = 2.0
"""... and so many standard errors of its mean over the cycles above nothing."""
MAX_CV_GROUPS = 10
"""The cycles are left out in so many groups at the most."""
ERROR_CLIP = 4.0
"""A residual's error counts as if it were at most so many spreads."""
MEDIAN_VARIANCE = np.pi / 2
"""Of a median of normal values, in that of their mean."""
MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True)
class _CycleGrid:
    """Times cut into cycles, and these into bins."""

    period: int
    bins: int
    cycle: NDArray[np.int64]
    """(n,) from 0, without holes."""
    cycles: int
    bin: NDArray[np.int64]
    """(n,)"""


def fit_season(
    residuals: NDArray[np.float64], event_time: NDArray[np.int64], step: float
) -> Season:
    """Learn the season of residuals (n, signals) in scales, at times (n,) in microseconds UTC.

    `step`: the usual one between two rows of a sensor, microseconds: no bin is shorter. Of each
    cycle the error is measured by a profile of others (cross-validation); a signal whose error that
    does not clearly lower has none.
    """
    signals = residuals.shape[1]
    best, lowest_error = no_season(signals), np.inf
    for grid in _cycle_grids(event_time, step):
        means = _cell_means(residuals, grid)
        errors_without, errors_with = _errors(residuals, means, grid)
        error_reductions = errors_without - errors_with
        mean = error_reductions.mean(axis=0)
        significant = mean > MIN_STANDARD_ERRORS * error_reductions.std(axis=0, ddof=1) / np.sqrt(
            len(error_reductions)
        )
        accepted = significant & (mean > MIN_ERROR_REDUCTION * errors_without.mean(axis=0))
        error = float(np.where(accepted, errors_with, errors_without).mean(axis=0).sum())
        if accepted.any() and error < lowest_error:
            profile = np.where(accepted[:, np.newaxis], _profile(means), 0.0)
            best, lowest_error = Season(np.ascontiguousarray(profile), grid.period), error
    return best


def season_deviation(
    columns: NDArray[np.float64], event_time: NDArray[np.int64], season: Season
) -> NDArray[np.float64]:
    """Return how columns (n, k) differ from the mean of their bin of the season."""
    bins = season.profile.shape[1]
    bin_of_row = bins_at(event_time, season.period, bins)
    counts = np.maximum(np.bincount(bin_of_row, minlength=bins), 1)
    means = [np.bincount(bin_of_row, column, minlength=bins) / counts for column in columns.T]
    result: NDArray[np.float64] = columns - np.stack(means, axis=1)[bin_of_row]
    return result


def _cycle_grids(event_time: NDArray[np.int64], step: float) -> Iterator[_CycleGrid]:
    """Yield the ways to cut the times that leave enough whole cycles."""
    # The first rows of a sensor are not among them: they only warm its memory.
    span = int(event_time.max()) - int(event_time.min()) + (1 + N_LAGS) * step
    for period, bins in [(DAY, n) for n in DAILY_BINS] + [(WEEK, 7 * DAILY_BINS[0])]:
        if step <= 0 or span < MIN_CYCLES * period or period / bins < step:
            continue
        numbers, cycle = np.unique(event_time // period, return_inverse=True)
        if len(numbers) >= MIN_CYCLES:
            yield _CycleGrid(period, bins, cycle, len(numbers), bins_at(event_time, period, bins))


def _cell_means(residuals: NDArray[np.float64], grid: _CycleGrid) -> NDArray[np.float64]:
    """Return the mean residual (signals, cycles, bins) of each cell; NaN where there is no row."""
    cell_of_row = grid.cycle * grid.bins + grid.bin
    size = grid.cycles * grid.bins
    counts = np.bincount(cell_of_row, minlength=size)
    sums = np.stack([np.bincount(cell_of_row, column, minlength=size) for column in residuals.T])
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means.reshape(-1, grid.cycles, grid.bins)


def _profile(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (signals, bins): the medians over the cycles, shrunk by what chance would give.

    One bad cycle does not move a median; a bin that two cycles do not have is nothing.
    """
    has_rows = np.isfinite(means)
    counts = has_rows.sum(axis=1)
    medians = _median_over_cycles(means)
    deviations = np.abs(means - medians[:, np.newaxis, :])
    spread = np.stack(
        [
            MAD_TO_SIGMA * np.median(signal_deviations[seen])
            for signal_deviations, seen in zip(deviations, has_rows, strict=True)
        ]
    )
    variance = MEDIAN_VARIANCE * spread[:, np.newaxis] ** 2 / np.maximum(counts - 1, 1)
    kept = np.maximum(1.0 - variance / np.maximum(medians**2, 1e-12), 0.0)
    profile: NDArray[np.float64] = np.where(counts >= 2, kept * medians, 0.0)
    return profile


def _median_over_cycles(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over the cycles, those without rows left out; 0 where none has any."""
    ordered = np.sort(means, axis=1)  # NaN comes last
    counts = np.isfinite(means).sum(axis=1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(counts - 1, 0) // 2, axis=1)
    high = np.take_along_axis(ordered, np.minimum(counts // 2, means.shape[1] - 1), axis=1)
    medians: NDArray[np.float64] = np.where(counts > 0, (low + high) / 2, 0.0)[:, 0]
    return medians


def _errors(
    residuals: NDArray[np.float64], means: NDArray[np.float64], grid: _CycleGrid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean squared error of each group of cycles (groups, signals), clipped.

    Without a season, and with the profile of the other groups.
    """
    error_limits = ERROR_CLIP * _robust_scales(residuals)
    groups = min(grid.cycles, MAX_CV_GROUPS)
    group = np.arange(grid.cycles) % groups
    errors_without, errors_with = (
        np.empty((groups, residuals.shape[1])),
        np.empty((groups, residuals.shape[1])),
    )
    for number in range(groups):
        rows = group[grid.cycle] == number
        predicted = _profile(means[:, group != number])[:, grid.bin[rows]].T
        errors_without[number] = _clipped_squared_error(residuals[rows], error_limits)
        errors_with[number] = _clipped_squared_error(residuals[rows] - predicted, error_limits)
    return errors_without, errors_with


def _clipped_squared_error(
    errors: NDArray[np.float64], error_limits: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray((np.minimum(np.abs(errors), error_limits) ** 2).mean(axis=0))


def _robust_scales(residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the spread (signals,) of residuals that a few large ones do not widen."""
    robust = MAD_TO_SIGMA * np.median(np.abs(residuals - np.median(residuals, axis=0)), axis=0)
    return np.where(robust > 0, robust, residuals.std(axis=0))
