"""From what is strange about a row to a decision: rarities added up, smoothed, and held on to."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.tails import KNOTS


class Table(IntEnum):
    """The tables of a decision, in the order they are stored."""

    FOREST = 0
    DISTANCE = 1
    DRIFT = 2
    STUCK = 3
    SUM = 4
    SMOOTHED = 5
    LARGER = 6
    PLAIN_FOREST = 7
    PLAIN_DISTANCE = 8
    PLAIN_SUM = 9
    """The last three are for rows without memory."""


COMPONENTS = (Table.FOREST, Table.DISTANCE, Table.DRIFT, Table.STUCK)


@dataclass(frozen=True, slots=True)
class Decision:
    """How components become one score in nats: -ln of how often clean rows score as high."""

    tables: NDArray[np.float64]
    """(len(Table), KNOTS + 2) see `Tail`."""
    weights: NDArray[np.float64]
    """(len(COMPONENTS),) 1 where a component counts, else 0 (for an ablation)."""
    refractory_rows: int = 0
    """So many rows of a sensor after an alarm raise none."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as they are stored."""
        refractory = np.asarray([self.refractory_rows], dtype=np.int64)
        return {
            "decision_tables": self.tables,
            "decision_weights": self.weights,
            "decision_refractory": refractory,
        }


def decision_of(arrays: dict[str, NDArray[Any]]) -> Decision:
    """Build a decision from stored arrays; raises ModelRefused where they are damaged."""
    tables, weights = arrays.get("decision_tables"), arrays.get("decision_weights")
    refractory = arrays.get("decision_refractory")
    sound = (
        tables is not None
        and weights is not None
        and refractory is not None
        and refractory.dtype == np.int64
        and refractory.shape == (1,)
        and refractory[0] >= 0
        and tables.dtype == weights.dtype == np.float64
        and tables.shape == (len(Table), KNOTS + 2)
        and weights.shape == (len(COMPONENTS),)
        and bool(np.all(np.isfinite(tables)))
        and bool(np.all(np.diff(tables[:, :KNOTS]) >= 0))
        and bool(np.all(tables[:, KNOTS:] > 0))
        and bool(np.all((weights == 0) | (weights == 1)))
    )
    if not sound or tables is None or weights is None or refractory is None:
        raise ModelRefused("the decision's arrays are damaged")
    return Decision(tables, weights, int(refractory[0]))
