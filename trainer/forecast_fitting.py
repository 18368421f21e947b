"""Fit the forecast: ridge regression on lagged rows, the season, and whitening of residuals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from sensorwatch.common.model.civil_clock import UTC_CLOCK, CivilClock
from sensorwatch.common.model.forecast import N_LAGS, Forecast
from sensorwatch.common.scoring.recall import RecalledRows
from sensorwatch.trainer.season_fitting import SeasonFit, fit_season, season_deviation

RIDGE_PENALTIES = tuple(10.0**exponent for exponent in range(-4, 3))
"""Ridge penalties per input. Generalised cross-validation chooses one of these penalties.

Source: Golub, Heath and Wahba 1979."""
MIN_VARIANCE = 1e-6
"""Minimum variance of a whitened direction. It prevents a division by 0 if signals are equal."""
COMPARED_ROW_SHARE = 0.3
"""Two kinds of coefficients are compared on this share of the rows, which are the newest rows."""
MIN_COMPARED_ROWS = 50
"""With fewer rows for this comparison, no signal counts as a random walk."""
MIN_WALK_GAIN = 2.0
"""A signal is a random walk if the free fit (see `_fit_lags`) has a larger mean squared error than
the forecast of its changes, by more than this factor."""
CONSTANT_SPREAD = 0.3
"""Spread of the residuals of a signal that never changed, in scales.

A changed value moves the sensor's location by up to 0.003 scales in a row. The spread is larger, so
that the alarm of a change ends after the value has returned.
"""
MAX_REPEAT_SURPRISE = 3.0
"""Maximum surprise of one exact repeat of a value, in nats.

Because of this limit, a signal must repeat its value several times before it counts as stuck."""


@dataclass(frozen=True, slots=True)
class FittedForecast:
    """A forecast, and the fit of its season."""

    forecast: Forecast
    season_fit: SeasonFit


def fit_forecast(
    recalled: RecalledRows,
    used_rows: NDArray[np.bool_],
    sines: Sequence[int] = (),
    *,
    clock: CivilClock = UTC_CLOCK,
) -> FittedForecast:
    """Fit the forecast on the rows that the mask `used_rows` (n,) selects: at least two.

    `sines`: position of the sine of each angle among the signals; the cosine follows. `clock`: the
    civil time of the season.
    """
    signals = recalled.repeats.shape[1]
    standardised_rows = recalled.standardised[used_rows]
    targets = standardised_rows[:, :signals]
    inputs = np.concatenate([recalled.lagged[used_rows], standardised_rows[:, signals:]], axis=1)
    coefficients, season_fit, residuals = _fit_lags_and_season(
        inputs, targets, recalled.event_time[used_rows], recalled.slots[used_rows], clock
    )
    min_variance = np.where(np.ptp(targets, axis=0) == 0, CONSTANT_SPREAD**2, MIN_VARIANCE)
    forecast = Forecast(
        coefficients=np.ascontiguousarray(coefficients),
        whitening=_whitening_matrix(residuals, min_variance, sines),
        spread=np.sqrt(np.maximum(residuals.var(axis=0), min_variance)),
        signal_whitening=_whitening_matrix(targets - targets.mean(axis=0), min_variance, sines),
        repeat_nats=_repeat_surprise(recalled, used_rows),
        season=season_fit.season,
    )
    return FittedForecast(forecast, season_fit)


def _fit_lags_and_season(
    inputs: NDArray[np.float64],
    targets: NDArray[np.float64],
    event_time: NDArray[np.int64],
    slots: NDArray[np.int64],
    clock: CivilClock,
) -> tuple[NDArray[np.float64], SeasonFit, NDArray[np.float64]]:
    """Return the coefficients, the season, and the residuals (n, signals) of both together.

    If there is a season, the coefficients are fitted to deviations from the mean of the same bin
    of the cycle (Frisch and Waugh 1933). Coefficients that are fitted to the values themselves
    would be too small for the lagged rows if there is a sharp daily peak.
    """
    median_step = _median_step(event_time, slots)
    lag_coefficients = _fit_lags(inputs, targets)
    lag_residuals = _fit_residuals(inputs, targets, lag_coefficients)
    first_fit = fit_season(lag_residuals, event_time, median_step, clock)
    first_season = first_fit.season
    if not first_season.is_present:
        return lag_coefficients, first_fit, lag_residuals
    coefficients = _fit_lags(
        season_deviation(inputs, event_time, first_season),
        season_deviation(targets, event_time, first_season),
    )
    coefficients[:, 0] = 0.0
    coefficients[:, 0] = np.median(_fit_residuals(inputs, targets, coefficients), axis=0)
    residuals = _fit_residuals(inputs, targets, coefficients)
    season_fit = fit_season(residuals, event_time, median_step, clock)
    if not season_fit.season.is_present:
        return lag_coefficients, season_fit, lag_residuals
    return coefficients, season_fit, residuals - season_fit.season.at(event_time)


def _fit_lags(inputs: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coefficients (signals, 1 + inputs) of rows in time order.

    A signal that moves like a random walk gets coefficients that forecast its change from the
    previous changes. This forecast does not depend on the level of the signal. A free fit forecasts
    the value from the previous values. Its coefficients have a sum slightly below 1. If the walk
    moves far away from the levels of training, this small error causes a large residual. Both kinds
    are fitted on the older rows and compared on the newest rows, see MIN_WALK_GAIN.
    """
    coefficients = _fit_ridge(inputs, targets)
    older = round((1.0 - COMPARED_ROW_SHARE) * len(inputs))
    if len(inputs) - older < MIN_COMPARED_ROWS:
        return coefficients
    errors = [
        (
            _fit_residuals(inputs[older:], targets[older:], fit(inputs[:older], targets[:older]))
            ** 2
        ).mean(axis=0)
        for fit in (_fit_ridge, _fit_changes)
    ]
    is_walk = MIN_WALK_GAIN * errors[1] < errors[0]
    if is_walk.any():
        coefficients[is_walk] = _fit_changes(inputs, targets)[is_walk]
    return coefficients


def _fit_changes(inputs: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ridge coefficients (signals, 1 + inputs) that forecast changes from changes."""
    signals = targets.shape[1]
    contexts = (inputs.shape[1] - N_LAGS * signals) // (N_LAGS + 1)
    width = signals + contexts
    newest, older = inputs[:, :width], inputs[:, width : 2 * width]
    context = inputs[:, N_LAGS * width :]
    coefficients = _fit_ridge(
        np.concatenate([newest - older, context], axis=1), targets - newest[:, :signals]
    )
    change_coefficients, context_coefficients = (
        coefficients[:, 1 : 1 + width],
        coefficients[:, 1 + width :],
    )
    newest_coefficients = change_coefficients + np.eye(signals, width)
    return np.concatenate(
        [coefficients[:, :1], newest_coefficients, -change_coefficients, context_coefficients],
        axis=1,
    )


def _fit_residuals(
    inputs: NDArray[np.float64], targets: NDArray[np.float64], coefficients: NDArray[np.float64]
) -> NDArray[np.float64]:
    result: NDArray[np.float64] = targets - coefficients[:, 0] - inputs @ coefficients[:, 1:].T
    return result


def _median_step(event_time: NDArray[np.int64], slots: NDArray[np.int64]) -> float:
    """Return the median time between consecutive rows of a sensor, in microseconds.

    Return 0 if no sensor has two rows.
    """
    order = np.argsort(slots, kind="stable")
    steps = np.diff(event_time[order])[np.diff(slots[order]) == 0]
    return float(np.median(steps)) if len(steps) else 0.0


def _fit_ridge(inputs: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ridge coefficients (signals, 1 + inputs). Column 0 is the constant term."""
    rows = len(inputs)
    input_means, target_means = inputs.mean(axis=0), targets.mean(axis=0)
    centred_inputs, centred_targets = inputs - input_means, targets - target_means
    eigenvalues, eigenvectors = np.linalg.eigh(centred_inputs.T @ centred_inputs)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    projected_targets = eigenvectors.T @ (centred_inputs.T @ centred_targets)
    total_sum_of_squares = float((centred_targets**2).sum())
    lowest_gcv_criterion, weights = np.inf, np.zeros_like(projected_targets)
    for penalty in RIDGE_PENALTIES:
        penalised_eigenvalues = eigenvalues + penalty * inputs.shape[1]
        degrees_of_freedom = float((eigenvalues / penalised_eigenvalues).sum()) + 1.0
        if degrees_of_freedom >= rows - 1:
            continue
        residual_sum_of_squares = total_sum_of_squares - float(
            (
                (2.0 / penalised_eigenvalues - eigenvalues / penalised_eigenvalues**2)[:, None]
                * projected_targets**2
            ).sum()
        )
        gcv_criterion = max(residual_sum_of_squares, 0.0) / (1.0 - degrees_of_freedom / rows) ** 2
        if gcv_criterion < lowest_gcv_criterion:
            lowest_gcv_criterion, weights = (
                gcv_criterion,
                eigenvectors @ (projected_targets / penalised_eigenvalues[:, None]),
            )
    return np.concatenate([(target_means - input_means @ weights)[:, None], weights.T], axis=1)


def _whitening_matrix(
    residuals: NDArray[np.float64], min_variance: NDArray[np.float64], sines: Sequence[int]
) -> NDArray[np.float64]:
    """Return the matrix (signals, signals) that whitens residuals.

    The matrix is computed from a shrunk covariance (Ledoit and Wolf 2004). `min_variance`: shape
    (signals,), minimum variance of each signal. `sines`: see `fit_forecast`.

    The residual of an angle is a vector. Its covariance is replaced by a multiple of the identity
    matrix with the mean squared length of the vector. The whitened vector then has a mean squared
    length of 1 or less, and its length is the distance on the circle. With their own variances, the
    cosine of an angle near 0 would have a small variance and a long tail on one side, and this tail
    would hide the faults of all signals.
    """
    covariance, _ = ledoit_wolf(residuals, assume_centered=True)
    for sine in sines:
        pair = slice(sine, sine + 2)
        covariance[pair, pair] = np.trace(covariance[pair, pair]) * np.eye(2)
    np.fill_diagonal(covariance, np.maximum(covariance.diagonal(), min_variance))
    variances, eigenvectors = np.linalg.eigh(covariance)
    scaled_eigenvectors = eigenvectors / np.sqrt(np.maximum(variances, MIN_VARIANCE))
    return np.ascontiguousarray(scaled_eigenvectors @ eigenvectors.T)


def _repeat_surprise(recalled: RecalledRows, used_rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the surprise (signals,) of an exact repeat of each signal's value, in nats.

    The surprise is -ln of the rate of exact repeats, which is estimated by Laplace's rule of
    succession. A signal that never changed gets 0.
    """
    repeats = (recalled.repeats[used_rows] > 0).sum(axis=0)
    rows = int(used_rows.sum())
    signals = recalled.repeats.shape[1]
    is_constant = np.ptp(recalled.measured[used_rows][:, :signals], axis=0) == 0
    surprise = np.minimum(-np.log((repeats + 1.0) / (rows + 2.0)), MAX_REPEAT_SURPRISE)
    result: NDArray[np.float64] = np.where(is_constant, 0.0, surprise)
    return result
