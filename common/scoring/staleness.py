"""The test whether a model still fits its stream: a Shiryaev-Roberts statistic of episodes."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.model.alarm_rates import AlarmRates, false_episodes_per_day
from sensorwatch.common.model.season import DAY

USUAL_FACTOR, STALE_FACTOR = 2.0, 8.0
"""The statistic compares two hypotheses about the rate of new episodes: USUAL_FACTOR and
STALE_FACTOR times the rate of the model's calibration."""
STALE_STATISTIC = 1e6
"""The model may be stale if the statistic is at least this large.

If episodes occur at the usual rate, the statistic reaches this value after at least this number of
episodes on average (Pollak 1985).
"""
MAX_STATISTIC = STALE_STATISTIC * 1e3
"""Upper limit of the statistic. A burst of episodes at one time, for example of many sensors in a
power cut, raises the statistic to this limit, and it falls below STALE_STATISTIC soon."""
STALE_EPISODES = 5.0
"""The model is stale if the statistic stays at STALE_STATISTIC or above until this number of
episodes was expected."""
REPEATED_ROWS = 30
"""An episode counts again each time it has lasted for this number of rows."""
FITTING_STATISTIC = 1.0
"""Below this statistic the model fits, and the counts of episodes begin again."""


class StalenessColumn(IntEnum):
    """Positions of the values in `Memory.staleness`; all values are 0 in an empty memory."""

    STATISTIC = 0
    """Shiryaev-Roberts statistic: evidence for STALE_FACTOR against USUAL_FACTOR."""
    EPISODES = 1
    """Number of new episodes since the statistic was last below FITTING_STATISTIC."""
    EXPECTED_EPISODES = 2
    """Number of episodes that the calibration expects in the same rows."""
    EXPECTED_ABOVE = 3
    """Expected number of episodes since the statistic reached STALE_STATISTIC; 0 below it."""
    IS_STALE = 4
    """1 from the row that makes the model stale until the statistic is below FITTING_STATISTIC."""


@dataclass(frozen=True, slots=True)
class StaleRows:
    """The rows at which a model becomes stale."""

    episodes: NDArray[np.int64]
    """Shape (n,). At such a row, the number of new episodes of the evidence; 0 for other rows."""
    expected_episodes: NDArray[np.float64]
    """Shape (n,). At such a row, the number of episodes that was expected; 0 for other rows."""


def find_stale_rows(
    is_counted: NDArray[np.bool_],
    episode_rows: NDArray[np.int64],
    staleness: NDArray[np.float64],
    *,
    alarm_rates: AlarmRates,
    threshold: float,
) -> StaleRows:
    """Return the rows at which the model becomes stale; update `staleness` with each row, in order.

    An episode counts at its first row, and again at every REPEATED_ROWS-th row. `is_counted`: shape
    (n,), rows that are scored with memory. `episode_rows`: shape (n,), see
    `Detections.episode_rows`. `staleness`: shape (len(StalenessColumn),), see `Memory.staleness`.
    `threshold`: raw score above which an episode begins. With `alarm_rates`, it gives the expected
    number of episodes per clean row.
    """
    rows = len(is_counted)
    stale_rows = StaleRows(np.zeros(rows, dtype=np.int64), np.zeros(rows))
    parameters = staleness, is_counted, episode_rows, alarm_rates.tail, threshold
    row = _next_stale_row(*parameters, 0)
    while row < rows:
        stale_rows.episodes[row] = staleness[StalenessColumn.EPISODES]
        stale_rows.expected_episodes[row] = staleness[StalenessColumn.EXPECTED_EPISODES]
        row = _next_stale_row(*parameters, row + 1)
    return stale_rows


def stale_sentence(episodes: int, expected_episodes: float) -> str:
    """Return the sentence that says why a model is stale."""
    return (
        f"{episodes} alarms where the model expects {expected_episodes:.3g}: the model no longer "
        "fits these sensors. Train it again with recent rows, or look at the sensors"
    )


@kernel
def _next_stale_row(staleness, is_counted, episode_rows, tail, threshold, first):  # type: ignore[no-untyped-def]
    """Update `staleness` from the row `first` on; stop at a row that makes the model stale.

    Return this row, or the number of rows.
    """
    # At a cadence of one row per day, the rate per day is the rate per row.
    rate = false_episodes_per_day(tail, DAY, threshold)
    usual_rate, stale_rate = min(USUAL_FACTOR * rate, 0.25), min(STALE_FACTOR * rate, 0.5)
    factor_of_episode = stale_rate / usual_rate
    factor_of_row = (1.0 - stale_rate) / (1.0 - usual_rate)
    for row in range(first, len(is_counted)):
        if not is_counted[row]:
            continue
        staleness[StalenessColumn.EXPECTED_EPISODES] += rate
        is_episode = episode_rows[row] == 1 or (
            episode_rows[row] > 0 and episode_rows[row] % REPEATED_ROWS == 0
        )
        staleness[StalenessColumn.EPISODES] += is_episode
        statistic = staleness[StalenessColumn.STATISTIC] + usual_rate
        statistic *= factor_of_episode if is_episode else factor_of_row
        statistic = min(statistic, MAX_STATISTIC)
        staleness[StalenessColumn.STATISTIC] = statistic
        if statistic < FITTING_STATISTIC:
            staleness[StalenessColumn.EPISODES] = 0.0
            staleness[StalenessColumn.EXPECTED_EPISODES] = 0.0
            staleness[StalenessColumn.IS_STALE] = 0.0
        if statistic < STALE_STATISTIC:
            staleness[StalenessColumn.EXPECTED_ABOVE] = 0.0
            continue
        staleness[StalenessColumn.EXPECTED_ABOVE] += rate
        is_stale = staleness[StalenessColumn.EXPECTED_ABOVE] >= STALE_EPISODES
        if is_stale and staleness[StalenessColumn.IS_STALE] == 0.0:
            staleness[StalenessColumn.IS_STALE] = 1.0
            return row
    return len(is_counted)
