"""How rows differ from their forecast."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.model.season import bin_at
from sensorwatch.common.scoring.recall import Recalled
from sensorwatch.common.scoring.status import STATUSES, Status

_SCORED = STATUSES.index(Status.SCORED)


@dataclass(frozen=True, slots=True)
class Residuals:
    """How n rows differ from what was expected of them."""

    expected: NDArray[np.float64]
    """(n, signals) forecast in scales; 0 (the location) of a row without memory."""
    residual: NDArray[np.float64]
    """(n, signals) standard - expected."""
    whitened: NDArray[np.float64]
    """(n, signals) whitened; 0 of a row without memory."""
    distance: NDArray[np.float64]
    """(n,) Mahalanobis: the length of what is whitened."""
    stuck: NDArray[np.float64]
    """(n,) nats that the longest exact repeat of a signal says."""


def residuals(forecast: Forecast, recalled: Recalled) -> Residuals:
    """Compare rows with their forecast; a row without memory is compared with its level."""
    n, signals = len(recalled.slots), len(forecast.spread)
    result = Residuals(
        expected=np.zeros((n, signals)),
        residual=np.empty((n, signals)),
        whitened=np.zeros((n, signals)),
        distance=np.empty(n),
        stuck=np.zeros(n),
    )
    _residuals(
        recalled.standardised,
        recalled.lagged,
        recalled.repeats,
        recalled.status == _SCORED,
        recalled.event_time,
        forecast.season.profile,
        forecast.season.period,
        forecast.coefficients,
        forecast.whitening,
        forecast.ground,
        forecast.surprise,
        result.expected,
        result.residual,
        result.whitened,
        result.distance,
        result.stuck,
    )
    return result


# No BLAS: its last bit depends on how many rows a call has. Each sum runs in one fixed order.
@kernel
def _residuals(  # type: ignore[no-untyped-def]
    standardised, lagged, repeats, scored, event_time, profile, period, coefficients, whitening, ground,
    surprise, expected, residual, whitened, distance, stuck,
):  # fmt: skip
    signals, contexts = residual.shape[1], standardised.shape[1] - residual.shape[1]
    n_lagged = lagged.shape[1]
    repeat_nats_allowed = repeat_allowance(surprise)
    for row in range(len(scored)):
        if scored[row]:
            phase = bin_at(event_time[row], period, profile.shape[1])
            for signal in range(signals):
                total = coefficients[signal, 0] + profile[signal, phase]
                for column in range(n_lagged):
                    total += coefficients[signal, 1 + column] * lagged[row, column]
                for column in range(contexts):
                    context_value = standardised[row, signals + column]
                    total += coefficients[signal, 1 + n_lagged + column] * context_value
                expected[row, signal] = total
                stuck[row] = max(
                    stuck[row], repeats[row, signal] * surprise[signal] - repeat_nats_allowed
                )
        for signal in range(signals):
            residual[row, signal] = standardised[row, signal] - expected[row, signal]
        squares = 0.0
        for i in range(signals):
            total = 0.0
            for j in range(signals):
                weight = whitening[i, j] if scored[row] else ground[i, j]
                total += weight * residual[row, j]
            squares += total * total
            if scored[row]:
                whitened[row, i] = total
        distance[row] = np.sqrt(squares)


@inlined_kernel
def repeat_allowance(surprise):  # type: ignore[no-untyped-def]
    """Nats that a repeat does not count: of more signals, one repeats by chance more often."""
    informative = 0
    for signal in range(len(surprise)):
        informative += surprise[signal] > 0
    return np.log(max(informative, 1))
