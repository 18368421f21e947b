"""The rate of false alarms of clean sensors, by the peak score of a false episode."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.model.season import DAY
from sensorwatch.common.model.stored_arrays import require, stored_array

SHAPE_RANGE = (0.0, 0.3)
"""Smallest and largest shape of the tail of peak scores.

With shape 0, the tail is exponential. With a positive shape, it is heavier. With a negative shape,
scores would have an upper limit, and a slightly higher score would count as far rarer. Such a limit
cannot be estimated from some dozens of episodes."""
LEVEL_SPAN_ROWS = 30.0
"""Number of rows over which the level guard smooths a level."""
MAX_EXPONENT = 600.0
"""Largest argument of the exponential function for which the result is finite."""
_SMALL_SHAPE = 1e-6
"""A shape that is closer to 0 than this is treated as 0: the tail is exponential."""


@dataclass(frozen=True, slots=True)
class AlarmRates:
    """The rate of false episodes by their peak score, and the budgets of the severities.

    The peaks above `start` follow a generalised Pareto distribution (Pickands 1975).
    """

    start: float
    """Peak score at which the tail begins, in the unit of the raw score."""
    rate: float
    """Number of episodes per clean row whose peak is above `start`."""
    scale: float
    """Scale of the tail, in the unit of the raw score."""
    shape: float
    """Shape of the tail, within SHAPE_RANGE."""
    cadence: float
    """Typical interval between two rows of a sensor, in microseconds; used until the sensor's own
    cadence is known."""
    budgets: NDArray[np.float64]
    """Shape (3,). Budgets of `warning`, `major` and `critical`. A budget is the largest allowed
    number of false episodes per sensor-day with at least this severity. No budget is larger than
    the one before it."""

    @property
    def tail(self) -> tuple[float, float, float, float]:
        """Start, rate, scale and shape as one tuple, for the kernels."""
        return self.start, self.rate, self.scale, self.shape

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the rates by name, as a model version stores them."""
        return {
            "alarm_rates": np.asarray([*self.tail, self.cadence]),
            "alarm_budgets": self.budgets,
        }


def alarm_rates_from_arrays(arrays: dict[str, NDArray[Any]]) -> AlarmRates:
    """Build the rates from stored arrays; raises ModelRefused if one of them is wrong."""
    parameters = stored_array(arrays, "alarm_rates", np.float64, (5,))
    budgets = stored_array(arrays, "alarm_budgets", np.float64, (3,))
    start, rate, scale, shape, cadence = parameters.tolist()
    require(
        rate > 0 and scale > 0 and cadence > 0,
        "alarm_rates",
        actual=f"rate {rate}, scale {scale} and cadence {cadence}",
        wanted="positive ones",
    )
    require(
        SHAPE_RANGE[0] <= shape <= SHAPE_RANGE[1],
        "alarm_rates",
        actual=f"shape {shape}",
        wanted=f"one from {SHAPE_RANGE[0]} to {SHAPE_RANGE[1]}",
    )
    require(
        np.all(budgets > 0) and np.all(np.diff(budgets) <= 0),
        "alarm_budgets",
        actual=f"the budgets {budgets.tolist()}",
        wanted="positive ones that do not rise",
    )
    return AlarmRates(start, rate, scale, shape, cadence, budgets)


@inlined_kernel
def false_episodes_per_day(tail, cadence, peak):  # type: ignore[no-untyped-def]
    """Return the number of false episodes per day of a clean sensor with at least this peak score.

    `tail`: see `AlarmRates.tail`. `cadence`: the sensor's interval between two rows, microseconds.
    Below the start of the tail, the rate is extrapolated with the scale of the tail.
    """
    start, rate, scale, shape = tail
    excess = (peak - start) / scale
    if excess <= 0.0 or abs(shape) < _SMALL_SHAPE:
        exponent = -excess
    else:
        base = 1.0 + shape * excess
        exponent = -np.log(base) / shape if base > 0.0 else -MAX_EXPONENT
    exponent = min(max(exponent, -MAX_EXPONENT), MAX_EXPONENT)
    return rate * np.exp(exponent) * (DAY / cadence)


@inlined_kernel
def level_episodes_per_day(cadence, guard_score):  # type: ignore[no-untyped-def]
    """Return the number of false episodes per day of a clean sensor from the level guard alone.

    `guard_score`: in nats. A level is smoothed over LEVEL_SPAN_ROWS rows, so there is only one
    independent level per LEVEL_SPAN_ROWS rows.
    """
    return np.exp(-guard_score) * (DAY / (cadence * LEVEL_SPAN_ROWS))


@inlined_kernel
def count_met_budgets(budgets, episodes_per_day):  # type: ignore[no-untyped-def]
    """Return the number of budgets for which this rate of false episodes is low enough.

    The result 0 means `info`: the rate is too high for the budget of `warning`, the largest budget.
    """
    severity = 0
    for budget in budgets:
        severity += episodes_per_day <= budget
    return severity
