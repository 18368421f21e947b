"""The ways in which a sensor fails, each as a change to its stream of values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class FaultKind(StrEnum):
    """What can go wrong with a sensor; the text is the label of the rows concerned."""

    SPIKE = "spike"
    LEVEL_SHIFT = "level_shift"
    DRIFT = "drift"
    STUCK = "stuck"
    NOISE_BURST = "noise_burst"
    BROKEN_CORRELATION = "broken_correlation"
    DROPOUT = "dropout"
    MALFORMED = "malformed"


class Defect(StrEnum):
    """The ways in which a malformed record is broken."""

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
"""How many rows of a sensor an episode takes, from and to."""


def inject(
    values: Values,
    kind: FaultKind,
    *,
    at: int,
    length: int,
    size: float,
    scale: Values,
    rng: np.random.Generator,
    signals: Sequence[int] | None = None,
) -> Values:
    """Return a copy of one sensor's stream with a fault in rows `at` to `at + length`.

    `values`: (n, signals) in time order, of one sensor. `size`: in standard deviations. `scale`:
    (signals,) the standard deviation of each. `signals`: which ones are hit, together and in one
    direction; None: all, as when the device fails. A broken correlation hits one of them. A stuck
    sensor repeats the row before.

    Raises ValueError for a kind that is no change of values (dropout, malformed), rows that are not
    there, a stuck sensor in row 0, or a broken correlation of a single signal.
    """
    n, width = values.shape
    if kind not in _CHANGES:
        raise ValueError(f"{kind} changes no values; take one of {', '.join(VALUE_KINDS)}")
    if not 0 <= at < n or length < 1:
        raise ValueError(f"rows {at} to {at + length} are not within the {n} of the stream")
    if kind is FaultKind.STUCK and at == 0:
        raise ValueError("a stuck sensor repeats the row before, and row 0 has none")
    if kind is FaultKind.BROKEN_CORRELATION and width < 2:
        raise ValueError("a correlation needs two signals or more")
    changed = values.copy()
    signal_indices = list(range(width) if signals is None else signals)
    target = _FaultTarget(slice(at, min(at + length, n)), signal_indices, size * scale)
    _CHANGES[kind](changed, target, rng)
    return changed


@dataclass(frozen=True, slots=True)
class _FaultTarget:
    rows: slice
    signal_indices: list[int]
    step: Values
    """(signals,) the fault's size in each signal's unit."""

    @property
    def length(self) -> int:
        return int(self.rows.stop - self.rows.start)


_Change = Callable[[Values, _FaultTarget, np.random.Generator], None]


def _shift(values: Values, target: _FaultTarget, rng: np.random.Generator) -> None:
    values[target.rows, target.signal_indices] += (
        _random_sign(rng) * target.step[target.signal_indices]
    )


def _drift(values: Values, target: _FaultTarget, rng: np.random.Generator) -> None:
    ramp = np.arange(1, target.length + 1) / target.length
    values[target.rows, target.signal_indices] += _random_sign(rng) * np.outer(
        ramp, target.step[target.signal_indices]
    )


def _stuck(values: Values, target: _FaultTarget, _rng: np.random.Generator) -> None:
    values[target.rows, target.signal_indices] = values[
        target.rows.start - 1, target.signal_indices
    ]


def _noise_burst(values: Values, target: _FaultTarget, rng: np.random.Generator) -> None:
    noise = rng.standard_normal((target.length, len(target.signal_indices)))
    values[target.rows, target.signal_indices] += target.step[target.signal_indices] * noise


def _broken_correlation(values: Values, target: _FaultTarget, rng: np.random.Generator) -> None:
    """Let one signal run against the others' common movement; at size 1 it alone looks healthy."""
    signal = int(rng.choice(target.signal_indices))
    window = values[target.rows]
    deviation = window - window.mean(axis=0)
    spread = deviation.std(axis=0)
    others = np.delete(deviation / np.where(spread > 0, spread, 1.0), signal, axis=1).mean(axis=1)
    values[target.rows, signal] = window[:, signal].mean() - target.step[signal] * others


def _random_sign(rng: np.random.Generator) -> float:
    return float(rng.choice([-1.0, 1.0]))


_CHANGES: dict[FaultKind, _Change] = {
    FaultKind.SPIKE: _shift,
    FaultKind.LEVEL_SHIFT: _shift,  # a spike that stays
    FaultKind.DRIFT: _drift,
    FaultKind.STUCK: _stuck,
    FaultKind.NOISE_BURST: _noise_burst,
    FaultKind.BROKEN_CORRELATION: _broken_correlation,
}

VALUE_KINDS = tuple(_CHANGES)
"""The kinds that `inject` can make: those that change values."""
