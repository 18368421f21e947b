"""The range of each signal in training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings

RANGE_QUANTILES = (0.005, 0.5, 0.995)
"""Quantiles of the training values for the fields `low`, `expected` and `high` of
`SignalRanges`."""


@dataclass(frozen=True, slots=True)
class SignalRanges:
    """The range of each signal of the model in training; each array has shape (signals,)."""

    low: NDArray[np.float64]
    """The 0.5 % quantile of the training values."""
    expected: NDArray[np.float64]
    """The median of the training values."""
    high: NDArray[np.float64]
    """The 99.5 % quantile of the training values."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the ranges as one named array, as a model version stores them."""
        return {"signal_ranges": np.stack([self.low, self.expected, self.high])}


def learn_signal_ranges(readings: Readings) -> SignalRanges:
    """Return the range of each signal in training readings."""
    low, expected, high = np.nanquantile(readings.values, RANGE_QUANTILES, axis=0)
    return SignalRanges(low, expected, high)
