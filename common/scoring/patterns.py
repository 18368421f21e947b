"""The pattern of an episode: the kind of change that its rows show."""

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.model.level_guard import LevelGuard
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import FloatColumn, IntColumn
from sensorwatch.common.scoring.recall import RecalledRows
from sensorwatch.common.scoring.residuals import Residuals, repeat_allowance
from sensorwatch.common.scoring.score_combination import DRIFT_SCALE
from sensorwatch.common.scoring.status import STATUSES, Status


class Pattern(StrEnum):
    """The kind of change in an anomalous row's episode so far; `none` for a normal row."""

    NONE = "none"
    SPIKE = "spike"
    """One row is far from its expected value."""
    LEVEL_SHIFT = "level_shift"
    """A signal jumped to another level and stays there."""
    DRIFT = "drift"
    """A signal moved away slowly."""
    NOISE = "noise"
    """A signal varies much more than usual, in both directions."""
    STUCK = "stuck"
    """A signal repeats its value more often than usual."""
    BROKEN_CORRELATION = "broken_correlation"
    """The signals no longer move together."""
    OUT_OF_SEASON = "out_of_season"
    """The value is usual, but not at this time of the day or week."""
    UNUSUAL = "unusual"
    """None of the other patterns."""


PATTERNS = tuple(Pattern)
"""Positions in this tuple are the pattern numbers of `Detections.pattern`."""
PATTERN_TEXTS = np.asarray([pattern.value for pattern in PATTERNS], dtype=object)
"""The values of PATTERNS as plain texts, which encoders write faster than enum members."""

UNUSUAL = PATTERNS.index(Pattern.UNUSUAL)
"""Pattern number of an anomalous row for which no other pattern is known."""

LARGE_OFFSET = 2.5
"""Offset from the usual level, in scales, above which the offset is large."""
LARGE_CONDITIONAL = 4.0
"""Conditional residual, in standard deviations, above which the residual is large."""
MAX_EXCESS = 12.0
"""Largest size of an excess; larger ones are clipped."""
STUCK_NATS = 5.0
"""Rarity of a run of repeats, in nats, above which the signal is stuck."""
GRADUAL_ONSET = 0.22
"""An episode began gradually if, at its first odd row, the ratio of the smoothed offset to the
offset was larger than this. After a jump, this ratio is the weight of one row, 0.065."""
GROWTH = 1.45
"""An episode is a drift if its mean excess is more than this multiple of its first excess."""
ONE_SIDED_SHARE = 0.5
"""Excesses are on one side if the square of their mean is more than this share of the mean of their
squares."""
MIN_OPPOSITION_WITHOUT_OFFSET, MIN_OPPOSITION_WITH_OFFSET = 0.8, 0.6
"""The other signals predict a signal's residuals. The signal moves against the others if the
correlation of its residuals with these predictions is below the negative of one of these limits.
The first limit is used if most odd rows of the episode have no large offset."""
USUAL_OFFSET = 1.5
"""Largest distance from the reference, in scales, of a value that is usual at another time."""
FAR_DEVIATION = 3.0
"""Relative deviation from the reference level above which a level has moved."""
FAR_DRIFT = 4.0
"""Smoothed residual, in standard deviations, above which a level has also moved."""

_NONE, _SPIKE, _LEVEL_SHIFT, _DRIFT, _NOISE, _STUCK, _BROKEN, _OUT_OF_SEASON = range(UNUSUAL)
_SCORED, _LATE = STATUSES.index(Status.SCORED), STATUSES.index(Status.LATE)


def track_patterns(
    recalled: RecalledRows,
    residuals: Residuals,
    drift: NDArray[np.float64],
    episode_rows: NDArray[np.int64],
    forecast: Forecast,
    guard: LevelGuard | None,
    memory: Memory,
) -> NDArray[np.int8]:
    """Return the pattern (n,) of each row's episode so far, as its position in PATTERNS.

    `drift`: see `RowDecisions.drift`. `episode_rows`: shape (n,), see `Episodes.rows`. The sums of
    the open episodes in `memory` are updated row by row, so that the patterns do not depend on how
    rows are cut into micro-batches.

    The leading signal of a row has the largest excess: its offset divided by LARGE_OFFSET, or its
    conditional residual divided by LARGE_CONDITIONAL. A row with an excess above 1 is odd.
    """
    pattern = np.zeros(len(recalled.slots), dtype=np.int8)
    signals = residuals.residual.shape[1]
    season = guard.season if guard else forecast.season
    rows = _Rows(
        recalled.slots,
        season.phases(recalled.event_time),
        recalled.status,
        recalled.offset if guard else recalled.standardised[:, :signals],
        recalled.smoothed_offset if guard else np.zeros((len(pattern), signals)),
        recalled.deviation if guard else np.zeros((len(pattern), signals)),
        recalled.repeats,
        residuals.residual,
        residuals.conditional,
        drift,
        episode_rows,
    )
    parameters = _Parameters(forecast.whitening, forecast.repeat_nats, season.profile)
    _track_rows(memory.floats, memory.ints, parameters, rows, pattern)
    return pattern


class _Rows(NamedTuple):
    """The kernel's input of n rows; see `RecalledRows` and `Residuals`."""

    slots: NDArray[np.int64]
    phase: NDArray[np.int64]
    """Shape (n,). Bin of the season."""
    status: NDArray[np.int8]
    offset: NDArray[np.float64]
    smoothed_offset: NDArray[np.float64]
    deviation: NDArray[np.float64]
    repeats: NDArray[np.int64]
    residual: NDArray[np.float64]
    conditional: NDArray[np.float64]
    drift: NDArray[np.float64]
    episode_rows: NDArray[np.int64]


class _Parameters(NamedTuple):
    """The kernel's parameters; see `Forecast` and `Season`."""

    whitening: NDArray[np.float64]
    repeat_nats: NDArray[np.float64]
    profile: NDArray[np.float64]


@kernel
def _track_rows(floats, ints, parameters, rows, pattern):  # type: ignore[no-untyped-def]
    slots, status, episode_rows = rows[0], rows[2], rows[10]
    for row in range(len(pattern)):
        if episode_rows[row] == 0:
            continue
        float_state, int_state = floats[slots[row]], ints[slots[row]]
        if episode_rows[row] == 1 and status[row] < _LATE:
            _reset_sums(float_state, int_state)
        if status[row] == _SCORED:
            _add_row(float_state, int_state, parameters, rows, row)
            pattern[row] = _pattern_number(float_state, int_state, parameters, rows, row)
        else:
            pattern[row] = UNUSUAL


@inlined_kernel
def _reset_sums(float_state, int_state):  # type: ignore[no-untyped-def]
    int_state[IntColumn.EPISODE_ODD_ROWS] = 0
    int_state[IntColumn.EPISODE_LARGE_ROWS] = 0
    int_state[IntColumn.EPISODE_STUCK_ROWS] = 0
    float_state[FloatColumn.EPISODE_ONSET] = 0.0
    float_state[FloatColumn.EPISODE_START_EXCESS] = 0.0
    float_state[FloatColumn.EPISODE_EXCESS_SUM] = 0.0
    float_state[FloatColumn.EPISODE_EXCESS_SQUARES] = 0.0
    float_state[FloatColumn.EPISODE_PRODUCTS] = 0.0
    float_state[FloatColumn.EPISODE_RESIDUAL_SQUARES] = 0.0
    float_state[FloatColumn.EPISODE_EXPECTED_SQUARES] = 0.0


@inlined_kernel
def _signed_excess(offset, conditional):  # type: ignore[no-untyped-def]
    """Return the larger of a signal's two excesses, with its sign."""
    excess_by_offset = min(max(offset / LARGE_OFFSET, -MAX_EXCESS), MAX_EXCESS)
    excess_by_conditional = min(max(conditional / LARGE_CONDITIONAL, -MAX_EXCESS), MAX_EXCESS)
    return (
        excess_by_offset
        if abs(excess_by_offset) >= abs(excess_by_conditional)
        else excess_by_conditional
    )


@inlined_kernel
def _leading_signal(offset, conditional):  # type: ignore[no-untyped-def]
    """Return the position of the signal with the largest excess."""
    leading = 0
    for signal in range(len(offset)):
        if abs(_signed_excess(offset[signal], conditional[signal])) > abs(
            _signed_excess(offset[leading], conditional[leading])
        ):
            leading = signal
    return leading


@inlined_kernel
def _add_row(float_state, int_state, parameters, rows, row):  # type: ignore[no-untyped-def]
    """Add a row to the sums of its episode."""
    whitening, repeat_nats = parameters[0], parameters[1]
    offset, smoothed_offset, repeats = rows[3], rows[4], rows[6]
    residual, conditional, episode_rows = rows[7], rows[8], rows[10]
    allowance = repeat_allowance(repeat_nats)
    is_stuck = False
    for signal in range(len(repeat_nats)):
        repeat_rarity = repeats[row, signal] * repeat_nats[signal] - allowance
        is_stuck = is_stuck or repeat_rarity > STUCK_NATS
    int_state[IntColumn.EPISODE_STUCK_ROWS] += is_stuck
    leading = _leading_signal(offset[row], conditional[row])
    excess = _signed_excess(offset[row, leading], conditional[row, leading])
    is_odd = abs(excess) > 1.0
    is_first = is_odd and int_state[IntColumn.EPISODE_ODD_ROWS] == 0
    if (episode_rows[row] == 1 or is_first) and offset[row, leading] != 0.0:
        float_state[FloatColumn.EPISODE_ONSET] = (
            smoothed_offset[row, leading] / offset[row, leading]
        )
    if not is_odd:
        return
    if is_first:
        float_state[FloatColumn.EPISODE_START_EXCESS] = abs(excess)
    int_state[IntColumn.EPISODE_ODD_ROWS] += 1
    int_state[IntColumn.EPISODE_LARGE_ROWS] += abs(offset[row, leading]) > LARGE_OFFSET
    float_state[FloatColumn.EPISODE_EXCESS_SUM] += excess
    float_state[FloatColumn.EPISODE_EXCESS_SQUARES] += excess * excess
    squares = 0.0
    for whitened_signal in range(len(repeat_nats)):
        squares += whitening[whitened_signal, leading] * whitening[whitened_signal, leading]
    leading_residual = residual[row, leading]
    expected = leading_residual - (
        conditional[row, leading] / np.sqrt(squares) if squares > 0.0 else 0.0
    )
    float_state[FloatColumn.EPISODE_PRODUCTS] += leading_residual * expected
    float_state[FloatColumn.EPISODE_RESIDUAL_SQUARES] += leading_residual * leading_residual
    float_state[FloatColumn.EPISODE_EXPECTED_SQUARES] += expected * expected


@inlined_kernel
def _pattern_number(float_state, int_state, parameters, rows, row):  # type: ignore[no-untyped-def]
    """Return the number of the first pattern that fits the episode so far."""
    if int_state[IntColumn.EPISODE_STUCK_ROWS] > 0:
        return _STUCK
    odd_rows, large_rows = (
        int_state[IntColumn.EPISODE_ODD_ROWS],
        int_state[IntColumn.EPISODE_LARGE_ROWS],
    )
    is_gradual = float_state[FloatColumn.EPISODE_ONSET] > GRADUAL_ONSET
    if odd_rows == 0:
        if _has_moved(rows[5][row], rows[9][row]):
            return _DRIFT if is_gradual else _LEVEL_SHIFT
        return UNUSUAL
    if _is_out_of_season(parameters, rows, row):
        return _OUT_OF_SEASON
    is_mostly_small = 2 * large_rows <= odd_rows
    if is_mostly_small and _is_opposed(float_state, MIN_OPPOSITION_WITHOUT_OFFSET):
        return _BROKEN
    if odd_rows == 1:
        return _DRIFT if is_gradual else _SPIKE
    mean = float_state[FloatColumn.EPISODE_EXCESS_SUM] / odd_rows
    if mean * mean > ONE_SIDED_SHARE * float_state[FloatColumn.EPISODE_EXCESS_SQUARES] / odd_rows:
        is_growing = abs(mean) > GROWTH * float_state[FloatColumn.EPISODE_START_EXCESS]
        return _DRIFT if is_gradual or is_growing else _LEVEL_SHIFT
    # By chance, the correlation of n rows has a standard deviation of about 1 / sqrt(n).
    limit = max(MIN_OPPOSITION_WITH_OFFSET, 2.2 / np.sqrt(odd_rows))
    if is_mostly_small:
        limit = 1.0 / np.sqrt(odd_rows)
    return _BROKEN if _is_opposed(float_state, limit) else _NOISE


@inlined_kernel
def _has_moved(deviation, drift):  # type: ignore[no-untyped-def]
    """Return whether a signal's smoothed level is far away, or its smoothed residual is large."""
    for signal in range(len(deviation)):
        if abs(deviation[signal]) > FAR_DEVIATION or abs(DRIFT_SCALE * drift[signal]) > FAR_DRIFT:
            return True
    return False


@inlined_kernel
def _is_out_of_season(parameters, rows, row):  # type: ignore[no-untyped-def]
    """Return whether the leading signal's value is usual at another time of the day or week."""
    offset = rows[3][row]
    leading = _leading_signal(offset, rows[8][row])
    seasonal_value = parameters[2][leading, rows[1][row]]
    return (
        abs(offset[leading]) > LARGE_OFFSET and abs(offset[leading] + seasonal_value) < USUAL_OFFSET
    )


@inlined_kernel
def _is_opposed(float_state, limit):  # type: ignore[no-untyped-def]
    """Return whether residuals and their expectations have a correlation below -`limit`."""
    squares = float_state[FloatColumn.EPISODE_RESIDUAL_SQUARES]
    squares *= float_state[FloatColumn.EPISODE_EXPECTED_SQUARES]
    return float_state[FloatColumn.EPISODE_PRODUCTS] < -limit * np.sqrt(squares)
