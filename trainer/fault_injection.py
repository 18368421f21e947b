"""Inject labelled faults into readings."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.simulation.faults import EPISODE_LENGTHS, FaultKind, inject_fault
from sensorwatch.trainer.fault_sizes import FaultSizes

HEALTHY_ROWS_PER_FAULTY = 9
"""Number of healthy rows per faulty row around each fault, so that most rows are healthy."""
MIN_HEALTHY_ROWS_PER_FAULTY = 3
"""Minimum number of healthy rows per faulty row, for sensors with few rows."""


@dataclass(frozen=True, slots=True)
class FaultCase:
    """A kind of fault with a size."""

    kind: FaultKind
    size: float
    """Size in spreads of the signal, see `fault_sizes`. 0 for a stuck sensor, which has no size."""
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
    signals: list[NDArray[np.int64]]
    """The indices of the signals that each episode changes."""


def inject_case(
    readings: Readings,
    case: FaultCase,
    *,
    sizes: FaultSizes,
    rng: np.random.Generator,
    episodes: int,
    eligible: NDArray[np.bool_] | None = None,
) -> InjectedFaults:
    """Inject at most `episodes` faults of a case into readings. The faults do not overlap.

    No fault is injected into signals that never change. A fault of one signal is injected only into
    signals for which a fault of this size is possible. If a fault would leave a signal's bounds, it
    is injected in the other direction. If it leaves the bounds in both directions, it is clipped,
    because a row outside the bounds would be rejected. `readings`: rows of `fault_rows`, in time
    order. `eligible` (n,): mask of rows. The faults of a sensor start after its first row in the
    mask. A sensor without a row in the mask gets no fault.
    """
    possible_signals = sizes.possible(case.size) if case.one_signal else sizes.varying
    values = readings.values.copy()
    faulty = np.zeros(len(readings), dtype=np.bool_)
    episode_rows: list[NDArray[np.int64]] = []
    episode_signals: list[NDArray[np.int64]] = []
    rows_by_sensor = _eligible_rows(
        readings, np.ones_like(faulty) if eligible is None else eligible
    )
    if len(possible_signals) == 0:
        rows_by_sensor = []
    for rows, start, length in _choose_episodes(rows_by_sensor, case, rng, episodes):
        signals = rng.choice(possible_signals, 1) if case.one_signal else possible_signals
        faulty_rows = rows[start : start + length]
        block = np.ix_(rows, signals)
        values[block] = inject_fault(
            values[block],
            case.kind,
            first_row=start,
            length=length,
            size=1.0,
            scale=sizes.shifts(case.kind, case.size)[signals],
            rng=rng,
        )
        faulty_block = np.ix_(faulty_rows, signals)
        values[faulty_block] = _within_bounds(
            readings.values[faulty_block], values[faulty_block], sizes, signals
        )
        if case.kind is FaultKind.STUCK:
            _stop_rates(values, faulty_rows, np.intersect1d(sizes.rates, signals))
        faulty[faulty_rows] = True
        episode_rows.append(faulty_rows)
        episode_signals.append(signals)
    return InjectedFaults(replace(readings, values=values), faulty, episode_rows, episode_signals)


def _within_bounds(
    healthy: NDArray[np.float64],
    faulty: NDArray[np.float64],
    sizes: FaultSizes,
    signals: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return faulty values (rows, signals) within the bounds; see `inject_case`."""
    low, high = sizes.low[signals], sizes.high[signals]
    reversed_fault = 2.0 * healthy - faulty
    must_reverse = _is_out_of_bounds(faulty, low, high) & ~_is_out_of_bounds(
        reversed_fault, low, high
    )
    return np.clip(np.where(must_reverse, reversed_fault, faulty), low, high)


def _is_out_of_bounds(
    values: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return a mask (signals,) of the signals with a value (rows, signals) out of bounds."""
    is_outside: NDArray[np.bool_] = np.any((values < low) | (values > high), axis=0)
    return is_outside


def _stop_rates(
    values: NDArray[np.float64], rows: NDArray[np.int64], rates: NDArray[np.int64]
) -> None:
    """Set the rates of counters to 0, because a stuck sensor repeats the counter's value."""
    for signal in rates.tolist():
        is_measured = ~np.isnan(values[rows, signal])
        values[rows[is_measured], signal] = 0.0


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
    """Return each sensor's row indices from its first eligible row on, in time order."""
    order = np.argsort(readings.sensor, kind="stable")
    sensor_ends = np.flatnonzero(np.diff(readings.sensor[order])) + 1
    rows_by_sensor = [rows for rows in np.split(order, sensor_ends) if eligible[rows].any()]
    return [rows[int(np.argmax(eligible[rows])) :] for rows in rows_by_sensor]
