"""When which sensor fails and how: a seeded schedule of fault episodes that never overlap."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sensorwatch.common.simulation.faults import EPISODE_LENGTHS, Defect, FaultKind

DEFECTS = tuple(Defect)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """How often, how, and how strongly sensors fail."""

    rate: float = 0.001
    """The share of rows, 0 to 1, at which an episode begins."""
    kinds: tuple[FaultKind, ...] = tuple(FaultKind)
    """Each episode's kind is drawn from these, all as often."""
    size: float = 10.0
    """In standard deviations of the healthy noise."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One fault of one sensor, within one span."""

    kind: FaultKind
    sensor: int
    at: int
    """Step within the span, 1 or later."""
    length: int
    defect: Defect
    """How a malformed record is broken; of no meaning for other kinds."""


def schedule(
    plan: FaultPlan, *, steps: int, sensors: int, rng: np.random.Generator
) -> Iterator[Episode]:
    """Yield a span's episodes by sensor and time; between two of a sensor lies a healthy row."""
    starts = np.flatnonzero(rng.random((sensors, steps)) < plan.rate)
    busy_sensor, next_free_step = -1, 0
    for sensor, at in zip(*np.divmod(starts, steps), strict=True):
        kind = plan.kinds[int(rng.integers(len(plan.kinds)))]
        low, high = EPISODE_LENGTHS[kind]
        length = min(int(rng.integers(low, high + 1)), steps - int(at))
        defect = DEFECTS[int(rng.integers(len(DEFECTS)))]
        if sensor != busy_sensor:
            busy_sensor, next_free_step = (
                int(sensor),
                1,
            )  # step 0 has no row before it to be stuck at
        if at < next_free_step:
            continue
        next_free_step = int(at) + length + 1
        yield Episode(kind, int(sensor), int(at), length, defect)
