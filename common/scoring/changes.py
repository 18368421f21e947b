"""The changes that an anomalous row shows: the unusual signals and their directions."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.scoring.patterns import (
    FAR_DEVIATION,
    FAR_DRIFT,
    LARGE_CONDITIONAL,
    LARGE_OFFSET,
    STUCK_NATS,
)
from sensorwatch.common.scoring.recall import RecalledRows
from sensorwatch.common.scoring.residuals import Residuals, repeat_allowance
from sensorwatch.common.scoring.score_combination import DRIFT_SCALE

CHANGE_BITS = 48
"""Number of bits of a set of changes. The first bit means that the first signal is low; the second
bit means that it is high. Signals whose indices are equal modulo 24 share their bits."""
NO_CHANGE = 0
"""The empty set of changes: of a normal row, or of a row that was scored without memory."""


class RowChanges(NamedTuple):
    """The changes of n rows; each array has shape (n,). Normal rows have no changes."""

    leading: NDArray[np.int64]
    """The change with the most evidence, as a set with one bit; NO_CHANGE if there is none."""
    away: NDArray[np.int64]
    """The set of the changes of all signals that are away from their reference level or stuck."""
    is_back: NDArray[np.bool_]
    """Whether the leading signal has a usual value."""


def no_changes(rows: int) -> RowChanges:
    """Return empty sets of changes for the rows of the plain plan."""
    no_bits = np.zeros(rows, dtype=np.int64)
    return RowChanges(no_bits, no_bits, np.zeros(rows, dtype=np.bool_))


def row_changes(
    recalled: RecalledRows,
    residuals: Residuals,
    drift: NDArray[np.float64],
    is_anomaly: NDArray[np.bool_],
    forecast: Forecast,
) -> RowChanges:
    """Return the changes of rows. `drift`: see `RowDecisions.drift`; `is_anomaly`: shape (n,)."""
    rows, signals = residuals.residual.shape
    is_watched = recalled.offset.shape[1] > 0
    changes = RowChanges(
        np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64), np.zeros(rows, np.bool_)
    )
    evidence = (
        recalled.offset if is_watched else recalled.standardised[:, :signals],
        recalled.deviation if is_watched else np.zeros((rows, signals)),
        residuals.conditional,
        drift,
        recalled.repeats,
        forecast.repeat_nats,
    )
    _write_changes(evidence, is_anomaly, changes)
    return changes


@kernel
def _write_changes(evidence, is_anomaly, changes):  # type: ignore[no-untyped-def]
    offset, deviation, conditional, drift, repeats, repeat_nats = evidence
    leading, away, is_back = changes
    allowance = repeat_allowance(repeat_nats)
    for row in range(len(is_anomaly)):
        if not is_anomaly[row]:
            continue
        largest = 0.0
        for signal in range(offset.shape[1]):
            rarity_of_repeats = repeats[row, signal] * repeat_nats[signal] - allowance
            strength = _larger_in_size(
                offset[row, signal] / LARGE_OFFSET, rarity_of_repeats / STUCK_NATS
            )
            strength = _larger_in_size(strength, deviation[row, signal] / FAR_DEVIATION)
            if abs(strength) > 1.0:
                away[row] |= _change_bit(signal, strength)
            strength = _larger_in_size(strength, conditional[row, signal] / LARGE_CONDITIONAL)
            strength = _larger_in_size(strength, DRIFT_SCALE * drift[row, signal] / FAR_DRIFT)
            if abs(strength) > largest:
                largest = abs(strength)
                leading[row] = _change_bit(signal, strength)
                is_back[row] = abs(offset[row, signal]) < LARGE_OFFSET


@inlined_kernel
def _change_bit(signal, strength):  # type: ignore[no-untyped-def]
    return np.int64(1) << ((2 * signal + (strength > 0.0)) % CHANGE_BITS)


@inlined_kernel
def _larger_in_size(first, second):  # type: ignore[no-untyped-def]
    """Return the number with the larger absolute value."""
    return first if abs(first) >= abs(second) else second


@inlined_kernel
def opposite_changes(changes):  # type: ignore[no-untyped-def]
    """Return the set of changes of the same signals in the opposite directions."""
    low_bits = np.int64(0x555555555555)
    return ((changes & low_bits) << 1) | ((changes >> 1) & low_bits)
