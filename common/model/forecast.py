"""What each signal should have been, from the rows before it: a frozen ridge VAR and a season."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.kernels import kernel, part
from sensorwatch.common.model.season import Season, bin_at, season_of
from sensorwatch.common.scoring.memory_layout import LAGS, Layout
from sensorwatch.common.scoring.recall import STATUSES, Recalled, Status

_SCORED = STATUSES.index(Status.SCORED)


@dataclass(frozen=True, slots=True)
class Forecast:
    """One-step forecast of the standard signals, coefficients frozen between trainings."""

    coefficients: NDArray[np.float64]
    """(signals, 1 + LAGS * columns + contexts) of 1, the rows before, and the context now."""
    whitening: NDArray[np.float64]
    """(signals, signals) turns residuals into uncorrelated ones of spread 1."""
    spread: NDArray[np.float64]
    """(signals,) of the residuals, in scales."""
    ground: NDArray[np.float64]
    """(signals, signals) whitens the standard signals themselves: for rows without memory."""
    surprise: NDArray[np.float64]
    """(signals,) what one exact repeat says, in nats: -ln of how often one happens."""
    season: Season
    """What the rows before do not tell, but the time does."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as they are stored."""
        own = {f"forecast_{name}": getattr(self, name) for name in _SHAPES}
        return own | self.season.arrays()


_SHAPES = ("coefficients", "whitening", "spread", "ground", "surprise")


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


def forecast_of(arrays: dict[str, NDArray[Any]], layout: Layout) -> Forecast:
    """Build a forecast from stored arrays; raises ModelRefused where they are damaged."""
    signals = len(layout.signals)
    inputs = 1 + LAGS * layout.columns + len(layout.contexts)
    shapes = [(signals, inputs), (signals, signals), (signals,), (signals, signals), (signals,)]
    found = {}
    for name, shape in zip(_SHAPES, shapes, strict=True):
        array = arrays.get(f"forecast_{name}")
        if array is None or array.dtype != np.float64 or array.shape != shape:
            raise ModelRefused(f"the forecast's {name} is not float64 of shape {shape}")
        if not np.all(np.isfinite(array)):
            raise ModelRefused(f"the forecast's {name} are not finite")
        found[name] = array
    return Forecast(**found, season=season_of(arrays, signals))


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
