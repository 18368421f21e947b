"""The parameters of the level guard, which detects changes of a signal's level."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.season import Season, season_from_arrays
from sensorwatch.common.model.stored_arrays import require, stored_array
from sensorwatch.common.model.tails import KNOTS

UNWATCHED_SPREAD = 1e9
"""Spread of a signal that is not watched: a number by which every deviation becomes small."""


@dataclass(frozen=True, slots=True)
class LevelGuard:
    """Parameters that compare the smoothed level of each signal with its level in training.

    The unit of deviations is the sensor's scale; see `Levels`.
    """

    location: NDArray[np.float64]
    """Shape (1 + sensors, signals). Median of the training values, in the signal's unit. Its rows
    are those of `Levels.location`."""
    spread: NDArray[np.float64]
    """Shape (signals,). Usual size of the smoothed deviation on rows outside the fit;
    UNWATCHED_SPREAD for a signal that is not watched."""
    drift_rate: NDArray[np.float64]
    """Shape (signals,). Increase of the deviation's variance per row in training, in squared
    scales."""
    slope: NDArray[np.float64]
    """Shape (signals,). Usual linear change per row in training, in scales."""
    fit_rows: float
    """Number of training rows of a sensor. The reference is the level at the middle row."""
    season: Season
    """The usual course of the signals over a day or a week, in scales."""
    table: NDArray[np.float64]
    """Shape (signals, KNOTS + 2). For each signal, the `Tail.table` that converts the logarithm of
    its relative deviation to a rarity in nats."""
    accept_bound: NDArray[np.float64]
    """Shape (signals,). A signal is away from its reference level if its relative deviation is
    larger than this."""
    accept_after_rows: int
    """Number of consecutive rows away from its reference level after which a signal gets a new
    one."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the guard by name, as a model version stores them."""
        return {
            "guard_location": self.location,
            "guard_spread": self.spread,
            "guard_drift_rate": self.drift_rate,
            "guard_slope": self.slope,
            "guard_fit_rows": np.asarray([self.fit_rows]),
            "guard_table": self.table,
            "guard_accept_bound": self.accept_bound,
            "guard_accept_after_rows": np.asarray([self.accept_after_rows], dtype=np.int64),
        } | {f"guard_{name}": array for name, array in self.season.arrays().items()}


def level_guard_from_arrays(
    arrays: dict[str, NDArray[Any]], *, levels: int, signals: int
) -> LevelGuard:
    """Build a level guard from stored arrays; raises ModelRefused if one of them is wrong.

    `levels`: number of rows of `Levels.location`.
    """
    location = stored_array(arrays, "guard_location", np.float64, (levels, signals))
    spread = stored_array(arrays, "guard_spread", np.float64, (signals,))
    drift_rate = stored_array(arrays, "guard_drift_rate", np.float64, (signals,))
    slope = stored_array(arrays, "guard_slope", np.float64, (signals,))
    (fit_rows,) = stored_array(arrays, "guard_fit_rows", np.float64, (1,)).tolist()
    table = stored_array(arrays, "guard_table", np.float64, (signals, KNOTS + 2))
    accept_bound = stored_array(arrays, "guard_accept_bound", np.float64, (signals,))
    (accept_after_rows,) = stored_array(arrays, "guard_accept_after_rows", np.int64, (1,)).tolist()
    require(
        np.all(spread > 0),
        "guard_spread",
        actual=f"a spread of {spread.min(initial=np.inf)}",
        wanted="positive ones",
    )
    require(
        np.all(drift_rate >= 0) and np.all(slope >= 0) and fit_rows >= 0,
        "guard_drift_rate",
        actual=f"the rates {drift_rate.tolist()} and {slope.tolist()}, and {fit_rows} rows",
        wanted="0 or more",
    )
    require(
        np.all(np.diff(table[:, :KNOTS]) >= 0) and np.all(table[:, KNOTS:] > 0),
        "guard_table",
        actual="a table that falls or has a scale of 0",
        wanted="rising knots and positive scales",
    )
    require(
        np.all(accept_bound > 0) and accept_after_rows > 0,
        "guard_accept_bound",
        actual=f"the bounds {accept_bound.tolist()} and {accept_after_rows} rows",
        wanted="positive ones",
    )
    season_arrays = {
        name.removeprefix("guard_"): array
        for name, array in arrays.items()
        if name.startswith("guard_season")
    }
    season = season_from_arrays(season_arrays, signals)
    return LevelGuard(
        location,
        spread,
        drift_rate,
        slope,
        fit_rows,
        season,
        table,
        accept_bound,
        accept_after_rows,
    )
