"""Faults put into held-out readings, with what was changed where."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.simulation.faults import EPISODE_LENGTHS, FaultKind, inject

HEALTHY_ROWS_PER_FAULTY = 9
"""An episode takes a tenth of its slot, so that most rows stay as they were; ..."""
MIN_HEALTHY_ROWS_PER_FAULTY = 3
"""... of a short stream a quarter."""


@dataclass(frozen=True, slots=True)
class FaultCase:
    """A kind of fault at a size."""

    kind: FaultKind
    size: float
    """In spreads of the signal, see `robust_spread`; a stuck sensor has none (0)."""
    one_signal: bool = False
    """Hit one signal of the sensor instead of all at once."""

    @property
    def name(self) -> str:
        """How the report calls it."""
        return f"{self.kind.value}, one signal" if self.one_signal else self.kind.value


@dataclass(frozen=True, slots=True)
class Injected:
    """Readings with faults in them."""

    readings: Readings
    faulty: NDArray[np.bool_]
    """(n,) rows that belong to an episode."""
    episodes: list[NDArray[np.int64]]
    """The rows of each episode, in time order."""


def robust_spread(readings: Readings) -> NDArray[np.float64]:
    """Spread (signals,) of each signal over all rows, which few outliers cannot move.

    The interquartile range in standard deviations of a normal distribution; where half of the rows
    are alike, the standard deviation; 0 for a signal that never changes. What is missing (NaN)
    does not count.
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
) -> Injected:
    """Put at most `episodes` faults of a case into readings in time order, never overlapping.

    Signals that never change are left alone. Values stay within what the schema allows: beyond it
    a row would be rejected, not scored. `eligible` (n,): no fault comes before a sensor's first such
    row; a sensor that has none gets no fault.
    """
    scale = robust_spread(readings)
    varying = np.flatnonzero(scale > 0)
    values = readings.values.copy()
    faulty = np.zeros(len(readings), dtype=np.bool_)
    chosen = []
    streams = _streams(readings, np.ones_like(faulty) if eligible is None else eligible)
    for rows, at, length in _places(streams, case, rng, episodes):
        stream = values[np.ix_(rows, varying)]
        values[np.ix_(rows, varying)] = _inject_into_stream(
            stream, case, at, length, scale[varying], rng
        )
        faulty_rows = rows[at : at + length]
        faulty[faulty_rows] = True
        chosen.append(faulty_rows)
    low, high = np.transpose([signal.bounds for signal in schema.signals])
    values = np.clip(values, low, high)
    return Injected(replace(readings, values=values), faulty, chosen)


def _inject_into_stream(
    stream: NDArray[np.float64],
    case: FaultCase,
    at: int,
    length: int,
    scale: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    signals = [int(rng.integers(stream.shape[1]))] if case.one_signal else None
    return inject(
        stream,
        case.kind,
        at=at,
        length=length,
        size=case.size,
        scale=scale,
        rng=rng,
        signals=signals,
    )


def _places(
    streams: list[NDArray[np.int64]], case: FaultCase, rng: np.random.Generator, episodes: int
) -> list[tuple[NDArray[np.int64], int, int]]:
    """Choose slots: (a sensor's rows, position of the episode among them, its length)."""
    slots = []
    for rows in streams:
        length = min(
            sum(EPISODE_LENGTHS[case.kind]) // 2, len(rows) // (MIN_HEALTHY_ROWS_PER_FAULTY + 1)
        )
        width = min(length * (HEALTHY_ROWS_PER_FAULTY + 1), len(rows))
        if length > 0:
            slots += [(rows, start, length, width) for start in _slot_starts(len(rows), width)]
    picked = rng.permutation(len(slots))[:episodes]
    return [_draw_position(*slots[slot], rng=rng) for slot in sorted(picked.tolist())]


def _slot_starts(rows: int, width: int) -> range:
    return range(0, rows - width + 1, width)


def _draw_position(
    rows: NDArray[np.int64], start: int, length: int, width: int, *, rng: np.random.Generator
) -> tuple[NDArray[np.int64], int, int]:
    # From 1 on: what is stuck repeats the row before.
    return rows, start + int(rng.integers(1, width - length + 1)), length


def _streams(readings: Readings, eligible: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return each sensor's rows, in order, from the first warm one on."""
    order = np.argsort(readings.sensor, kind="stable")
    ends = np.flatnonzero(np.diff(readings.sensor[order])) + 1
    streams = [rows for rows in np.split(order, ends) if eligible[rows].any()]
    return [rows[int(np.argmax(eligible[rows])) :] for rows in streams]
