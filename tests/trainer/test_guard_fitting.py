"""The level guard relies little on a spread that is estimated from few blocks of training time."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.trainer.guard_fitting import DEGREES_OF_FREEDOM_RANGE, GUARD_BLOCKS, _freedom

TRIALS = 1_000
FREEDOM_OF_BLOCK = 1.2


def mean_squares(*, sensors: int, seed: int) -> NDArray[np.float64]:
    """Return the mean squares (sensors, GUARD_BLOCKS, TRIALS) of blocks of independent levels.

    The mean over the blocks of one sensor has FREEDOM_OF_BLOCK * GUARD_BLOCKS degrees of freedom.
    """
    rng = np.random.default_rng(seed)
    return rng.chisquare(FREEDOM_OF_BLOCK, (sensors, GUARD_BLOCKS, TRIALS)) / FREEDOM_OF_BLOCK


def test_few_blocks_seldom_give_too_many_degrees_of_freedom() -> None:
    relative_freedom = _freedom(mean_squares(sensors=1, seed=0)) / (FREEDOM_OF_BLOCK * GUARD_BLOCKS)

    assert np.mean(relative_freedom > 1.0) < 0.4
    assert np.mean(relative_freedom > 2.0) < 0.1
    assert np.median(relative_freedom) > 0.6


def test_many_blocks_give_the_largest_number_of_degrees_of_freedom() -> None:
    assert (_freedom(mean_squares(sensors=20, seed=1)) == DEGREES_OF_FREEDOM_RANGE[1]).all()
