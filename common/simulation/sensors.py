"""The values of healthy sensors: the sum of a level, a daily cycle and correlated noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIGNALS = ("x1", "x2", "x3")
DAY_US = 86_400_000_000
BLOCK_ROWS = 65_536

# For each signal: the mean over all sensors, the standard deviation of the noise, and the loading
# on the noise that all signals of a row share. The correlation of the noise of two signals is the
# product of their loadings.
_MEANS = np.array([20.0, 50.0, -10.0])
_NOISE_SCALES = np.array([1.0, 2.0, 0.5])
_SHARED_LOADINGS = np.array([0.9, 0.9, 0.9])
_OWN_LOADINGS = np.sqrt(1 - _SHARED_LOADINGS**2)
# Standard deviation of the sensors' levels, and amplitude of the daily cycle; both in units of the
# signal's noise.
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
        """Return the number of steps per block; it depends only on the number of sensors."""
        return max(64, BLOCK_ROWS // self.sensors)

    def measure(self, block: int, *, start: int, interval: int) -> NDArray[np.float64]:
        """Return the values (block_steps, sensors, signals) of one block of steps.

        `start`, `interval`: microseconds. Each block has its own random generator and is always
        computed completely, so its bits do not depend on other blocks.
        """
        steps = self.block_steps
        step_numbers = np.arange(block * steps, (block + 1) * steps, dtype=np.int64)
        day_fraction = ((start + step_numbers * interval) % DAY_US) / DAY_US
        angle = 2 * np.pi * (day_fraction[:, np.newaxis] - self.phase)
        rng = np.random.default_rng([self.seed, block, 0])
        normal_draws = rng.standard_normal((steps, self.sensors, len(SIGNALS) + 1))
        noise = _SHARED_LOADINGS * normal_draws[..., -1:] + _OWN_LOADINGS * normal_draws[..., :-1]
        cycle = self.amplitude * np.sin(angle)[..., np.newaxis]
        values: NDArray[np.float64] = self.level + cycle + _NOISE_SCALES * noise
        return values


def fleet(seed: int, sensors: int) -> Fleet:
    """Return sensors with random levels and cycles; sensor i is the same for any fleet size."""
    rngs = (np.random.default_rng([seed, sensor, 1]) for sensor in range(sensors))
    normal_draws = np.array([rng.standard_normal(2 * len(SIGNALS) + 1) for rng in rngs])
    level_draws, amplitude_draws, phase_draws = np.split(
        normal_draws, [len(SIGNALS), 2 * len(SIGNALS)], axis=1
    )
    return Fleet(
        seed,
        _MEANS + _NOISE_SCALES * _LEVEL_SPREAD * level_draws,
        _NOISE_SCALES * _DAILY_AMPLITUDE * (1 + 0.1 * amplitude_draws),
        0.05 * phase_draws[:, 0],
    )


def noise_scale() -> NDArray[np.float64]:
    """Return the standard deviation (signals,) of each signal around its daily cycle."""
    return _NOISE_SCALES.copy()


def sensor_names(sensors: int) -> tuple[str, ...]:
    """Return the sensor ids `sensor-000`, `sensor-001` and so on."""
    return tuple(f"sensor-{sensor_number:03d}" for sensor_number in range(sensors))
