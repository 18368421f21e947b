"""Inject labelled faults into readings."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.simulation.faults import EPISODE_LENGTHS, FaultKind, inject_fault

HEALTHY_ROWS_PER_FAULTY = 9
"""Number of healthy rows per faulty row around each fault, so that most rows are healthy."""
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
    """Inject at most `episodes` faults of a case into readings. The faults do not overlap.

    Signals that never change get no fault. Values are clipped to the schema's bounds, because a row
    outside the bounds would be rejected. `readings`: in time order. `eligible` (n,): mask of rows.
    The faults of a sensor start after the first of its rows that the mask selects. A sensor without
    a selected row gets no fault.
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
        sensor_values = values[np.ix_(rows, varying_signals)]
        values[np.ix_(rows, varying_signals)] = _inject_into_stream(
            sensor_values, case, start, length, scale[varying_signals], rng
        )
        faulty_rows = rows[start : start + length]
        faulty[faulty_rows] = True
        episode_rows.append(faulty_rows)
    low, high = np.transpose([signal.bounds for signal in schema.signals])
    values = np.clip(values, low, high)
    return InjectedFaults(replace(readings, values=values), faulty, episode_rows)


def _inject_into_stream(
    sensor_values: NDArray[np.float64],
    case: FaultCase,
    start: int,
    length: int,
    scale: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    signals = [int(rng.integers(sensor_values.shape[1]))] if case.one_signal else None
    return inject_fault(
        sensor_values,
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
    """Choose at most `episodes` episodes at random, at most one in each slot of consecutive rows.

    For each episode, return the row indices of its sensor, the position of its first row in these
    indices, and its number of rows.
    """
    candidate_slots = []
    for rows in rows_by_sensor:
        length = min(
            sum(EPISODE_LENGTHS[case.kind]) // 2, len(rows) // (MIN_HEALTHY_ROWS_PER_FAULTY + 1)
        )
        slot_rows = min(length * (HEALTHY_ROWS_PER_FAULTY + 1), len(rows))
        if length > 0:
            candidate_slots += [
                (rows, start, length, slot_rows) for start in _slot_starts(len(rows), slot_rows)
            ]
    chosen_slots = rng.permutation(len(candidate_slots))[:episodes]
    return [
        _draw_position(*candidate_slots[slot], rng=rng) for slot in sorted(chosen_slots.tolist())
    ]


def _slot_starts(rows: int, slot_rows: int) -> range:
    return range(0, rows - slot_rows + 1, slot_rows)


def _draw_position(
    rows: NDArray[np.int64], start: int, length: int, slot_rows: int, *, rng: np.random.Generator
) -> tuple[NDArray[np.int64], int, int]:
    # The position is at least 1, because a stuck sensor repeats the row before the episode.
    return rows, start + int(rng.integers(1, slot_rows - length + 1)), length


def _eligible_rows(readings: Readings, eligible: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return for each sensor its row indices from the first eligible row on, in time order."""
    order = np.argsort(readings.sensor, kind="stable")
    sensor_ends = np.flatnonzero(np.diff(readings.sensor[order])) + 1
    rows_by_sensor = [rows for rows in np.split(order, sensor_ends) if eligible[rows].any()]
    return [rows[int(np.argmax(eligible[rows])) :] for rows in rows_by_sensor]
