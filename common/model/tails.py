"""Conversion of a score to its rarity: -ln of its tail probability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel

KNOTS = 25
"""Number of knots of a tail's table."""
MIN_EXCESSES = 40
"""Smallest number of scores above the last knot; these scores determine the tail's scale."""
MIN_TAIL_SHARE = 0.002
"""Smallest share of the scores that is above the last knot."""
MAX_TAIL_SHARE = 0.5
"""Largest share of the scores that is above the last knot."""
MIN_USABLE_SCALE = 1e-290
"""Smallest usable scale; a score divided by a smaller scale could be infinite."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Distribution of a score: knots at equal steps of rarity, then an exponential tail."""

    table: NDArray[np.float64]
    """Shape (KNOTS + 2,). The score at each knot (ascending), then the last knot's rarity, then the
    tail's scale."""


def fit_tail(
    scores: NDArray[np.float64],
    *,
    min_scale: float = 0.0,
    max_scale: float = np.inf,
    usual_score: float = -np.inf,
) -> Tail:
    """Fit the distribution of scores (n,), n > 0, of rows that the model was not fitted on.

    The tail's scale is the mean excess over the last knot. This is the maximum likelihood estimate
    for an exponential distribution. `min_scale`, `max_scale`: bounds on the tail's scale.
    `usual_score`: if the last knot is lower than this score, the tail begins at this score.
    """
    sorted_scores = np.sort(scores)
    tail_share = min(max(MIN_EXCESSES / len(sorted_scores), MIN_TAIL_SHARE), MAX_TAIL_SHARE)
    last_rarity = -np.log(tail_share)
    rarity = np.linspace(0.0, last_rarity, KNOTS)
    knots = np.quantile(sorted_scores, 1.0 - np.exp(-rarity))
    if knots[-1] < usual_score:
        knots[:] = usual_score
    excesses = sorted_scores[sorted_scores > knots[-1]] - knots[-1]
    scale_floor = max(min_scale, 1e-3 * float(knots[-1] - knots[0]))
    if scale_floor < MIN_USABLE_SCALE:
        scale_floor = 1.0  # all scores are equal, so no scale follows from their range
    scale = min(max(float(excesses.mean()) if len(excesses) else 0.0, scale_floor), max_scale)
    return Tail(np.concatenate([knots, [last_rarity, scale]]))


def identity_tables(tables: int) -> NDArray[np.float64]:
    """Return tables (tables, KNOTS + 2) in which the rarity of each score >= 0 equals the score."""
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

    If several knots have this score, the lowest of their rarities is returned.
    """
    last_knot, last_rarity = KNOTS - 1, table[KNOTS]
    if score <= table[0]:
        return 0.0
    if score > table[last_knot]:
        return last_rarity + (score - table[last_knot]) / table[KNOTS + 1]
    low, high = 0, last_knot  # table[low] < score <= table[high]
    while high - low > 1:
        middle = (low + high) // 2
        if table[middle] < score:
            low = middle
        else:
            high = middle
    knot_fraction = (score - table[low]) / (table[high] - table[low])
    while low > 0 and table[low - 1] == table[low]:
        low -= 1
    return last_rarity / last_knot * (low + knot_fraction * (high - low))
