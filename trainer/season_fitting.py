"""Fit a season to residuals; it is accepted only if it predicts cycles outside its fit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.civil_clock import UTC_CLOCK, CivilClock
from sensorwatch.common.model.forecast import N_LAGS
from sensorwatch.common.model.season import DAY, WEEK, Season, no_season
from sensorwatch.trainer.season_cycles import (
    DAYS_OF_WEEK,
    FIRST_WEEKEND_DAY,
    Cycle,
    CycleGrid,
    cycle_grids,
)

MIN_ERROR_REDUCTION = 0.05
"""A season is accepted only if it removes at least this share of a signal's squared error.

The error is measured on cycles that the season was not fitted on."""
MIN_STANDARD_ERRORS = 2.0
"""A season is accepted only if it reduces the mean error by more than this many standard errors.

The mean and its standard error are computed over the groups of cycles."""
MAX_CYCLE_GROUPS = 10
"""Maximum number of groups of cycles in the cross-validation."""
MAX_RESIDUAL_SCALES = 4.0
"""Multiple of their robust scale at which residuals are clipped before they are squared."""
MEDIAN_TO_MEAN_VARIANCE = np.pi / 2
"""For normal values, the variance of the median divided by the variance of the mean."""
MAD_TO_SIGMA = 1.4826
"""For normal values, the standard deviation divided by the median absolute deviation."""


@dataclass(frozen=True, slots=True)
class CycleFit:
    """The quality of one cycle: the share of each signal's error that it explains."""

    cycle: Cycle
    explained: NDArray[np.float64]
    """Shape (signals,). Share of the squared error that the season removes, on cycles that it was
    not fitted on; negative if it adds error."""
    standard_errors: NDArray[np.float64]
    """Shape (signals,). The removed error divided by its standard error over groups of cycles."""
    is_accepted: NDArray[np.bool_]
    """Shape (signals,). Whether the season of the signal is accepted."""


@dataclass(frozen=True, slots=True)
class SeasonFit:
    """A fitted season, and the quality of each tried cycle."""

    season: Season
    chosen_cycle: CycleFit | None
    """None if there is no season."""
    tried_cycles: tuple[CycleFit, ...]
    """The cycles for which there were enough rows, each with its best number of bins."""
    span: float
    """Time from the first row to the last one, in microseconds."""
    step: float
    """Median time between two rows of a sensor, in microseconds."""


@dataclass(frozen=True, slots=True)
class _GridFit:
    """The season that was fitted with one grid, and its errors."""

    fit: CycleFit
    profile: NDArray[np.float64]
    """Shape (signals, bins)."""
    errors: NDArray[np.float64]
    """Shape (groups,). Squared error of each group of cycles, summed over the signals."""
    errors_without: NDArray[np.float64]
    """Shape (groups,). Same as `errors`, but without a season."""

    @property
    def error(self) -> float:
        """The mean squared error with the season."""
        return float(self.errors.mean())


def fit_season(
    residuals: NDArray[np.float64],
    event_time: NDArray[np.int64],
    step: float,
    clock: CivilClock = UTC_CLOCK,
) -> SeasonFit:
    """Fit the season of residuals (n, signals) at times (n,) in microseconds UTC.

    `residuals`: in units of the sensor's scale. `step`: median time between two rows of a sensor in
    microseconds. No bin is shorter than a step. `clock`: the civil time of days and weeks. The
    error of each cycle is measured with a profile that was fitted on other cycles
    (cross-validation). A signal gets a season only if the profile reduces its error significantly.
    """
    # `event_time` lacks the first rows of each sensor, which only fill its lagged rows.
    span = int(event_time.max()) - int(event_time.min()) + (1 + N_LAGS) * step
    best: _GridFit | None = None
    daily_errors: NDArray[np.float64] | None = None
    fits: dict[Cycle, CycleFit] = {}
    for grid in cycle_grids(clock.local_time(event_time), step, span):
        grid_fit = _fit_grid(residuals, grid)
        fit = grid_fit.fit
        if fit.cycle not in fits or fit.explained.max() > fits[fit.cycle].explained.max():
            fits[fit.cycle] = fit
        if daily_errors is None:
            daily_errors = grid_fit.errors_without
        if fit.cycle is Cycle.DAY_TYPE and not _is_smaller(grid_fit.errors, daily_errors):
            continue
        if fit.is_accepted.any() and (best is None or grid_fit.error < best.error):
            best = grid_fit
        if fit.cycle is Cycle.DAY and grid_fit.error < daily_errors.mean():
            daily_errors = grid_fit.errors
    tried_cycles = tuple(fits.values())
    if best is None:
        return SeasonFit(no_season(residuals.shape[1]), None, tried_cycles, span, step)
    return SeasonFit(_season_of_fit(best, clock), best.fit, tried_cycles, span, step)


def _is_smaller(errors: NDArray[np.float64], other_errors: NDArray[np.float64]) -> bool:
    """Return whether `errors` of groups of cycles are significantly smaller than `other_errors`."""
    reductions = other_errors - errors
    standard_error = reductions.std(ddof=1) / np.sqrt(len(reductions))
    return bool(reductions.mean() > MIN_STANDARD_ERRORS * standard_error)


def _fit_grid(residuals: NDArray[np.float64], grid: CycleGrid) -> _GridFit:
    mean_residuals = _cell_means(residuals, grid)
    errors_without, errors_with = _cross_validated_errors(residuals, mean_residuals, grid)
    error_reductions = errors_without - errors_with
    mean_reduction = error_reductions.mean(axis=0)
    standard_error = error_reductions.std(axis=0, ddof=1) / np.sqrt(len(error_reductions))
    mean_error = errors_without.mean(axis=0)
    is_accepted = (mean_reduction > MIN_STANDARD_ERRORS * standard_error) & (
        mean_reduction > MIN_ERROR_REDUCTION * mean_error
    )
    smallest_positive = np.finfo(np.float64).tiny
    return _GridFit(
        CycleFit(
            grid.kind,
            mean_reduction / np.maximum(mean_error, smallest_positive),
            mean_reduction / np.maximum(standard_error, smallest_positive),
            is_accepted,
        ),
        np.where(is_accepted[:, np.newaxis], _fit_profile(mean_residuals), 0.0),
        np.where(is_accepted, errors_with, errors_without).sum(axis=1),
        errors_without.sum(axis=1),
    )


def _season_of_fit(grid_fit: _GridFit, clock: CivilClock) -> Season:
    profile = grid_fit.profile
    if grid_fit.fit.cycle is Cycle.DAY_TYPE:
        working_day, weekend = np.split(profile, 2, axis=1)
        days = [weekend if day >= FIRST_WEEKEND_DAY else working_day for day in DAYS_OF_WEEK]
        profile = np.concatenate(days, axis=1)
    period = DAY if grid_fit.fit.cycle is Cycle.DAY else WEEK
    return Season(np.ascontiguousarray(profile), period, clock)


def season_deviation(
    columns: NDArray[np.float64], event_time: NDArray[np.int64], season: Season
) -> NDArray[np.float64]:
    """Return columns (n, k) minus the column's mean over the same bin of the season."""
    bins = season.profile.shape[1]
    bin_of_row = season.phases(event_time)
    row_counts = np.maximum(np.bincount(bin_of_row, minlength=bins), 1)
    bin_means = [
        np.bincount(bin_of_row, column, minlength=bins) / row_counts for column in columns.T
    ]
    result: NDArray[np.float64] = columns - np.stack(bin_means, axis=1)[bin_of_row]
    return result


def _cell_means(residuals: NDArray[np.float64], grid: CycleGrid) -> NDArray[np.float64]:
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
    variance = (
        MEDIAN_TO_MEAN_VARIANCE * spread[:, np.newaxis] ** 2 / np.maximum(cycle_counts - 1, 1)
    )
    shrinkage = np.maximum(1.0 - variance / np.maximum(medians**2, 1e-12), 0.0)
    profile: NDArray[np.float64] = np.where(cycle_counts >= 2, shrinkage * medians, 0.0)
    return profile


def _median_over_cycles(mean_residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median (signals, bins) over the cycles; 0 for a bin without rows in any cycle."""
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
    residuals: NDArray[np.float64], mean_residuals: NDArray[np.float64], grid: CycleGrid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the clipped mean squared errors (groups, signals) without and with a season.

    For each group of cycles, the season is the profile that was fitted on the other groups.
    """
    error_limits = MAX_RESIDUAL_SCALES * _robust_scales(residuals)
    groups = min(grid.cycles, MAX_CYCLE_GROUPS)
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
