"""The ridge VAR and season that forecast a row, and the whitening of what they do not foresee."""

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.model.season import Season
from sensorwatch.common.scoring.recall import Recalled
from sensorwatch.trainer.season_fitting import fit_season, within

PENALTIES = tuple(10.0**power for power in range(-4, 3))
"""Tried per input; generalised cross-validation chooses (Golub, Heath, Wahba 1979)."""
LEAST_VARIANCE = 1e-6
"""Of a whitened direction: two signals that are copies must not divide by zero."""
MOST_SURPRISE = 3.0
"""Nats that one exact repeat says at the most: it takes a few to call a signal stuck."""


def fit_forecast(recalled: Recalled, scored: NDArray[np.bool_]) -> Forecast:
    """Fit the forecast on the rows with memory (`scored` (n,), at least 2 of them)."""
    signals = recalled.repeats.shape[1]
    standardised = recalled.standardised[scored]
    wanted = standardised[:, :signals]
    inputs = np.concatenate([recalled.lagged[scored], standardised[:, signals:]], axis=1)
    coefficients, season, left = _fit_means(
        inputs, wanted, recalled.event_time[scored], recalled.slots[scored]
    )
    return Forecast(
        coefficients=np.ascontiguousarray(coefficients),
        whitening=_whitening(left),
        spread=np.sqrt(np.maximum(left.var(axis=0), LEAST_VARIANCE)),
        ground=_whitening(wanted - wanted.mean(axis=0)),
        surprise=_surprise(recalled, scored),
        season=season,
    )


def _fit_means(
    inputs: NDArray[np.float64],
    wanted: NDArray[np.float64],
    event_time: NDArray[np.int64],
    slots: NDArray[np.int64],
) -> tuple[NDArray[np.float64], Season, NDArray[np.float64]]:
    """Fit lags and season; return the coefficients, the season, and what both leave.

    Where there is a season, the lags are fitted to how rows differ from others of their time of
    the cycle (Frisch and Waugh 1933): a sharp hour would tell them that nothing lasts.
    """
    step = _usual_step(event_time, slots)
    plain = _ridge(inputs, wanted)
    plainly = _left(inputs, wanted, plain)
    rough = fit_season(plainly, event_time, step)
    if not rough.is_present:
        return plain, rough, plainly
    coefficients = _ridge(within(inputs, event_time, rough), within(wanted, event_time, rough))
    coefficients[:, 0] = 0.0
    coefficients[:, 0] = np.median(_left(inputs, wanted, coefficients), axis=0)
    left = _left(inputs, wanted, coefficients)
    season = fit_season(left, event_time, step)
    if not season.is_present:
        return plain, season, plainly
    return coefficients, season, left - season.at(event_time)


def _left(
    inputs: NDArray[np.float64], wanted: NDArray[np.float64], coefficients: NDArray[np.float64]
) -> NDArray[np.float64]:
    found: NDArray[np.float64] = wanted - coefficients[:, 0] - inputs @ coefficients[:, 1:].T
    return found


def _usual_step(event_time: NDArray[np.int64], slots: NDArray[np.int64]) -> float:
    """Return the median time between two rows of a sensor, microseconds; 0 if nobody has two."""
    order = np.argsort(slots, kind="stable")
    steps = np.diff(event_time[order])[np.diff(slots[order]) == 0]
    return float(np.median(steps)) if len(steps) else 0.0


def _ridge(inputs: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (signals, 1 + inputs): what to add up, the constant first."""
    rows = len(inputs)
    middle, aim = inputs.mean(axis=0), wanted.mean(axis=0)
    centred, target = inputs - middle, wanted - aim
    squares, axes = np.linalg.eigh(centred.T @ centred)
    squares = np.maximum(squares, 0.0)
    along = axes.T @ (centred.T @ target)
    total = float((target**2).sum())
    best, weights = np.inf, np.zeros_like(along)
    for penalty in PENALTIES:
        shrunk = squares + penalty * inputs.shape[1]
        freedom = float((squares / shrunk).sum()) + 1.0
        if freedom >= rows - 1:
            continue
        left = total - float(((2.0 / shrunk - squares / shrunk**2)[:, None] * along**2).sum())
        criterion = max(left, 0.0) / (1.0 - freedom / rows) ** 2
        if criterion < best:
            best, weights = criterion, axes @ (along / shrunk[:, None])
    return np.concatenate([(aim - middle @ weights)[:, None], weights.T], axis=1)


def _whitening(left: NDArray[np.float64]) -> NDArray[np.float64]:
    covariance, _ = ledoit_wolf(left, assume_centered=True)
    variances, axes = np.linalg.eigh(covariance)
    scaled = axes / np.sqrt(np.maximum(variances, LEAST_VARIANCE))
    return np.ascontiguousarray(scaled @ axes.T)


def _surprise(recalled: Recalled, scored: NDArray[np.bool_]) -> NDArray[np.float64]:
    """-ln of how often each signal repeats its value exactly (with Laplace's rule of succession).

    A signal that never changed says nothing by not changing.
    """
    repeats = (recalled.repeats[scored] > 0).sum(axis=0)
    rows = int(scored.sum())
    signals = recalled.repeats.shape[1]
    constant = np.ptp(recalled.measured[scored][:, :signals], axis=0) == 0
    surprise = np.minimum(-np.log((repeats + 1.0) / (rows + 2.0)), MOST_SURPRISE)
    found: NDArray[np.float64] = np.where(constant, 0.0, surprise)
    return found
