"""The cadence of a sensor: the typical interval between two of its rows, and what is a gap."""

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.scoring.memory_layout import FloatColumn, IntColumn

MIN_INTERVALS = 10
"""A sensor has a gap only if its cadence was learned from at least this number of intervals."""
CADENCE_STEP = 0.01
"""One interval changes a learned cadence by this share of itself, and by the same share again for
each earlier interval in a row on the same side of the cadence."""
LEARNED_INTERVALS = 100
"""The number of intervals stops counting here: 1 / LEARNED_INTERVALS is CADENCE_STEP."""


@inlined_kernel
def start_cadence(float_row, int_row, level, level_cadence, level_gap_factor):  # type: ignore[no-untyped-def]
    """Reset the cadence of a new sensor; a sensor with a cadence in the model starts with it."""
    float_row[FloatColumn.CADENCE] = level_cadence[level]
    float_row[FloatColumn.GAP_FACTOR] = level_gap_factor[level]
    int_row[IntColumn.CADENCE_INTERVALS] = LEARNED_INTERVALS if level_cadence[level] > 0.0 else 0
    int_row[IntColumn.CADENCE_RUN] = 0


@inlined_kernel
def is_gap(float_row, int_row, interval, max_gap):  # type: ignore[no-untyped-def]
    """Return whether the interval since a sensor's newest row, in microseconds, is a gap.

    `max_gap`: longest interval that is not a gap, from the schema, in microseconds. If it is 0, a
    gap is longer than GAP_FACTOR times the sensor's cadence.
    """
    if max_gap > 0:
        return interval > max_gap
    limit = float_row[FloatColumn.GAP_FACTOR] * float_row[FloatColumn.CADENCE]
    return int_row[IntColumn.CADENCE_INTERVALS] >= MIN_INTERVALS and interval > limit


@inlined_kernel
def update_cadence(float_row, int_row, interval):  # type: ignore[no-untyped-def]
    """Update a sensor's cadence by one interval (microseconds, positive).

    The cadence is a running median. A step goes towards the interval, but never beyond it. The size
    of the step does not depend on how far the interval is away, so one pause hardly changes the
    cadence: this is stochastic approximation of a quantile (Robbins and Monro, "A stochastic
    approximation method", 1951), here on a logarithmic scale. The k-th interval of a new sensor
    changes the cadence by at most 1 / k of itself. Later steps are CADENCE_STEP, and grow while the
    intervals remain on one side, so that a sensor whose cadence changes is followed within about
    30 rows (as in Frugal-2U: Ma, Muthukrishnan and Sandler, "Frugal streaming for estimating
    quantiles", 2013). An interval equal to the cadence changes nothing.
    """
    cadence, run = float_row[FloatColumn.CADENCE], int_row[IntColumn.CADENCE_RUN]
    intervals = min(int_row[IntColumn.CADENCE_INTERVALS] + 1, LEARNED_INTERVALS)
    int_row[IntColumn.CADENCE_INTERVALS] = intervals
    if cadence == 0.0:
        float_row[FloatColumn.CADENCE] = interval
    elif interval > cadence:
        run = min(max(run, 0) + 1, LEARNED_INTERVALS)
        step = max(1.0 / intervals, CADENCE_STEP * run)
        float_row[FloatColumn.CADENCE] = min(cadence * (1.0 + step), float(interval))
    elif interval < cadence:
        run = max(min(run, 0) - 1, -LEARNED_INTERVALS)
        step = max(1.0 / intervals, -CADENCE_STEP * run)
        float_row[FloatColumn.CADENCE] = max(cadence / (1.0 + step), float(interval))
    else:
        run = 0
    int_row[IntColumn.CADENCE_RUN] = run
