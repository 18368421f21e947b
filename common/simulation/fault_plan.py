"""The plan of simulated faults, and the random schedule of fault episodes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sensorwatch.common.simulation.faults import EPISODE_LENGTHS, Defect, FaultKind

DEFECTS = tuple(Defect)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """The rate, the kinds and the size of simulated faults."""

    rate: float = 0.001
    """Probability, 0 to 1, that a fault episode begins at a row."""
    kinds: tuple[FaultKind, ...] = tuple(FaultKind)
    """Kinds of faults; each episode draws one of them with equal probability."""
    size: float = 10.0
    """Size of a fault, in standard deviations of the healthy noise."""


@dataclass(frozen=True, slots=True)
class FaultEpisode:
    """One fault of one sensor, within one block of steps."""

    kind: FaultKind
    sensor: int
    first_step: int
    """First faulty step within the block, 1 or later."""
    length: int
    """Number of faulty steps."""
    defect: Defect
    """Defect of a malformed record; ignored for other kinds."""


def schedule_episodes(
    plan: FaultPlan, *, steps: int, sensors: int, rng: np.random.Generator
) -> Iterator[FaultEpisode]:
    """Yield the episodes of a block of steps, sorted by sensor and time.

    Episodes of a sensor never overlap, and at least one healthy row is between them.
    """
    start_positions = np.flatnonzero(rng.random((sensors, steps)) < plan.rate)
    previous_sensor, next_free_step = -1, 0
    for sensor, first_step in zip(*np.divmod(start_positions, steps), strict=True):
        kind = plan.kinds[int(rng.integers(len(plan.kinds)))]
        min_length, max_length = EPISODE_LENGTHS[kind]
        length = min(int(rng.integers(min_length, max_length + 1)), steps - int(first_step))
        defect = DEFECTS[int(rng.integers(len(DEFECTS)))]
        if sensor != previous_sensor:
            # Step 0 has no previous row that a stuck sensor could repeat.
            previous_sensor, next_free_step = int(sensor), 1
        if first_step < next_free_step:
            continue
        next_free_step = int(first_step) + length + 1
        yield FaultEpisode(kind, int(sensor), int(first_step), length, defect)
