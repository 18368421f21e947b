"""What healthy sensors measure: a level of their own, a daily cycle and correlated noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIGNALS = ("x1", "x2", "x3")
DAY_US = 86_400_000_000
BLOCK_ROWS = 65_536

# Per signal: the fleet's mean, the noise's standard deviation, the share of the noise that all
# signals of a row have in common (so two of them correlate by the product of their loadings).
_MEAN = np.array([20.0, 50.0, -10.0])
_NOISE = np.array([1.0, 2.0, 0.5])
_LOADING = np.array([0.9, 0.9, 0.9])
_OWN_LOADING = np.sqrt(1 - _LOADING**2)
# In units of the signal's noise: how far sensors' levels lie apart, how far the day carries them.
_LEVEL_SPREAD = 1.0
_DAILY_AMPLITUDE = 1.5


@dataclass(frozen=True, slots=True)
class Fleet:
    """N sensors, each with its own level and cycle; everything follows from `seed` and N."""

    seed: int
    level: NDArray[np.float64]
    """(sensors, signals)"""
    amplitude: NDArray[np.float64]
    """(sensors, signals)"""
    phase: NDArray[np.float64]
    """(sensors,) in days"""

    @property
    def sensors(self) -> int:
        """How many sensors there are."""
        return len(self.phase)

    @property
    def block_steps(self) -> int:
        """How many steps are generated at once; it depends on nothing but the number of sensors."""
        return max(64, BLOCK_ROWS // self.sensors)

    def measure(self, block: int, *, start: int, interval: int) -> NDArray[np.float64]:
        """Return the values of one span, (span_steps, sensors, signals).

        `start`, `interval`: microseconds. Each span draws from a generator of its own and is
        computed whole, so its bits do not depend on what was generated before or how it is cut.
        """
        steps = self.block_steps
        step = np.arange(block * steps, (block + 1) * steps, dtype=np.int64)
        day = ((start + step * interval) % DAY_US) / DAY_US
        angle = 2 * np.pi * (day[:, np.newaxis] - self.phase)
        rng = np.random.default_rng([self.seed, block, 0])
        drawn = rng.standard_normal((steps, self.sensors, len(SIGNALS) + 1))
        noise = _LOADING * drawn[..., -1:] + _OWN_LOADING * drawn[..., :-1]
        cycle = self.amplitude * np.sin(angle)[..., np.newaxis]
        values: NDArray[np.float64] = self.level + cycle + _NOISE * noise
        return values


def fleet(seed: int, sensors: int) -> Fleet:
    """Draw the sensors' own levels and cycles; sensor i is the same in a fleet of any size."""
    rngs = (np.random.default_rng([seed, sensor, 1]) for sensor in range(sensors))
    drawn = np.array([rng.standard_normal(2 * len(SIGNALS) + 1) for rng in rngs])
    level, cycle, phase = np.split(drawn, [len(SIGNALS), 2 * len(SIGNALS)], axis=1)
    return Fleet(
        seed,
        _MEAN + _NOISE * _LEVEL_SPREAD * level,
        _NOISE * _DAILY_AMPLITUDE * (1 + 0.1 * cycle),
        0.05 * phase[:, 0],
    )


def noise_scale() -> NDArray[np.float64]:
    """Return (signals,) the standard deviation of each signal around its daily cycle."""
    return _NOISE.copy()


def sensor_names(sensors: int) -> tuple[str, ...]:
    """Return `sensor-000`, `sensor-001`, ..."""
    return tuple(f"sensor-{number:03d}" for number in range(sensors))
