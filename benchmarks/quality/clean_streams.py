"""Simulated streams without faults, on which every alarm is a false alarm."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.sensor_grid import MINUTES_PER_DAY, SensorGrid

TRAIN_STEPS = 2 * MINUTES_PER_DAY
JUDGED_STEPS = 10_000
SENSORS = 10
DRIFT_PER_ROW = 0.0003
"""Harmless drift per row, in standard deviations of the noise; 10,000 rows drift by 3."""
_SCALE = np.array([1.0, 5.0, 0.2, 30.0])
_MEAN = np.array([20.0, 400.0, 1.5, -100.0])
_LEVEL_SPREAD = 3.0
_AR_COEFFICIENT = 0.8
_SHARED_LOADING = 0.7
_DAILY_AMPLITUDE = 1.5
_DEGREES_OF_FREEDOM = 3


class CleanStreamKind(StrEnum):
    """Kinds of clean streams, which differ in the property that can cause false alarms."""

    PLAIN = "plain"
    DAILY = "daily cycle"
    DRIFT = "daily cycle, slow drift"
    HEAVY_TAILS = "daily cycle, heavy tails"


def clean_stream(
    kind: CleanStreamKind, *, seed: int = 0, judged_steps: int = JUDGED_STEPS
) -> SensorGrid:
    """Draw a stream of 10 sensors with 4 signals each and one row per minute.

    The noise is AR(1) with coefficient 0.8. All signals of a row share a part of the innovations
    (loading 0.7). Innovations are normal, or Student's t with 3 degrees of freedom. All sensors and
    signals follow one daily cycle of 1.5 standard deviations. Each sensor has its own levels. Drift
    is linear: each signal moves up or down by DRIFT_PER_ROW.
    """
    rng = np.random.default_rng([seed, list(CleanStreamKind).index(kind)])
    steps = TRAIN_STEPS + judged_steps
    shape = (SENSORS, len(_SCALE))
    noise = _noise(rng, steps, shape, has_heavy_tails=kind is CleanStreamKind.HEAVY_TAILS)
    level = _LEVEL_SPREAD * rng.standard_normal(shape)
    direction = rng.choice([-1.0, 1.0], size=shape)
    step = np.arange(steps)[:, np.newaxis, np.newaxis]
    cycle = 0.0 if kind is CleanStreamKind.PLAIN else _DAILY_AMPLITUDE * _daily_cycle(step)
    drift = DRIFT_PER_ROW * step * direction if kind is CleanStreamKind.DRIFT else 0.0
    values: NDArray[np.float64] = _MEAN + _SCALE * (level + cycle + drift + noise)
    return SensorGrid(kind.value, values, TRAIN_STEPS)


def _noise(
    rng: np.random.Generator, steps: int, shape: tuple[int, int], *, has_heavy_tails: bool
) -> NDArray[np.float64]:
    """Return noise (steps, sensors, signals) of variance 1."""
    size = (steps, shape[0], shape[1] + 1)
    if has_heavy_tails:
        draws = rng.standard_t(_DEGREES_OF_FREEDOM, size) / np.sqrt(
            _DEGREES_OF_FREEDOM / (_DEGREES_OF_FREEDOM - 2)
        )
    else:
        draws = rng.standard_normal(size)
    innovations = (
        _SHARED_LOADING * draws[..., -1:] + np.sqrt(1 - _SHARED_LOADING**2) * draws[..., :-1]
    )
    noise: NDArray[np.float64] = np.empty_like(innovations)
    previous_noise = innovations[0]
    for step, innovation in enumerate(np.sqrt(1 - _AR_COEFFICIENT**2) * innovations):
        previous_noise = _AR_COEFFICIENT * previous_noise + innovation
        noise[step] = previous_noise
    return noise


def _daily_cycle(step: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a daily cycle that rises faster than it falls."""
    angle = 2 * np.pi * step / MINUTES_PER_DAY
    cycle_values: NDArray[np.float64] = np.sin(angle) + 0.3 * np.sin(2 * angle)
    return cycle_values
