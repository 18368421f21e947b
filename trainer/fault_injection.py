"""Inject labelled faults into readings."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.simulation.faults import EPISODE_LENGTHS, FaultKind, inject_fault

HEALTHY_ROWS_PER_FAULTY = 9
"""Healthy rows per faulty row around each fault, so that most rows are unchanged."""
MIN_HEALTHY_ROWS_PER_FAULTY = 3
"""Minimum number of healthy rows per faulty row, for sensors with few rows."""


@dataclass(frozen=True, slots=True)
class FaultCase:
    """A kind of fault with a size."""

    kind: FaultKind
    size: float
    """Size in units of the signal's `robust_spread`. 0 for a stuck sensor, which has no size."""
    one_signal: bool = False
    """True if the fault changes one signal of the sensor instead of all signals."""

    @property
    def name(self) -> str:
        """Return the name of the case in the report."""
        return f"{self.kind.value}, one signal" if self.one_signal else self.kind.value


@dataclass(frozen=True, slots=True)
class InjectedFaults:
    """Readings with injected faults."""

    readings: Readings
    faulty: NDArray[np.bool_]
    """Shape (n,). True for rows of an episode."""
    episodes: list[NDArray[np.int64]]
    """The row indices of each episode, in time order."""


def robust_spread(readings: Readings) -> NDArray[np.float64]:
    """Return the spread (signals,) of each signal over all rows, robust against outliers.

    The spread is the interquartile range, scaled to the standard deviation of a normal
    distribution. If the interquartile range is 0, the spread is the standard deviation. The spread
    of a signal that never changes is 0. Missing values (NaN) are ignored.
    """
    return np.asarray(
        [_robust_spread_of_signal(signal[~np.isnan(signal)]) for signal in readings.values.T]
    )


def _robust_spread_of_signal(values: NDArray[np.float64]) -> float:
    if len(values) == 0:
        return 0.0
    low, high = np.quantile(values, (0.25, 0.75))
    return float((high - low) / 1.349 if high > low else values.std())


def inject_case(
    readings: Readings,
    case: FaultCase,
    *,
    schema: Schema,
    rng: np.random.Generator,
    episodes: int,
    eligible: NDArray[np.bool_] | None = None,
) -> InjectedFaults:
    """Inject at most `episodes` faults of a case, which do not overlap, into readings.

    Signals that never change get no fault. Values are clipped to the schema's bounds, because a row
    outside the bounds would be rejected. `readings`: in time order. `eligible` (n,): mask of rows.
    Faults start after a sensor's first eligible row. A sensor without an eligible row gets no
    fault.
    """
    scale = robust_spread(readings)
    varying_signals = np.flatnonzero(scale > 0)
    values = readings.values.copy()
    faulty = np.zeros(len(readings), dtype=np.bool_)
    episode_rows = []
    rows_by_sensor = _eligible_rows(
        readings, np.ones_like(faulty) if eligible is None else eligible
    )
    for rows, start, length in _choose_episodes(rows_by_sensor, case, rng, episodes):
        stream = values[np.ix_(rows, varying_signals)]
        values[np.ix_(rows, varying_signals)] = _inject_into_stream(
            stream, case, start, length, scale[varying_signals], rng
        )
        faulty_rows = rows[start : start + length]
        faulty[faulty_rows] = True
        episode_rows.append(faulty_rows)
    low, high = np.transpose([signal.bounds for signal in schema.signals])
    values = np.clip(values, low, high)
    return InjectedFaults(replace(readings, values=values), faulty, episode_rows)


def _inject_into_stream(
    stream: NDArray[np.float64],
    case: FaultCase,
    start: int,
    length: int,
    scale: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    signals = [int(rng.integers(stream.shape[1]))] if case.one_signal else None
    return inject_fault(
        stream,
        case.kind,
        first_row=start,
        length=length,
        size=case.size,
        scale=scale,
        rng=rng,
        signals=signals,
    )


def _choose_episodes(
    rows_by_sensor: list[NDArray[np.int64]],
    case: FaultCase,
    rng: np.random.Generator,
    episodes: int,
) -> list[tuple[NDArray[np.int64], int, int]]:
    """Return at most `episodes` randomly chosen episodes, at most one in each slot of rows.

    Each episode has the row indices of its sensor, the position of its first row among them, and
    its number of rows.
    """
    slots = []
    for rows in rows_by_sensor:
        length = min(
            sum(EPISODE_LENGTHS[case.kind]) // 2, len(rows) // (MIN_HEALTHY_ROWS_PER_FAULTY + 1)
        )
        width = min(length * (HEALTHY_ROWS_PER_FAULTY + 1), len(rows))
        if length > 0:
            slots += [(rows, start, length, width) for start in _slot_starts(len(rows), width)]
    chosen_slots = rng.permutation(len(slots))[:episodes]
    return [_draw_position(*slots[slot], rng=rng) for slot in sorted(chosen_slots.tolist())]


def _slot_starts(rows: int, width: int) -> range:
    return range(0, rows - width + 1, width)


def _draw_position(
    rows: NDArray[np.int64], start: int, length: int, width: int, *, rng: np.random.Generator
) -> tuple[NDArray[np.int64], int, int]:
    # The position is at least 1, because a stuck sensor repeats the row before the episode.
    return rows, start + int(rng.integers(1, width - length + 1)), length


def _eligible_rows(readings: Readings, eligible: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return each sensor's row indices in time order, from its first eligible row on."""
    order = np.argsort(readings.sensor, kind="stable")
    sensor_ends = np.flatnonzero(np.diff(readings.sensor[order])) + 1
    rows_by_sensor = [rows for rows in np.split(order, sensor_ends) if eligible[rows].any()]
    return [rows[int(np.argmax(eligible[rows])) :] for rows in rows_by_sensor]
