"""Conversion of a score to its rarity: -ln of its tail probability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel

KNOTS = 25
"""Number of knots of a tail's table."""
MIN_EXCESSES = 40
"""Smallest number of scores above the last knot, from which the tail's scale is estimated."""
MIN_TAIL_SHARE = 0.002
"""Smallest share of the scores above the last knot."""
MAX_TAIL_SHARE = 0.5
"""Largest share of the scores above the last knot."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Distribution of a score: knots equally spaced in rarity, then an exponential tail."""

    table: NDArray[np.float64]
    """Shape (KNOTS + 2,). Score at each knot (rising), the last knot's rarity, the tail's scale."""


def fit_tail(
    scores: NDArray[np.float64], *, min_scale: float = 0.0, max_scale: float = np.inf
) -> Tail:
    """Fit the distribution of scores (n,), n > 0, of rows that the model was not fitted on.

    The tail's scale is the mean excess over the last knot, the maximum likelihood estimate for an
    exponential. `min_scale`, `max_scale`: bounds on the tail's scale.
    """
    ordered = np.sort(scores)
    share = min(max(MIN_EXCESSES / len(ordered), MIN_TAIL_SHARE), MAX_TAIL_SHARE)
    last = -np.log(share)
    rarity = np.linspace(0.0, last, KNOTS)
    knots = np.quantile(ordered, 1.0 - np.exp(-rarity))
    excess = ordered[ordered > knots[-1]] - knots[-1]
    # Equal scores have no range to derive a scale from: use 1.
    scale_floor = max(min_scale, 1e-3 * float(knots[-1] - knots[0])) or 1.0
    scale = min(max(float(excess.mean()) if len(excess) else 0.0, scale_floor), max_scale)
    return Tail(np.concatenate([knots, [last, scale]]))


def identity_tables(tables: int) -> NDArray[np.float64]:
    """Return tables (tables, KNOTS + 2) that map every score of at least 0 to itself."""
    return np.tile(np.concatenate([np.linspace(0.0, 1.0, KNOTS), [1.0, 1.0]]), (tables, 1))


def rarity(tail: Tail, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rarity (n,) of each score (n,) in nats: 0 is usual, higher is rarer."""
    rarities = np.empty(len(scores))
    look_up_rarities(tail.table, np.ascontiguousarray(scores), rarities)
    return rarities


@kernel
def look_up_rarities(table, scores, rarities):  # type: ignore[no-untyped-def]
    """Write the rarity of each score (n,) into `rarities` (n,)."""
    for row in range(len(scores)):
        rarities[row] = look_up_rarity(table, scores[row])


@inlined_kernel
def look_up_rarity(table, score):  # type: ignore[no-untyped-def]
    """Return the rarity of one score.

    Equal knots give the lowest of their rarities: all those scores are equally high.
    """
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
