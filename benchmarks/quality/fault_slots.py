"""Where which fault is put into a simulated stream, one in each slot of each sensor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.simulation.faults import EPISODE_LENGTHS, FaultKind, inject

SLOT_STEPS = 400
HEALTHY_MARGIN_STEPS = 100
"""Number of healthy rows in a slot before its fault, and again after it."""
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
class PlacedFault:
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
        return slice(self.at - min(self.length, HEALTHY_MARGIN_STEPS - 20) - 10, self.at - 10)


def place_faults(slots: int, sensors: int, rng: np.random.Generator) -> list[PlacedFault]:
    """Draw a fault for every slot of every sensor, each kind as often as the others."""
    kinds = list(SIZES)
    drawn = rng.permutation(np.arange(slots * sensors) % len(kinds)).tolist()
    placed_faults = []
    for number, kind in enumerate(kinds[one] for one in drawn):
        slot, sensor = divmod(number, sensors)
        low, high = _LENGTHS[kind]
        length = int(rng.integers(low, high + 1))
        latest = SLOT_STEPS - HEALTHY_MARGIN_STEPS - length
        at = slot * SLOT_STEPS + int(rng.integers(HEALTHY_MARGIN_STEPS, latest + 1))
        placed_faults.append(PlacedFault(kind, sensor, at, length))
    return placed_faults


def inject_faults(
    values: NDArray[np.float64],
    faults: list[PlacedFault],
    *,
    scale: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the values (steps, sensors, signals) with faults, each in one signal of its sensor."""
    faulty_values = values.copy()
    signals = values.shape[2]
    for fault in faults:
        one = None if fault.kind is FaultKind.BROKEN_CORRELATION else [int(rng.integers(signals))]
        faulty_values[:, fault.sensor] = inject(
            faulty_values[:, fault.sensor],
            fault.kind,
            at=fault.at,
            length=fault.length,
            size=SIZES[fault.kind],
            scale=scale,
            rng=rng,
            signals=one,
        )
    return faulty_values


def healthy_mask(faults: list[PlacedFault], steps: int, sensors: int) -> NDArray[np.bool_]:
    """Say which (steps, sensors) are neither faulty nor shortly after a fault."""
    is_healthy = np.ones((steps, sensors), dtype=np.bool_)
    for fault in faults:
        is_healthy[fault.at : fault.at + fault.length + HEALTHY_MARGIN_STEPS, fault.sensor] = False
    return is_healthy
