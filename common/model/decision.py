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
    RARITY_SUM = 4
    SMOOTHED_SCORE = 5
    MAX_OF_SUM_AND_SMOOTHED = 6
    NO_MEMORY_FOREST = 7
    NO_MEMORY_DISTANCE = 8
    NO_MEMORY_SUM = 9


COMPONENTS = (RarityTable.FOREST, RarityTable.DISTANCE, RarityTable.DRIFT, RarityTable.STUCK)
"""The components of the score of a row that is scored with memory, in column order."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Parameters that combine the component scores of a row into one score.

    The score is in nats: -ln of the share of clean rows whose score is at least as high.
    """

    tables: NDArray[np.float64]
    """Shape (len(RarityTable), KNOTS + 2). One row, a `Tail.table`, for each RarityTable."""
    weights: NDArray[np.float64]
    """Shape (len(COMPONENTS),). 1 for a used component, 0 for one left out by an ablation."""
    refractory_rows: int = 0
    """After an alarm, this number of the sensor's next rows cannot start another alarm."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the decision by name, as a model version stores them."""
        refractory_array = np.asarray([self.refractory_rows], dtype=np.int64)
        return {
            "decision_tables": self.tables,
            "decision_weights": self.weights,
            "decision_refractory": refractory_array,
        }


def decision_from_arrays(arrays: dict[str, NDArray[Any]]) -> Decision:
    """Build a decision from stored arrays; raises ModelRefused if one of them is wrong."""
    tables = stored_array(arrays, "decision_tables", np.float64, (len(RarityTable), KNOTS + 2))
    weights = stored_array(arrays, "decision_weights", np.float64, (len(COMPONENTS),))
    refractory_array = stored_array(arrays, "decision_refractory", np.int64, (1,))
    knots, tail_parameters = tables[:, :KNOTS], tables[:, KNOTS:]
    is_rising = bool(np.all(np.diff(knots) >= 0))
    require(is_rising, "decision_tables", actual="falling knots", wanted="rising ones")
    require(
        np.all(tail_parameters > 0),
        "decision_tables",
        actual=f"a tail rarity or scale of {tail_parameters.min()}",
        wanted="positive ones",
    )
    require(
        np.all((weights == 0) | (weights == 1)),
        "decision_weights",
        actual=f"the weights {weights.tolist()}",
        wanted="0 or 1",
    )
    refractory_rows = int(refractory_array[0])
    require(
        refractory_rows >= 0,
        "decision_refractory",
        actual=f"{refractory_rows} rows",
        wanted="0 or more",
    )
    return Decision(tables, weights, refractory_rows)
