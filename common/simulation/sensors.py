"""The values of healthy sensors: a level of each sensor, a daily cycle and correlated noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIGNALS = ("x1", "x2", "x3")
DAY_US = 86_400_000_000
BLOCK_ROWS = 65_536

# The values per signal are the mean of all sensors, the standard deviation of the noise, and the
# loading on the noise that all signals of a row share. The correlation of two signals is the
# product of their loadings.
_MEAN = np.array([20.0, 50.0, -10.0])
_NOISE = np.array([1.0, 2.0, 0.5])
_LOADING = np.array([0.9, 0.9, 0.9])
_OWN_LOADING = np.sqrt(1 - _LOADING**2)
# Both values are in units of the signal's noise: the standard deviation of the sensors' levels, and
# the amplitude of the daily cycle.
_LEVEL_SPREAD = 1.0
_DAILY_AMPLITUDE = 1.5


@dataclass(frozen=True, slots=True)
class Fleet:
    """Simulated sensors, each with a level and a daily cycle that the seed determines."""

    seed: int
    level: NDArray[np.float64]
    """Shape (sensors, signals). Mean of each signal."""
    amplitude: NDArray[np.float64]
    """Shape (sensors, signals). Amplitude of the daily cycle, in the signal's unit."""
    phase: NDArray[np.float64]
    """Shape (sensors,). Phase of the daily cycle, in days."""

    @property
    def sensors(self) -> int:
        """Return the number of sensors."""
        return len(self.phase)

    @property
    def block_steps(self) -> int:
        """Return the steps per block, which depend only on the number of sensors."""
        return max(64, BLOCK_ROWS // self.sensors)

    def measure(self, block: int, *, start: int, interval: int) -> NDArray[np.float64]:
        """Return the values (block_steps, sensors, signals) of one block of steps.

        `start`, `interval`: microseconds. Each block has its own random generator and is computed
        as a unit, so its bits do not depend on other blocks.
        """
        steps = self.block_steps
        step = np.arange(block * steps, (block + 1) * steps, dtype=np.int64)
        day = ((start + step * interval) % DAY_US) / DAY_US
        angle = 2 * np.pi * (day[:, np.newaxis] - self.phase)
        rng = np.random.default_rng([self.seed, block, 0])
        normal_draws = rng.standard_normal((steps, self.sensors, len(SIGNALS) + 1))
        noise = _LOADING * normal_draws[..., -1:] + _OWN_LOADING * normal_draws[..., :-1]
        cycle = self.amplitude * np.sin(angle)[..., np.newaxis]
        values: NDArray[np.float64] = self.level + cycle + _NOISE * noise
        return values


def fleet(seed: int, sensors: int) -> Fleet:
    """Return sensors with random levels and cycles; sensor i is the same in a fleet of any size."""
    rngs = (np.random.default_rng([seed, sensor, 1]) for sensor in range(sensors))
    normal_draws = np.array([rng.standard_normal(2 * len(SIGNALS) + 1) for rng in rngs])
    level, cycle, phase = np.split(normal_draws, [len(SIGNALS), 2 * len(SIGNALS)], axis=1)
    return Fleet(
        seed,
        _MEAN + _NOISE * _LEVEL_SPREAD * level,
        _NOISE * _DAILY_AMPLITUDE * (1 + 0.1 * cycle),
        0.05 * phase[:, 0],
    )


def noise_scale() -> NDArray[np.float64]:
    """Return the standard deviation (signals,) of each signal around its daily cycle."""
    return _NOISE.copy()


def sensor_names(sensors: int) -> tuple[str, ...]:
    """Return the sensor ids `sensor-000`, `sensor-001` and so on."""
    return tuple(f"sensor-{number:03d}" for number in range(sensors))
