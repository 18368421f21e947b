"""The rates of counters: the increase per second since the sensor's last value of the counter."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.scoring.memory_layout import NO_ROW_YET, Layout


class CounterColumns(NamedTuple):
    """The positions of k counters in a row and in the memory's tables, for the kernel."""

    columns: NDArray[np.int64]
    """Shape (k,). Position of each counter among the measured columns."""
    values_start: int
    """Float column with the last value of the first counter."""
    times_start: int
    """Integer column with the time of the last value of the first counter."""


def counter_columns(layout: Layout) -> CounterColumns:
    """Return the positions of the counters in the tables of a memory with this layout."""
    return CounterColumns(
        np.asarray(layout.counters, dtype=np.int64), layout.counters_start, layout.counters_time
    )


@inlined_kernel
def start_counters(int_state, counters):  # type: ignore[no-untyped-def]
    """Forget the last value of each counter; the next row then has no rate."""
    columns, _, times_start = counters
    for counter in range(len(columns)):
        int_state[times_start + counter] = NO_ROW_YET


@inlined_kernel
def replace_counters_by_rates(float_state, int_state, counters, event_time, measured, imputed):  # type: ignore[no-untyped-def]
    """Replace each counter of a row by its rate per second; store the counter's value and time.

    A counter has no rate, and `imputed` becomes true, if its value is missing, if the sensor has no
    earlier value, or if the value is lower than the last one. A lower value means that the counter
    was reset. Its increase before the reset is unknown, so the row has no rate.
    """
    columns, values_start, times_start = counters
    for counter in range(len(columns)):
        column = columns[counter]
        if imputed[column]:
            continue
        value, last_value = measured[column], float_state[values_start + counter]
        last_time = int_state[times_start + counter]
        imputed[column] = last_time == NO_ROW_YET or value < last_value
        if not imputed[column]:
            measured[column] = (value - last_value) / ((event_time - last_time) / 1e6)
        float_state[values_start + counter] = value
        int_state[times_start + counter] = event_time


@inlined_kernel
def drop_counters(counters, imputed):  # type: ignore[no-untyped-def]
    """Mark the counters of a late or duplicate row as missing; do not change the memory."""
    for column in counters[0]:
        imputed[column] = True
