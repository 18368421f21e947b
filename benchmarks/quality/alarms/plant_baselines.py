"""Classical multivariate monitoring: VAR(1) residuals, principal components, and CVA."""

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from benchmarks.quality.alarms.sensor_rows import SensorRows

SMOOTHING_SPAN = 10
RIDGE = 1.0
"""Ridge penalty of the VAR(1) coefficients, for standardised values."""
EXPLAINED_SHARE = 0.9
"""Share of the variance that the principal components explain."""
LIMIT_QUANTILE = 0.99
CVA_LAGS, CVA_STATES = 2, 8
"""Rows in the past and in the future of a row, and number of canonical variates."""


def var_distance(rows: SensorRows) -> NDArray[np.float64]:
    """Return the smoothed Mahalanobis distance (m,) of the residuals of a ridge VAR(1).

    The covariance of the residuals is shrunk as by Ledoit and Wolf (2004).
    """
    values = _standardised(rows)
    past, present = values[:-1], values[1:]
    n = rows.train_rows - 1
    gram = past[:n].T @ past[:n] + RIDGE * np.eye(values.shape[1])
    coefficients = np.linalg.solve(gram, past[:n].T @ present[:n])
    residuals = present - past @ coefficients
    covariance = LedoitWolf().fit(residuals[:n])
    distance = np.asarray(covariance.mahalanobis(residuals))
    return _smoothed_score(distance)[n:]


def principal_components(rows: SensorRows) -> NDArray[np.float64]:
    """Return T2 + Q (m,), each divided by its 99 % quantile in training."""
    values = _standardised(rows)
    training = values[: rows.train_rows]
    _, singular_values, directions = np.linalg.svd(training, full_matrices=False)
    variances = singular_values**2 / len(training)
    component_count = 1 + int(
        np.searchsorted(np.cumsum(variances) / variances.sum(), EXPLAINED_SHARE)
    )
    scores = values @ directions[:component_count].T
    t2 = (scores**2 / variances[:component_count]).sum(axis=1)
    q = ((values - scores @ directions[:component_count]) ** 2).sum(axis=1)
    return _sum_of_shares(t2, q, rows.train_rows)


def canonical_variates(rows: SensorRows) -> NDArray[np.float64]:
    """Return T2 of the states + Q (m,) of canonical variate analysis, each divided by its limit.

    The states are the combinations of a row's past that predict its future best. See Russell,
    Chiang and Braatz (2000). The covariances are shrunk, because there are few rows.
    """
    values = _standardised(rows)
    lagged = np.concatenate(
        [values[lag : len(values) - CVA_LAGS + 1 + lag] for lag in reversed(range(CVA_LAGS))],
        axis=1,
    )
    past, future = lagged[:-CVA_LAGS], lagged[CVA_LAGS:]
    n = rows.train_rows - 2 * CVA_LAGS + 1
    covariance = LedoitWolf().fit(np.concatenate([past[:n], future[:n]], axis=1)).covariance_
    size = past.shape[1]
    past_root = _inverse_root(covariance[:size, :size])
    future_root = _inverse_root(covariance[size:, size:])
    _, _, right = np.linalg.svd(future_root @ covariance[size:, :size] @ past_root)
    whitened = lagged @ past_root
    states = whitened @ right[:CVA_STATES].T
    t2 = (states**2).sum(axis=1)
    q = ((whitened - states @ right[:CVA_STATES]) ** 2).sum(axis=1)
    # Row i of `lagged` ends with row i + CVA_LAGS - 1 of the values.
    return _sum_of_shares(t2, q, rows.train_rows - CVA_LAGS + 1)


def _standardised(rows: SensorRows) -> NDArray[np.float64]:
    training = rows.training.values
    standardised: NDArray[np.float64] = (
        rows.readings.values - training.mean(axis=0)
    ) / training.std(axis=0)
    return standardised


def _smoothed_score(score: NDArray[np.float64]) -> NDArray[np.float64]:
    smoothed, value = np.empty_like(score), float(score[0])
    weight = 2.0 / (SMOOTHING_SPAN + 1.0)
    for row, row_score in enumerate(score.tolist()):
        value += weight * (row_score - value)
        smoothed[row] = value
    return smoothed


def _sum_of_shares(
    t2: NDArray[np.float64], q: NDArray[np.float64], train_rows: int
) -> NDArray[np.float64]:
    """Return the sum of both statistics for the later rows, each divided by its training limit."""
    total = sum(
        statistic / np.quantile(statistic[:train_rows], LIMIT_QUANTILE) for statistic in (t2, q)
    )
    return np.asarray(total)[train_rows:]


def _inverse_root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(covariance)
    root: NDArray[np.float64] = (vectors / np.sqrt(values)) @ vectors.T
    return root
