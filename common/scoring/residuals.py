"""The residuals: the differences between the standardised signals of rows and the forecast."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.scoring.recall import RecalledRows
from sensorwatch.common.scoring.status import STATUSES, Status

_SCORED = STATUSES.index(Status.SCORED)


@dataclass(frozen=True, slots=True)
class Residuals:
    """The forecast and the residuals of n rows, in scales."""

    expected: NDArray[np.float64]
    """Shape (n, signals). Forecast of the standardised signals; 0 for a row without memory."""
    residual: NDArray[np.float64]
    """Shape (n, signals). Standardised signals minus `expected`."""
    whitened: NDArray[np.float64]
    """Shape (n, signals). Whitened residuals; 0 if the row is scored without memory."""
    conditional: NDArray[np.float64]
    """Shape (n, signals). Residual of each signal minus its expectation given the residuals of the
    other signals, in standard deviations; 0 if the row is scored without memory."""
    distance: NDArray[np.float64]
    """Shape (n,). Mahalanobis distance: the norm of the whitened residuals.

    For a row without memory, this is the norm of the whitened standardised signals.
    """
    stuck: NDArray[np.float64]
    """Shape (n,). Rarity of the rarest run of exact repeats of a signal, in nats; 0 without
    memory."""


def compute_residuals(forecast: Forecast, recalled: RecalledRows) -> Residuals:
    """Return the residuals of rows; a row without memory is compared with the sensor's location."""
    n, signals = len(recalled.slots), len(forecast.spread)
    residuals = Residuals(
        expected=np.zeros((n, signals)),
        residual=np.empty((n, signals)),
        whitened=np.zeros((n, signals)),
        conditional=np.zeros((n, signals)),
        distance=np.empty(n),
        stuck=np.zeros(n),
    )
    rows = _Rows(
        standardised=recalled.standardised,
        lagged=recalled.lagged,
        repeats=recalled.repeats,
        is_scored=recalled.status == _SCORED,
        phase=forecast.season.phases(recalled.event_time),
    )
    parameters = _Parameters(
        coefficients=forecast.coefficients,
        whitening=forecast.whitening,
        signal_whitening=forecast.signal_whitening,
        repeat_nats=forecast.repeat_nats,
        profile=forecast.season.profile,
    )
    outputs = _Outputs(
        residuals.expected,
        residuals.residual,
        residuals.whitened,
        residuals.conditional,
        residuals.distance,
        residuals.stuck,
    )
    _compute_rows(rows, parameters, outputs)
    return residuals


class _Rows(NamedTuple):
    """The kernel's input of n rows; see `RecalledRows` for shapes and units."""

    standardised: NDArray[np.float64]
    lagged: NDArray[np.float64]
    repeats: NDArray[np.int64]
    is_scored: NDArray[np.bool_]
    """Shape (n,). Whether the row has status SCORED."""
    phase: NDArray[np.int64]
    """Shape (n,). Bin of the season."""


class _Parameters(NamedTuple):
    """The kernel's parameters; see `Forecast` and `Season` for shapes and units."""

    coefficients: NDArray[np.float64]
    whitening: NDArray[np.float64]
    signal_whitening: NDArray[np.float64]
    repeat_nats: NDArray[np.float64]
    profile: NDArray[np.float64]


class _Outputs(NamedTuple):
    """The kernel's output for n rows; see `Residuals` for shapes and units."""

    expected: NDArray[np.float64]
    residual: NDArray[np.float64]
    whitened: NDArray[np.float64]
    conditional: NDArray[np.float64]
    distance: NDArray[np.float64]
    stuck: NDArray[np.float64]


# The kernel sums in a fixed order and does not use BLAS, because the last bit of BLAS results
# depends on the number of rows.
@kernel
def _compute_rows(rows, parameters, outputs):  # type: ignore[no-untyped-def]
    standardised, lagged, repeats, is_scored, phase = rows
    coefficients, whitening, signal_whitening, repeat_nats, profile = parameters
    expected, residual, whitened, conditional, distance, stuck = outputs
    signals, contexts = residual.shape[1], standardised.shape[1] - residual.shape[1]
    n_lagged = lagged.shape[1]
    allowance = repeat_allowance(repeat_nats)
    norms = np.ones(signals)
    _write_column_norms(whitening, norms)
    for row in range(len(is_scored)):
        if is_scored[row]:
            for signal in range(signals):
                total = coefficients[signal, 0] + profile[signal, phase[row]]
                for column in range(n_lagged):
                    total += coefficients[signal, 1 + column] * lagged[row, column]
                for column in range(contexts):
                    context_value = standardised[row, signals + column]
                    total += coefficients[signal, 1 + n_lagged + column] * context_value
                expected[row, signal] = total
                stuck[row] = max(stuck[row], repeats[row, signal] * repeat_nats[signal] - allowance)
        for signal in range(signals):
            residual[row, signal] = standardised[row, signal] - expected[row, signal]
        distance[row] = _whiten(
            whitening if is_scored[row] else signal_whitening, residual[row], whitened[row]
        )
        if not is_scored[row]:
            whitened[row] = 0.0
        if is_scored[row]:
            _write_conditional(whitening, norms, whitened[row], conditional[row])


@inlined_kernel
def _whiten(whitening, residual, whitened):  # type: ignore[no-untyped-def]
    """Write the whitened residuals of one row; return their norm."""
    squares = 0.0
    for i in range(len(residual)):
        total = 0.0
        for j in range(len(residual)):
            total += whitening[i, j] * residual[j]
        squares += total * total
        whitened[i] = total
    return np.sqrt(squares)


@inlined_kernel
def _write_conditional(whitening, norms, whitened, conditional):  # type: ignore[no-untyped-def]
    """Write the conditional residuals of one row, see `Residuals.conditional`."""
    for signal in range(len(conditional)):
        total = 0.0
        for i in range(len(conditional)):
            total += whitening[i, signal] * whitened[i]
        conditional[signal] = total / norms[signal]


@inlined_kernel
def _write_column_norms(matrix, norms):  # type: ignore[no-untyped-def]
    """Write the norm of each column that is not 0 into `norms` (columns,)."""
    for column in range(matrix.shape[1]):
        squares = 0.0
        for row in range(matrix.shape[0]):
            squares += matrix[row, column] * matrix[row, column]
        if squares > 0.0:
            norms[column] = np.sqrt(squares)


@inlined_kernel
def repeat_allowance(repeat_nats):  # type: ignore[no-untyped-def]
    """Return the rarity, in nats, above which a run of repeats counts.

    The limit increases with the number of signals, because with more signals a repeat by chance is
    more frequent. Signals whose repeats have a rarity of 0 nats are ignored.
    """
    repeating_signals = 0
    for signal in range(len(repeat_nats)):
        repeating_signals += repeat_nats[signal] > 0
    return np.log(max(repeating_signals, 1))
