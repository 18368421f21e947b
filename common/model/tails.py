"""From a score to how rare it is: -ln of its tail probability, by a table and a tail model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel

KNOTS = 25
MIN_EXCESSES = 40
MIN_TAIL_SHARE = 0.002
"""The tail model begins where LEAST_EXCESSES of the scores lie above, or LEAST_SHARE of them."""
MAX_TAIL_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Tail:
    """A score's distribution: knots equally spaced in rarity, then an exponential tail."""

    table: NDArray[np.float64]
    """(KNOTS + 2,) the score at each knot, rising; the last knot's rarity; the tail's scale."""


def fit_tail(
    scores: NDArray[np.float64], *, min_scale: float = 0.0, max_scale: float = np.inf
) -> Tail:
    """Learn the distribution of scores (n,) of rows that the model was not fitted on, n > 0.

    The mean excess over the last knot is the tail's scale: maximum likelihood for an exponential.
    `min_scale`, `max_scale`: what is known of the tail's scale without looking at the scores.
    """
    ordered = np.sort(scores)
    share = min(max(MIN_EXCESSES / len(ordered), MIN_TAIL_SHARE), MAX_TAIL_SHARE)
    last = -np.log(share)
    rarity = np.linspace(0.0, last, KNOTS)
    knots = np.quantile(ordered, 1.0 - np.exp(-rarity))
    excess = ordered[ordered > knots[-1]] - knots[-1]
    # Scores all alike leave no distance to measure in: take one.
    scale_floor = max(min_scale, 1e-3 * float(knots[-1] - knots[0])) or 1.0
    scale = min(max(float(excess.mean()) if len(excess) else 0.0, scale_floor), max_scale)
    return Tail(np.concatenate([knots, [last, scale]]))


def identity_tables(tables: int) -> NDArray[np.float64]:
    """Return tables (tables, KNOTS + 2) that leave every score from 0 on as it is."""
    return np.tile(np.concatenate([np.linspace(0.0, 1.0, KNOTS), [1.0, 1.0]]), (tables, 1))


def rarity(tail: Tail, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return -ln of the tail probability of each score (n,): 0 is usual, higher is rarer."""
    rarities = np.empty(len(scores))
    look_up_rarities(tail.table, np.ascontiguousarray(scores), rarities)
    return rarities


@kernel
def look_up_rarities(table, scores, rarities):  # type: ignore[no-untyped-def]
    """Write each score's rarity into `rarities`."""
    for row in range(len(scores)):
        rarities[row] = look_up_rarity(table, scores[row])


@inlined_kernel
def look_up_rarity(table, score):  # type: ignore[no-untyped-def]
    """Return the rarity of one score: of equal ones, the least, since all of them are as high."""
    last, end = KNOTS - 1, table[KNOTS]
    if score <= table[0]:
        return 0.0
    if score > table[last]:
        return end + (score - table[last]) / table[KNOTS + 1]
    low, high = 0, last  # table[low] < score <= table[high]
    while high - low > 1:
        middle = (low + high) // 2
        if table[middle] < score:
            low = middle
        else:
            high = middle
    share = (score - table[low]) / (table[high] - table[low])
    while low > 0 and table[low - 1] == table[low]:
        low -= 1
    return end / last * (low + share * (high - low))
