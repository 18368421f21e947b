"""The kinds of sensor faults, and their injection into a sensor's values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class FaultKind(StrEnum):
    """A kind of sensor fault. The text of the kind is the label of the faulty rows."""

    SPIKE = "spike"
    LEVEL_SHIFT = "level_shift"
    DRIFT = "drift"
    STUCK = "stuck"
    NOISE_BURST = "noise_burst"
    BROKEN_CORRELATION = "broken_correlation"
    DROPOUT = "dropout"
    MALFORMED = "malformed"


class Defect(StrEnum):
    """The way in which a malformed record is wrong."""

    TRUNCATED = "truncated"
    TEXT = "text"
    MISSING_FIELD = "missing_field"
    NULL = "null"
    NAN = "nan"
    OVERFLOW = "overflow"
    OUT_OF_RANGE = "out_of_range"
    BAD_TIMESTAMP = "bad_timestamp"
    BAD_KEY = "bad_key"
    NOT_OBJECT = "not_object"
    FRAMED = "framed"
    EMPTY = "empty"


EPISODE_LENGTHS = {
    FaultKind.SPIKE: (1, 1),
    FaultKind.LEVEL_SHIFT: (20, 60),
    FaultKind.DRIFT: (30, 90),
    FaultKind.STUCK: (20, 60),
    FaultKind.NOISE_BURST: (10, 30),
    FaultKind.BROKEN_CORRELATION: (20, 60),
    FaultKind.DROPOUT: (10, 30),
    FaultKind.MALFORMED: (1, 1),
}
"""Minimum and maximum number of rows of an episode, by kind."""


def inject_fault(
    values: Values,
    kind: FaultKind,
    *,
    first_row: int,
    length: int,
    size: float,
    scale: Values,
    rng: np.random.Generator,
    signals: Sequence[int] | None = None,
) -> Values:
    """Return a copy of one sensor's values with a fault in `length` rows from `first_row` on.

    `values`: shape (n, signals), in time order. `size`: size of the fault, in standard deviations.
    `scale`: shape (signals,), the standard deviation of each signal. `signals`: indices of the
    signals to change, all in the same direction; None: all signals. A broken correlation
    changes one of these signals. A stuck sensor repeats row `first_row - 1`.

    Raises ValueError if the kind changes no values (dropout, malformed), if the rows are outside
    `values`, for a stuck sensor at row 0, and for a broken correlation of one signal.
    """
    n, signal_count = values.shape
    if kind not in _INJECTIONS:
        raise ValueError(f"{kind} changes no values; wanted one of {', '.join(VALUE_KINDS)}")
    if not 0 <= first_row < n or length < 1:
        raise ValueError(
            f"rows {first_row} to {first_row + length} are not within the {n} rows of the sensor"
        )
    if kind is FaultKind.STUCK and first_row == 0:
        raise ValueError("a stuck sensor repeats the previous row, and row 0 has none")
    if kind is FaultKind.BROKEN_CORRELATION and signal_count < 2:
        raise ValueError("a broken correlation needs two signals or more, but there is one")
    faulty_values = values.copy()
    signal_indices = list(range(signal_count) if signals is None else signals)
    target = _FaultTarget(
        slice(first_row, min(first_row + length, n)), signal_indices, size * scale
    )
    _INJECTIONS[kind](faulty_values, target, rng)
    return faulty_values


@dataclass(frozen=True, slots=True)
class _FaultTarget:
    """The rows and signals of one fault, and its size."""

    rows: slice
    signal_indices: list[int]
    shift: Values
    """Shape (signals,). Size of the fault in each signal's unit."""

    @property
    def length(self) -> int:
        return int(self.rows.stop - self.rows.start)


_Injection = Callable[[Values, _FaultTarget, np.random.Generator], None]


def _add_step(values: Values, target: _FaultTarget, rng: np.random.Generator) -> None:
    values[target.rows, target.signal_indices] += (
        _random_sign(rng) * target.shift[target.signal_indices]
    )


def _add_ramp(values: Values, target: _FaultTarget, rng: np.random.Generator) -> None:
    ramp = np.arange(1, target.length + 1) / target.length
    values[target.rows, target.signal_indices] += _random_sign(rng) * np.outer(
        ramp, target.shift[target.signal_indices]
    )


def _repeat_previous_row(values: Values, target: _FaultTarget, _rng: np.random.Generator) -> None:
    values[target.rows, target.signal_indices] = values[
        target.rows.start - 1, target.signal_indices
    ]


def _add_noise(values: Values, target: _FaultTarget, rng: np.random.Generator) -> None:
    noise = rng.standard_normal((target.length, len(target.signal_indices)))
    values[target.rows, target.signal_indices] += target.shift[target.signal_indices] * noise


def _break_correlation(values: Values, target: _FaultTarget, rng: np.random.Generator) -> None:
    """Replace one signal by the negative mean of the others, scaled to the size of the fault."""
    signal = int(rng.choice(target.signal_indices))
    faulty_values = values[target.rows]
    deviation = faulty_values - faulty_values.mean(axis=0)
    spread = deviation.std(axis=0)
    other_signals = np.delete(deviation / np.where(spread > 0, spread, 1.0), signal, axis=1).mean(
        axis=1
    )
    values[target.rows, signal] = (
        faulty_values[:, signal].mean() - target.shift[signal] * other_signals
    )


def _random_sign(rng: np.random.Generator) -> float:
    return float(rng.choice([-1.0, 1.0]))


_INJECTIONS: dict[FaultKind, _Injection] = {
    FaultKind.SPIKE: _add_step,
    FaultKind.LEVEL_SHIFT: _add_step,
    FaultKind.DRIFT: _add_ramp,
    FaultKind.STUCK: _repeat_previous_row,
    FaultKind.NOISE_BURST: _add_noise,
    FaultKind.BROKEN_CORRELATION: _break_correlation,
}

VALUE_KINDS = tuple(_INJECTIONS)
"""The kinds of faults that change values; `inject_fault` accepts only these."""
