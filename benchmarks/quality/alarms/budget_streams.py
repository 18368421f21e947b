"""Simulated streams without faults, at any cadence, on which every alarm is a false alarm."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from benchmarks.quality.alarms.sensor_rows import DAY_SECONDS, SensorRows, rows_of_grid

SIGNALS = 3
COMMANDS = 24
DRIFT_PER_DAY = 0.1
"""Harmless drift, in standard deviations of the noise."""
_AR_COEFFICIENT = 0.8
_SHARED_LOADING = 0.7
_LEVEL_SPREAD = 3.0
_DAILY_AMPLITUDE = 1.5
_DEGREES_OF_FREEDOM = 3
_QUANTUM = 0.5
"""Step of the quantised signals, in standard deviations of the noise."""
_MEAN_COUNTS = (0.2, 3.0, 20.0)
_SWITCH_ROWS = (20, 60, 300)
"""Mean numbers of rows during which an on/off signal keeps its state."""
_COMMAND_SMOOTHING = 0.2
_SPEED_COEFFICIENT = 0.995
_SCALE = np.array([1.0, 5.0, 0.2])
_MEAN = np.array([20.0, 400.0, 1.5])


class BudgetStream(StrEnum):
    """Kinds of clean streams, which differ in the property that can cause false alarms."""

    PLAIN = "plain"
    DAILY = "daily cycle"
    DRIFT = "daily cycle, slow drift"
    HEAVY_TAILS = "daily cycle, heavy tails"
    SWITCHES = "on/off signals"
    QUANTISED = "quantised"
    COUNTS = "counts"
    RANDOM_WALK = "random walks"
    SMOOTH_WALK = "smooth random walks"
    COMMANDS = "telemetry, 24 commands as context"


def clean_rows(
    kind: BudgetStream,
    *,
    seed: int,
    sensors: int,
    train_days: float,
    judged_days: float,
    interval_seconds: float,
) -> SensorRows:
    """Simulate sensors of one kind; the first `train_days` are for training.

    The noise is AR(1) with coefficient 0.8 from row to row, and the signals of a row share a part
    of the innovations (loading 0.7). Innovations are normal, or Student's t with 3 degrees of
    freedom. Each sensor has its own levels. Each signal drifts up or down by DRIFT_PER_DAY.
    """
    rng = np.random.default_rng([seed, list(BudgetStream).index(kind), round(interval_seconds)])
    rows_per_day = DAY_SECONDS / interval_seconds
    train_steps = round(train_days * rows_per_day)
    steps = train_steps + round(judged_days * rows_per_day)
    context = None
    if kind is BudgetStream.COMMANDS:
        values, context = _telemetry(rng, steps, sensors)
    elif kind in _UNSCALED:
        values = _UNSCALED[kind](rng, steps, sensors)
    else:
        day = np.arange(steps)[:, np.newaxis, np.newaxis] / rows_per_day
        values = _measurements(kind, rng, day, sensors)
    return rows_of_grid(
        kind.value,
        values,
        train_steps=train_steps,
        interval_seconds=interval_seconds,
        context=context,
    )


def _measurements(
    kind: BudgetStream, rng: np.random.Generator, day: NDArray[np.float64], sensors: int
) -> NDArray[np.float64]:
    """Return values (steps, sensors, signals). `day`: shape (steps, 1, 1), time in days."""
    noise = _noise(rng, len(day), sensors, has_heavy_tails=kind is BudgetStream.HEAVY_TAILS)
    level = _LEVEL_SPREAD * rng.standard_normal((sensors, SIGNALS))
    direction = rng.choice([-1.0, 1.0], size=(sensors, SIGNALS))
    values: NDArray[np.float64] = level + noise
    if kind in {BudgetStream.DAILY, BudgetStream.DRIFT, BudgetStream.HEAVY_TAILS}:
        angle = 2 * np.pi * day
        values += _DAILY_AMPLITUDE * (np.sin(angle) + 0.3 * np.sin(2 * angle))
    if kind is BudgetStream.DRIFT:
        values += DRIFT_PER_DAY * day * direction
    if kind is BudgetStream.QUANTISED:
        values = _QUANTUM * np.round(values / _QUANTUM)
    return _MEAN + _SCALE * values


def _noise(
    rng: np.random.Generator, steps: int, sensors: int, *, has_heavy_tails: bool = False
) -> NDArray[np.float64]:
    """Return noise (steps, sensors, signals) of variance 1."""
    size = (steps, sensors, SIGNALS + 1)
    if has_heavy_tails:
        variance = _DEGREES_OF_FREEDOM / (_DEGREES_OF_FREEDOM - 2)
        draws = rng.standard_t(_DEGREES_OF_FREEDOM, size) / np.sqrt(variance)
    else:
        draws = rng.standard_normal(size)
    own_loading = np.sqrt(1 - _SHARED_LOADING**2)
    innovations = _SHARED_LOADING * draws[..., -1:] + own_loading * draws[..., :-1]
    return _autoregression(np.sqrt(1 - _AR_COEFFICIENT**2) * innovations, _AR_COEFFICIENT)


def _switches(rng: np.random.Generator, steps: int, sensors: int) -> NDArray[np.float64]:
    """Return two on/off signals, and a measurement that increases while the second signal is on."""
    states = np.stack([_states(rng, steps, sensors, rows) for rows in _SWITCH_ROWS[1:]], axis=2)
    smooth_state = _autoregression(_COMMAND_SMOOTHING * states[..., -1:], 1 - _COMMAND_SMOOTHING)
    measurement = 20 + 3 * smooth_state + _noise(rng, steps, sensors)[..., :1]
    return np.concatenate([states, measurement], axis=2)


def _counts(rng: np.random.Generator, steps: int, sensors: int) -> NDArray[np.float64]:
    return rng.poisson(_MEAN_COUNTS, (steps, sensors, len(_MEAN_COUNTS))).astype(np.float64)


def _random_walk(rng: np.random.Generator, steps: int, sensors: int) -> NDArray[np.float64]:
    walks: NDArray[np.float64] = np.cumsum(rng.standard_normal((steps, sensors, SIGNALS)), axis=0)
    return walks


def _smooth_walk(rng: np.random.Generator, steps: int, sensors: int) -> NDArray[np.float64]:
    """Return random walks whose speed changes slowly."""
    speed = _autoregression(rng.standard_normal((steps, sensors, SIGNALS)), _SPEED_COEFFICIENT)
    walks: NDArray[np.float64] = np.cumsum(speed, axis=0)
    return walks


_UNSCALED = {
    BudgetStream.SWITCHES: _switches,
    BudgetStream.COUNTS: _counts,
    BudgetStream.RANDOM_WALK: _random_walk,
    BudgetStream.SMOOTH_WALK: _smooth_walk,
}


def _telemetry(
    rng: np.random.Generator, steps: int, sensors: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a signal (steps, sensors, 1), and the commands (steps, sensors, COMMANDS)."""
    commands = np.stack(
        [
            _states(rng, steps, sensors, _SWITCH_ROWS[number % len(_SWITCH_ROWS)])
            for number in range(COMMANDS)
        ],
        axis=2,
    )
    effect = rng.standard_normal(COMMANDS) * (rng.random(COMMANDS) < 1 / 3)
    smoothed_commands = _autoregression(
        _COMMAND_SMOOTHING * (commands @ effect)[..., np.newaxis], 1 - _COMMAND_SMOOTHING
    )
    return 20 + smoothed_commands + 0.2 * _noise(rng, steps, sensors)[..., :1], commands


def _states(
    rng: np.random.Generator, steps: int, sensors: int, mean_rows: int
) -> NDArray[np.float64]:
    """Return 0 or 1 (steps, sensors), which changes after `mean_rows` rows on average."""
    changes = rng.random((steps, sensors)) < 1 / mean_rows
    states: NDArray[np.float64] = (np.cumsum(changes, axis=0) % 2).astype(np.float64)
    return states


def _autoregression(values: NDArray[np.float64], coefficient: float) -> NDArray[np.float64]:
    """Return y with y[i] = values[i] + coefficient * y[i - 1], along the first axis."""
    filtered: NDArray[np.float64] = lfilter([1.0], [1.0, -coefficient], values, axis=0)
    return filtered
