"""The cadence of a sensor (the typical interval between two of its rows), and its gaps."""

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.scoring.memory_layout import FloatColumn, IntColumn

MIN_INTERVALS = 10
"""Smallest number of intervals from which a cadence is learned before it can define a gap."""
CADENCE_STEP = 0.01
"""Relative change of a learned cadence by one interval. It is multiplied by the number of
successive intervals on the same side of the cadence."""
LEARNED_INTERVALS = 100
"""Largest value of the count of intervals, at which the step, 1 / count, equals CADENCE_STEP."""


@inlined_kernel
def start_cadence(float_state, int_state, level, level_cadence, level_gap_factor):  # type: ignore[no-untyped-def]
    """Reset the cadence of a new sensor; a sensor with a cadence in the model starts with it."""
    float_state[FloatColumn.CADENCE] = level_cadence[level]
    float_state[FloatColumn.GAP_FACTOR] = level_gap_factor[level]
    int_state[IntColumn.CADENCE_INTERVALS] = LEARNED_INTERVALS if level_cadence[level] > 0.0 else 0
    int_state[IntColumn.CADENCE_RUN] = 0


@inlined_kernel
def is_gap(float_state, int_state, interval, max_gap):  # type: ignore[no-untyped-def]
    """Return whether the interval since a sensor's newest row, in microseconds, is a gap.

    `max_gap`: longest interval that is not a gap, from the schema, in microseconds. If it is 0, an
    interval is a gap if it is longer than GAP_FACTOR times the sensor's cadence.
    """
    if max_gap > 0:
        return interval > max_gap
    max_interval = float_state[FloatColumn.GAP_FACTOR] * float_state[FloatColumn.CADENCE]
    return int_state[IntColumn.CADENCE_INTERVALS] >= MIN_INTERVALS and interval > max_interval


@inlined_kernel
def update_cadence(float_state, int_state, interval):  # type: ignore[no-untyped-def]
    """Update a sensor's cadence by one interval (microseconds, positive).

    The cadence is a running median. Each step moves it towards the interval, but not beyond it. The
    size of the step does not depend on the length of the interval, so one pause hardly changes the
    cadence. This is stochastic approximation of a quantile (Robbins and Monro, "A stochastic
    approximation method", 1951) on a logarithmic scale. The k-th interval of a new sensor changes
    the cadence by at most 1 / k of itself. Later steps are CADENCE_STEP; they grow while the
    intervals remain on one side of the cadence. So the cadence follows a change within about 30
    rows (as in Frugal-2U: Ma, Muthukrishnan and Sandler, "Frugal streaming for estimating
    quantiles", 2013). An interval that equals the cadence changes nothing.
    """
    cadence, run_length = float_state[FloatColumn.CADENCE], int_state[IntColumn.CADENCE_RUN]
    intervals = min(int_state[IntColumn.CADENCE_INTERVALS] + 1, LEARNED_INTERVALS)
    int_state[IntColumn.CADENCE_INTERVALS] = intervals
    if cadence == 0.0:
        float_state[FloatColumn.CADENCE] = interval
    elif interval > cadence:
        run_length = min(max(run_length, 0) + 1, LEARNED_INTERVALS)
        step = max(1.0 / intervals, CADENCE_STEP * run_length)
        float_state[FloatColumn.CADENCE] = min(cadence * (1.0 + step), float(interval))
    elif interval < cadence:
        run_length = max(min(run_length, 0) - 1, -LEARNED_INTERVALS)
        step = max(1.0 / intervals, -CADENCE_STEP * run_length)
        float_state[FloatColumn.CADENCE] = max(cadence / (1.0 + step), float(interval))
    else:
        run_length = 0
    int_state[IntColumn.CADENCE_RUN] = run_length
