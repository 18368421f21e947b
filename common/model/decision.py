"""The stored parameters of a decision: rarity tables, component weights, refractory rows."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.stored_arrays import require, stored_array
from sensorwatch.common.model.tails import KNOTS


class RarityTable(IntEnum):
    """The rarity tables of a decision, in stored order.

    NO_MEMORY_FOREST, NO_MEMORY_DISTANCE and NO_MEMORY_SUM are for rows scored without memory.
    """

    FOREST = 0
    DISTANCE = 1
    DRIFT = 2
    STUCK = 3
    SIGNAL = 4
    RARITY_SUM = 5
    SMOOTHED_SCORE = 6
    LARGEST_RARITY = 7
    NO_MEMORY_FOREST = 8
    NO_MEMORY_DISTANCE = 9
    NO_MEMORY_SUM = 10


COMPONENTS = (
    RarityTable.FOREST,
    RarityTable.DISTANCE,
    RarityTable.DRIFT,
    RarityTable.STUCK,
    RarityTable.SIGNAL,
)
"""The components of the score of a row that is scored with memory, in column order.

The rarities of all components except the last are added. The score is the largest of three values:
the sum, the smoothed sum and the last component. As a result, many usual signals do not hide one
odd signal.
"""
SUMMED_COMPONENTS = COMPONENTS[:-1]
"""The components whose rarities are added."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Parameters that combine the component scores of a row into one score.

    The score is in nats: -ln of the share of clean rows whose score is at least as high.
    """

    tables: NDArray[np.float64]
    """Shape (len(RarityTable), KNOTS + 2). Each row is a `Tail.table`; row k belongs to RarityTable
    k."""
    weights: NDArray[np.float64]
    """Shape (len(COMPONENTS),). 1 for a used component, 0 for one left out by an ablation."""
    signal_tables: NDArray[np.float64]
    """Shape (signals, KNOTS + 2). For each signal, the `Tail.table` that converts the size of its
    conditional residual (see `Residuals.conditional`) to a rarity."""
    refractory_rows: int = 0
    """Number of rows after an alarm in which the sensor cannot start another alarm."""
    accept_after_rows: int = 2_000
    """Number of rows of an alarm after which its scores count as usual for the sensor."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the decision by name, as a model version stores them."""
        rows = np.asarray([self.refractory_rows, self.accept_after_rows], dtype=np.int64)
        return {
            "decision_tables": self.tables,
            "decision_weights": self.weights,
            "decision_signal_tables": self.signal_tables,
            "decision_rows": rows,
        }


def decision_from_arrays(arrays: dict[str, NDArray[Any]], *, signals: int) -> Decision:
    """Build a decision from stored arrays; raises ModelRefused if one of them is wrong."""
    tables = _stored_tables(arrays, "decision_tables", len(RarityTable))
    signal_tables = _stored_tables(arrays, "decision_signal_tables", signals)
    weights = stored_array(arrays, "decision_weights", np.float64, (len(COMPONENTS),))
    rows = stored_array(arrays, "decision_rows", np.int64, (2,))
    require(
        np.all((weights == 0) | (weights == 1)),
        "decision_weights",
        actual=f"the weights {weights.tolist()}",
        wanted="0 or 1",
    )
    refractory_rows, accept_after_rows = rows.tolist()
    require(
        refractory_rows >= 0 and accept_after_rows > 0,
        "decision_rows",
        actual=f"{refractory_rows} refractory rows, and acceptance after {accept_after_rows} rows",
        wanted="0 or more, and a positive number",
    )
    return Decision(tables, weights, signal_tables, refractory_rows, accept_after_rows)


def _stored_tables(arrays: dict[str, NDArray[Any]], name: str, count: int) -> NDArray[np.float64]:
    tables = stored_array(arrays, name, np.float64, (count, KNOTS + 2))
    knots, tail_parameters = tables[:, :KNOTS], tables[:, KNOTS:]
    is_rising = bool(np.all(np.diff(knots) >= 0))
    require(is_rising, name, actual="falling knots", wanted="rising ones")
    require(
        np.all(tail_parameters > 0),
        name,
        actual=f"a tail rarity or scale of {tail_parameters.min(initial=np.inf)}",
        wanted="positive ones",
    )
    return tables
