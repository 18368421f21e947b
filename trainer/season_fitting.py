"""Fit a season to residuals. A season is accepted only if it predicts cycles outside its fit."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.forecast import N_LAGS
from sensorwatch.common.model.season import DAY, WEEK, Season, bins_at, no_season

MIN_CYCLES = 3
"""Minimum number of whole cycles.

With fewer cycles, a season cannot be distinguished from chance."""
DAILY_BINS = (24, 48, 96)
"""Numbers of bins per day that are tried for a daily season."""
MIN_ERROR_REDUCTION = 0.05
"""A season is kept only if it reduces a signal's squared error by this share.

The error is measured on cycles that the season was not fitted on."""
MIN_STANDARD_ERRORS = 2.0
"""A season is kept only if the mean error reduction exceeds this number of standard errors.

The mean and its standard error are computed over the groups of cycles."""
MAX_CV_GROUPS = 10
"""Maximum number of groups of cycles in the cross-validation."""
ERROR_CLIP = 4.0
"""Residuals are clipped at this multiple of their robust scale before they are squared."""
MEDIAN_VARIANCE = np.pi / 2
"""For normal values, the variance of the median divided by the variance of the mean."""
MAD_TO_SIGMA = 1.4826
"""For normal values, the standard deviation divided by the median absolute deviation."""


@dataclass(frozen=True, slots=True)
class _CycleGrid:
    """For each of n times, its cycle and its bin in the cycle."""

    period: int
    """Length of a cycle in microseconds."""
    bins: int
    """Bins per cycle."""
    cycle: NDArray[np.int64]
    """Shape (n,). For each time, the number of its cycle. Cycles without rows have no number."""
    cycles: int
    bin: NDArray[np.int64]
    """Shape (n,). For each time, the number of its bin in the cycle."""


def fit_season(
    residuals: NDArray[np.float64], event_time: NDArray[np.int64], step: float
) -> Season:
    """Fit the season of residuals (n, signals) at times (n,) in microseconds UTC.

    `residuals`: in units of the sensor's scale. `step`: median time between two rows of a sensor in
    microseconds. No bin is shorter than a step. The error of each cycle is measured with a profile
    that was fitted on other cycles (cross-validation). A signal gets a season only if the profile
    reduces its error significantly.
    """
    signals = residuals.shape[1]
    best_season, lowest_error = no_season(signals), np.inf
    for grid in _cycle_grids(event_time, step):
        mean_residuals = _cell_means(residuals, grid)
        errors_without, errors_with = _cross_validated_errors(residuals, mean_residuals, grid)
        error_reductions = errors_without - errors_with
        mean_reduction = error_reductions.mean(axis=0)
        is_significant = mean_reduction > MIN_STANDARD_ERRORS * error_reductions.std(
            axis=0, ddof=1
        ) / np.sqrt(len(error_reductions))
        is_accepted = is_significant & (
            mean_reduction > MIN_ERROR_REDUCTION * errors_without.mean(axis=0)
        )
        error = float(np.where(is_accepted, errors_with, errors_without).mean(axis=0).sum())
        if is_accepted.any() and error < lowest_error:
            profile = np.where(is_accepted[:, np.newaxis], _fit_profile(mean_residuals), 0.0)
            best_season, lowest_error = Season(np.ascontiguousarray(profile), grid.period), error
    return best_season


def season_deviation(
    columns: NDArray[np.float64], event_time: NDArray[np.int64], season: Season
) -> NDArray[np.float64]:
    """Return columns (n, k) minus their mean in the same bin of the season."""
    bins = season.profile.shape[1]
    bin_of_row = bins_at(event_time, season.period, bins)
    row_counts = np.maximum(np.bincount(bin_of_row, minlength=bins), 1)
    bin_means = [
        np.bincount(bin_of_row, column, minlength=bins) / row_counts for column in columns.T
    ]
    result: NDArray[np.float64] = columns - np.stack(bin_means, axis=1)[bin_of_row]
    return result


def _cycle_grids(event_time: NDArray[np.int64], step: float) -> Iterator[_CycleGrid]:
    """Yield a grid for each period and number of bins if the times span enough whole cycles."""
    # The first rows of each sensor only fill its lagged rows; their times are not in `event_time`.
    span = int(event_time.max()) - int(event_time.min()) + (1 + N_LAGS) * step
    for period, bins in [(DAY, n) for n in DAILY_BINS] + [(WEEK, 7 * DAILY_BINS[0])]:
        if step <= 0 or span < MIN_CYCLES * period or period / bins < step:
            continue
        cycle_numbers, cycle = np.unique(event_time // period, return_inverse=True)
        if len(cycle_numbers) >= MIN_CYCLES:
            yield _CycleGrid(
                period, bins, cycle, len(cycle_numbers), bins_at(event_time, period, bins)
            )


def _cell_means(residuals: NDArray[np.float64], grid: _CycleGrid) -> NDArray[np.float64]:
    """Return the mean residual of each cell (signals, cycles, bins); NaN if a cell has no rows."""
    cell_of_row = grid.cycle * grid.bins + grid.bin
    cell_count = grid.cycles * grid.bins
    row_counts = np.bincount(cell_of_row, minlength=cell_count)
    residual_sums = np.stack(
        [np.bincount(cell_of_row, column, minlength=cell_count) for column in residuals.T]
    )
    mean_residuals = np.where(row_counts > 0, residual_sums / np.maximum(row_counts, 1), np.nan)
    return mean_residuals.reshape(-1, grid.cycles, grid.bins)


def _fit_profile(mean_residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the profile (signals, bins): medians over the cycles, shrunk towards 0.

    A median is shrunk more if its sampling variance is higher. Medians are robust against one
    faulty cycle. The profile is 0 in a bin that has rows in fewer than two cycles.
    """
    has_rows = np.isfinite(mean_residuals)
    cycle_counts = has_rows.sum(axis=1)
    medians = _median_over_cycles(mean_residuals)
    deviations = np.abs(mean_residuals - medians[:, np.newaxis, :])
    spread = np.stack(
        [
            MAD_TO_SIGMA * np.median(signal_deviations[signal_has_rows])
            for signal_deviations, signal_has_rows in zip(deviations, has_rows, strict=True)
        ]
    )
    variance = MEDIAN_VARIANCE * spread[:, np.newaxis] ** 2 / np.maximum(cycle_counts - 1, 1)
    shrinkage = np.maximum(1.0 - variance / np.maximum(medians**2, 1e-12), 0.0)
    profile: NDArray[np.float64] = np.where(cycle_counts >= 2, shrinkage * medians, 0.0)
    return profile


def _median_over_cycles(mean_residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median (signals, bins) over the cycles; 0 if a bin has rows in no cycle."""
    sorted_means = np.sort(mean_residuals, axis=1)  # NaN comes last
    cycle_counts = np.isfinite(mean_residuals).sum(axis=1, keepdims=True)
    lower_median = np.take_along_axis(sorted_means, np.maximum(cycle_counts - 1, 0) // 2, axis=1)
    upper_median = np.take_along_axis(
        sorted_means, np.minimum(cycle_counts // 2, mean_residuals.shape[1] - 1), axis=1
    )
    midpoints = (lower_median + upper_median) / 2
    medians: NDArray[np.float64] = np.where(cycle_counts > 0, midpoints, 0.0)[:, 0]
    return medians


def _cross_validated_errors(
    residuals: NDArray[np.float64], mean_residuals: NDArray[np.float64], grid: _CycleGrid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the clipped mean squared errors (groups, signals) without and with a season.

    For each group of cycles, the season is the profile that was fitted on the other groups.
    """
    error_limits = ERROR_CLIP * _robust_scales(residuals)
    groups = min(grid.cycles, MAX_CV_GROUPS)
    group_of_cycle = np.arange(grid.cycles) % groups
    errors_without, errors_with = (
        np.empty((groups, residuals.shape[1])),
        np.empty((groups, residuals.shape[1])),
    )
    for group_number in range(groups):
        rows = group_of_cycle[grid.cycle] == group_number
        profile = _fit_profile(mean_residuals[:, group_of_cycle != group_number])
        predicted_residuals = profile[:, grid.bin[rows]].T
        errors_without[group_number] = _clipped_squared_error(residuals[rows], error_limits)
        errors_with[group_number] = _clipped_squared_error(
            residuals[rows] - predicted_residuals, error_limits
        )
    return errors_without, errors_with


def _clipped_squared_error(
    errors: NDArray[np.float64], error_limits: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray((np.minimum(np.abs(errors), error_limits) ** 2).mean(axis=0))


def _robust_scales(residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scale (signals,) of the residuals, robust against outliers."""
    mad_scales = MAD_TO_SIGMA * np.median(np.abs(residuals - np.median(residuals, axis=0)), axis=0)
    return np.where(mad_scales > 0, mad_scales, residuals.std(axis=0))
