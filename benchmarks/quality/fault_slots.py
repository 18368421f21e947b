"""Where which fault is put into a simulated stream, one in each slot of each sensor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.simulation.faults import EPISODE_LENGTHS, FaultKind, inject

SLOT_STEPS = 400
QUIET_STEPS = 100
"""So many rows of a slot before its fault are healthy, and so many after it."""
SIZES = {
    FaultKind.SPIKE: 6.0,
    FaultKind.LEVEL_SHIFT: 4.0,
    FaultKind.NOISE_BURST: 4.0,
    FaultKind.STUCK: 0.0,
    FaultKind.BROKEN_CORRELATION: 1.0,
    FaultKind.DRIFT: 3.0,
}
"""In standard deviations of the sensor's own noise; of a noise burst: those of what is added. At
size 1 the signal whose correlation is broken keeps its spread."""
_LENGTHS = {**EPISODE_LENGTHS, FaultKind.STUCK: (30, 30), FaultKind.DRIFT: (200, 200)}


@dataclass(frozen=True, slots=True)
class Placed:
    """A fault of one sensor; steps count from the first judged one."""

    kind: FaultKind
    sensor: int
    at: int
    length: int

    @property
    def steps(self) -> slice:
        """The faulty steps."""
        return slice(self.at, self.at + self.length)

    @property
    def steps_before(self) -> slice:
        """As many healthy steps (at most 80) shortly before: what is found there is chance."""
        return slice(self.at - min(self.length, QUIET_STEPS - 20) - 10, self.at - 10)


def place(slots: int, sensors: int, rng: np.random.Generator) -> list[Placed]:
    """Draw a fault for every slot of every sensor, each kind as often as the others."""
    kinds = list(SIZES)
    drawn = rng.permutation(np.arange(slots * sensors) % len(kinds)).tolist()
    found = []
    for number, kind in enumerate(kinds[one] for one in drawn):
        slot, sensor = divmod(number, sensors)
        low, high = _LENGTHS[kind]
        length = int(rng.integers(low, high + 1))
        latest = SLOT_STEPS - QUIET_STEPS - length
        at = slot * SLOT_STEPS + int(rng.integers(QUIET_STEPS, latest + 1))
        found.append(Placed(kind, sensor, at, length))
    return found


def with_faults(
    values: NDArray[np.float64],
    faults: list[Placed],
    *,
    scale: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the values (steps, sensors, signals) with faults, each in one signal of its sensor."""
    changed = values.copy()
    signals = values.shape[2]
    for fault in faults:
        one = None if fault.kind is FaultKind.BROKEN_CORRELATION else [int(rng.integers(signals))]
        changed[:, fault.sensor] = inject(
            changed[:, fault.sensor],
            fault.kind,
            at=fault.at,
            length=fault.length,
            size=SIZES[fault.kind],
            scale=scale,
            rng=rng,
            signals=one,
        )
    return changed


def healthy(faults: list[Placed], steps: int, sensors: int) -> NDArray[np.bool_]:
    """Say which (steps, sensors) are neither faulty nor shortly after a fault."""
    apart = np.ones((steps, sensors), dtype=np.bool_)
    for fault in faults:
        apart[fault.at : fault.at + fault.length + QUIET_STEPS, fault.sensor] = False
    return apart
