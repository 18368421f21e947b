"""What the memory knows when a row comes: its sensor's level, lags and repeats, row after row."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel, part
from sensorwatch.common.model.forecast import LAGS
from sensorwatch.common.model.levels import Levels
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import NEVER, Layout, Real, Whole
from sensorwatch.common.scoring.status import STATUSES

LINEAR = 4.0
"""Up to so many scales from its location a value counts in full; beyond, its logarithm does."""
FOLLOWED = 3.0
"""A value moves its sensor's location as if it were at most so many scales away."""
FOLLOW_ROWS = 1000.0
"""Rows that a location takes to follow: slow drift is no fault, and a fault is not followed."""
LEARN_ROWS = 20
LEARN_CLIP = 4.0
"""While a new sensor's level is learned, from LEARN_ROWS on, a value counts as if at most so many
spreads away.
"""


_SCORED, _WARMING_UP, _GAP, _LATE, _DUPLICATE = range(len(STATUSES))


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was known of n rows when they came, before they changed it."""

    slots: NDArray[np.int64]
    """(n,) line of each row's sensor in the memory."""
    event_time: NDArray[np.int64]
    """(n,) microseconds UTC."""
    fresh: NDArray[np.int32]
    """(n,) at least 0 where the sensor was new."""
    evicted: dict[int, str]
    """By row: the sensor that had to go for it."""
    status: NDArray[np.int8]
    """(n,) position in STATUSES."""
    gap: NDArray[np.bool_]
    """(n,) whether the row is the first one after a gap."""
    measured: NDArray[np.float64]
    """(n, columns) signals, then context; what was missing is held from the row before."""
    held: NDArray[np.bool_]
    """(n, columns) what was missing."""
    location: NDArray[np.float64]
    """(n, columns) the level that the row is measured from."""
    scale: NDArray[np.float64]
    """(n, columns)"""
    standard: NDArray[np.float64]
    """(n, columns) (measured - location) / scale, squashed."""
    lagged: NDArray[np.float64]
    """(n, LAGS * columns) the rows before, likewise, the newest first; 0 where there is none."""
    runs: NDArray[np.int64]
    """(n, signals) how many rows in a row each signal has had its value, this one not counted."""


def recall(readings: Readings, levels: Levels, known: dict[str, int], memory: Memory) -> Recalled:
    """Tell what is known of each row, and let the memory take the row in, in their order."""
    layout, n = memory.layout, len(readings)
    measured = _measured(readings)
    held = np.isnan(measured)
    wide = (n, layout.columns)
    found = Recalled(
        slots=np.empty(n, dtype=np.int64),
        event_time=readings.event_time,
        fresh=np.empty(n, dtype=np.int32),
        evicted={},
        status=np.empty(n, dtype=np.int8),
        gap=np.zeros(n, dtype=np.bool_),
        measured=measured,
        held=held,
        location=np.empty(wide),
        scale=np.empty(wide),
        standard=np.empty(wide),
        lagged=np.zeros((n, LAGS * layout.columns)),
        runs=np.zeros((n, len(layout.signals)), dtype=np.int64),
    )
    for span in memory.spans(readings, known):
        found.slots[span.rows], found.fresh[span.rows] = span.slots, span.fresh
        found.evicted.update(span.evicted)
        _recall(found, span.rows, levels, memory)
    return found


def _measured(readings: Readings) -> NDArray[np.float64]:
    if readings.context.shape[1] == 0:
        return readings.values.copy()
    return np.concatenate([readings.values, readings.context], axis=1)


def _recall(found: Recalled, rows: slice, levels: Levels, memory: Memory) -> None:
    layout = memory.layout
    memory.clock = _walk(
        memory.reals,
        memory.wholes,
        _columns(layout),
        memory.clock,
        levels.location,
        levels.scale,
        levels.least_scale,
        layout.min_rows,
        levels.max_gap,
        LAGS if layout.min_rows else 0,
        found.slots[rows],
        found.fresh[rows],
        found.event_time[rows],
        found.held[rows],
        found.status[rows],
        found.gap[rows],
        found.measured[rows],
        found.location[rows],
        found.scale[rows],
        found.standard[rows],
        found.lagged[rows],
        found.runs[rows],
    )


def _columns(layout: Layout) -> tuple[int, int, int]:
    return layout.scale, layout.lags, len(layout.signals)


@part
def squash(standard: float) -> float:
    """Leave what is near as it is and bring what is far near: one wild value must not count all."""
    size = abs(standard)
    if size <= LINEAR:
        return standard
    far: float = LINEAR + np.log(size - (LINEAR - 1.0))
    return far if standard > 0 else -far


# Row after row in one fixed order, so that the bits do not depend on how rows were cut.
@kernel
def _walk(  # type: ignore[no-untyped-def]
    reals, wholes, columns, clock, level_location, level_scale, least_scale, min_rows, max_gap,
    needed, slots, fresh, event_time, held, statuses, gaps, measured, location, scale, standard,
    lagged, runs,
):  # fmt: skip
    for row in range(len(slots)):
        real, whole = reals[slots[row]], wholes[slots[row]]
        if fresh[row] >= 0:
            _begin(real, whole, columns, fresh[row], level_location, level_scale, min_rows)
        status = _order(whole, event_time[row], min_rows, max_gap, needed)
        gaps[row] = status == _GAP
        if status == _GAP:
            whole[Whole.HELD] = 0
            whole[Whole.RUNS :] = 0
        _level(real, whole, columns, level_location, level_scale, min_rows, location[row],
               scale[row])  # fmt: skip
        _fill(real, whole, columns, held[row], location[row], measured[row])
        _standardise(real, whole, columns, measured[row], location[row], scale[row],
                     standard[row], lagged[row])  # fmt: skip
        statuses[row] = status
        if status < _LATE:
            _repeats(real, whole, columns, held[row], measured[row], runs[row])
            _learn(real, whole, columns, measured[row], least_scale, min_rows)
            clock += 1
            whole[Whole.TIME] = event_time[row]
            whole[Whole.TOUCHED] = clock
    return clock


@part
def _begin(real, whole, columns, level, level_location, level_scale, min_rows):  # type: ignore[no-untyped-def]
    """Let a new sensor begin with its level, or with nothing where it has none of its own."""
    at_scale, at_lags, signals = columns
    width = at_lags - at_scale
    whole[Whole.TIME] = NEVER
    given = level > 0 or min_rows == 0
    whole[Whole.SEEN] = min_rows if given else 0
    whole[Whole.HELD] = 0
    whole[Whole.RUNS : Whole.RUNS + signals] = 0
    for column in range(width):
        real[Real.LEVELS + column] = level_location[level, column] if given else 0.0
        real[at_scale + column] = level_scale[level, column] if given else 0.0
        for lag in range(LAGS):
            real[at_lags + lag * width + column] = 0.0


@part
def _order(whole, event_time, min_rows, max_gap, needed):  # type: ignore[no-untyped-def]
    newest = whole[Whole.TIME]
    if newest != NEVER:
        if event_time < newest:
            return _LATE
        if event_time == newest:
            return _DUPLICATE
        if max_gap > 0 and event_time - newest > max_gap:
            return _GAP
    if whole[Whole.SEEN] < min_rows or whole[Whole.HELD] < needed:
        return _WARMING_UP
    return _SCORED


@part
def _level(  # type: ignore[no-untyped-def]
    real, whole, columns, level_location, level_scale, min_rows, location, scale
):  # fmt: skip
    at_scale = columns[0]
    own = whole[Whole.SEEN] >= min_rows
    for column in range(len(location)):
        location[column] = real[Real.LEVELS + column] if own else level_location[0, column]
        scale[column] = real[at_scale + column] if own else level_scale[0, column]


@part
def _fill(real, whole, columns, held, location, measured):  # type: ignore[no-untyped-def]
    at_lags = columns[1]
    for column in range(len(measured)):
        if held[column]:
            before = whole[Whole.TIME] != NEVER
            measured[column] = real[at_lags + column] if before else location[column]


@part
def _standardise(  # type: ignore[no-untyped-def]
    real, whole, columns, measured, location, scale, standard, lagged
):  # fmt: skip
    at_lags, width = columns[1], len(measured)
    for column in range(width):
        standard[column] = squash((measured[column] - location[column]) / scale[column])
        for lag in range(min(LAGS, whole[Whole.HELD])):
            before = real[at_lags + lag * width + column]
            place = lag * width + column
            lagged[place] = squash((before - location[column]) / scale[column])


@part
def _repeats(real, whole, columns, held, measured, runs):  # type: ignore[no-untyped-def]
    at_lags = columns[1]
    for signal in range(columns[2]):
        run = whole[Whole.RUNS + signal]
        if not held[signal]:  # what is missing says nothing about repeats
            same = whole[Whole.HELD] > 0 and measured[signal] == real[at_lags + signal]
            run = run + 1 if same else 0
            whole[Whole.RUNS + signal] = run
        runs[signal] = run


@part
def _learn(real, whole, columns, measured, least_scale, min_rows):  # type: ignore[no-untyped-def]
    at_scale, at_lags, _ = columns
    width, seen = len(measured), whole[Whole.SEEN]
    for column in range(width):
        if seen >= min_rows:
            # Follow slowly, so that a fault moves the level by thousandths only.
            step = (measured[column] - real[Real.LEVELS + column]) / real[at_scale + column]
            step = min(max(step, -FOLLOWED), FOLLOWED)
            real[Real.LEVELS + column] += real[at_scale + column] * step / FOLLOW_ROWS
        else:
            _average(real, at_scale, column, measured[column], seen, least_scale[column], min_rows)
        for lag in range(LAGS - 1, 0, -1):
            older = at_lags + lag * width + column
            real[older] = real[older - width]
        real[at_lags + column] = measured[column]
    whole[Whole.SEEN] = min(seen + 1, min_rows)
    whole[Whole.HELD] = min(whole[Whole.HELD] + 1, LAGS)


@part
def _average(real, at_scale, column, value, seen, least_scale, min_rows):  # type: ignore[no-untyped-def]
    """Move the mean and the sum of squares (Welford) that a new sensor's level comes from."""
    mean, squares = real[Real.LEVELS + column], real[at_scale + column]
    step = value - mean
    if seen >= LEARN_ROWS:
        most = LEARN_CLIP * max(np.sqrt(squares / seen), least_scale)
        step = min(max(step, -most), most)
    mean += step / (seen + 1)
    squares += step * (step - step / (seen + 1))
    real[Real.LEVELS + column] = mean
    if seen + 1 == min_rows:
        squares = max(np.sqrt(squares / min_rows), least_scale)
    real[at_scale + column] = squares
