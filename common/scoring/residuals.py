"""How rows differ from their forecast."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel, part
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
    white: NDArray[np.float64]
    """(n, signals) whitened; 0 of a row without memory."""
    distance: NDArray[np.float64]
    """(n,) Mahalanobis: the length of what is whitened."""
    stuck: NDArray[np.float64]
    """(n,) nats that the longest exact repeat of a signal says."""


def residuals(forecast: Forecast, recalled: Recalled) -> Residuals:
    """Compare rows with their forecast; a row without memory is compared with its level."""
    n, signals = len(recalled.slots), len(forecast.spread)
    found = Residuals(
        expected=np.zeros((n, signals)),
        residual=np.empty((n, signals)),
        white=np.zeros((n, signals)),
        distance=np.empty(n),
        stuck=np.zeros(n),
    )
    _residuals(
        recalled.standard,
        recalled.lagged,
        recalled.runs,
        recalled.status == _SCORED,
        recalled.event_time,
        forecast.season.profile,
        forecast.season.period,
        forecast.coefficients,
        forecast.whitening,
        forecast.ground,
        forecast.surprise,
        found.expected,
        found.residual,
        found.white,
        found.distance,
        found.stuck,
    )
    return found


# No BLAS: its last bit depends on how many rows a call has. Each sum runs in one fixed order.
@kernel
def _residuals(  # type: ignore[no-untyped-def]
    standard, lagged, runs, scored, event_time, profile, period, coefficients, whitening, ground,
    surprise, expected, residual, white, distance, stuck,
):  # fmt: skip
    signals, contexts = residual.shape[1], standard.shape[1] - residual.shape[1]
    past = lagged.shape[1]
    allowed = allowance(surprise)
    for row in range(len(scored)):
        if scored[row]:
            phase = bin_at(event_time[row], period, profile.shape[1])
            for signal in range(signals):
                total = coefficients[signal, 0] + profile[signal, phase]
                for place in range(past):
                    total += coefficients[signal, 1 + place] * lagged[row, place]
                for place in range(contexts):
                    known = standard[row, signals + place]
                    total += coefficients[signal, 1 + past + place] * known
                expected[row, signal] = total
                stuck[row] = max(stuck[row], runs[row, signal] * surprise[signal] - allowed)
        for signal in range(signals):
            residual[row, signal] = standard[row, signal] - expected[row, signal]
        squares = 0.0
        for one in range(signals):
            total = 0.0
            for other in range(signals):
                weight = whitening[one, other] if scored[row] else ground[one, other]
                total += weight * residual[row, other]
            squares += total * total
            if scored[row]:
                white[row, one] = total
        distance[row] = np.sqrt(squares)


@part
def allowance(surprise):  # type: ignore[no-untyped-def]
    """Nats that a repeat does not count: of more signals, one repeats by chance more often."""
    telling = 0
    for signal in range(len(surprise)):
        telling += surprise[signal] > 0
    return np.log(max(telling, 1))
