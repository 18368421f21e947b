"""The stored one-step forecast of signals: a ridge vector autoregression and a season."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.season import Season, season_from_arrays
from sensorwatch.common.model.stored_arrays import stored_array

N_LAGS = 2
"""Number of previous rows of a sensor that the forecast uses."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Coefficients of a one-step forecast of standardised signals, fixed at training.

    The residual is the standardised signal minus its forecast.
    """

    coefficients: NDArray[np.float64]
    """Shape (signals, 1 + N_LAGS * columns + contexts).

    Columns: the intercept, the lagged rows (newest first), the context of the row itself.
    """
    whitening: NDArray[np.float64]
    """Shape (signals, signals). Maps residuals to uncorrelated values of standard deviation 1."""
    spread: NDArray[np.float64]
    """Shape (signals,). Standard deviation of the residuals of standardised signals."""
    signal_whitening: NDArray[np.float64]
    """Shape (signals, signals). Whitens standardised signals of rows scored without memory."""
    repeat_nats: NDArray[np.float64]
    """Shape (signals,). Rarity, in nats, of one exact repeat of a signal's previous value."""
    season: Season
    """Daily or weekly profile, which is added to the forecast."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the forecast by name, as a model version stores them."""
        own_arrays = {name: getattr(self, attribute) for attribute, name in _STORED_NAMES.items()}
        return own_arrays | self.season.arrays()


_STORED_NAMES = {
    "coefficients": "forecast_coefficients",
    "whitening": "forecast_whitening",
    "spread": "forecast_spread",
    "signal_whitening": "forecast_ground",
    "repeat_nats": "forecast_surprise",
}
"""For each attribute of `Forecast`, the name of its array in a model version."""


def forecast_from_arrays(
    arrays: dict[str, NDArray[Any]], *, signals: int, contexts: int
) -> Forecast:
    """Build a forecast from stored arrays; raises ModelRefused if one of them is wrong."""
    input_count = 1 + N_LAGS * (signals + contexts) + contexts
    shapes = {
        "coefficients": (signals, input_count),
        "whitening": (signals, signals),
        "spread": (signals,),
        "signal_whitening": (signals, signals),
        "repeat_nats": (signals,),
    }
    checked_arrays = {
        attribute: stored_array(arrays, name, np.float64, shapes[attribute])
        for attribute, name in _STORED_NAMES.items()
    }
    return Forecast(**checked_arrays, season=season_from_arrays(arrays, signals))
