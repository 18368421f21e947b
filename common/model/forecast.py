"""What each signal should have been, from the rows before it: a frozen ridge VAR and a season."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.season import Season, season_of

LAGS = 2
"""Number of previous rows of a sensor that the forecast uses."""


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


def forecast_of(arrays: dict[str, NDArray[Any]], *, signals: int, contexts: int) -> Forecast:
    """Build a forecast from stored arrays; raises ModelRefused where they are damaged."""
    inputs = 1 + LAGS * (signals + contexts) + contexts
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
