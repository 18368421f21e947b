"""Place one simulated fault in every slot (400 steps) of every sensor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.simulation.faults import EPISODE_LENGTHS, FaultKind, inject_fault

SLOT_STEPS = 400
HEALTHY_MARGIN_STEPS = 100
"""Minimum number of healthy steps in a slot, both before and after its fault."""
FAULT_SIZES = {
    FaultKind.SPIKE: 6.0,
    FaultKind.LEVEL_SHIFT: 4.0,
    FaultKind.NOISE_BURST: 4.0,
    FaultKind.STUCK: 0.0,
    FaultKind.BROKEN_CORRELATION: 1.0,
    FaultKind.DRIFT: 3.0,
}
"""Sizes of the faults, in standard deviations of the sensor's own noise.

The size of a noise burst is the standard deviation of the added noise. A broken correlation of
size 1 leaves the spread of the signal the same."""
_FAULT_LENGTHS = {**EPISODE_LENGTHS, FaultKind.STUCK: (30, 30), FaultKind.DRIFT: (200, 200)}


@dataclass(frozen=True, slots=True)
class PlacedFault:
    """A fault of one sensor; steps are counted from the first judged step."""

    kind: FaultKind
    sensor: int
    start: int
    length: int

    @property
    def steps(self) -> slice:
        """Steps in which the sensor is faulty."""
        return slice(self.start, self.start + self.length)

    @property
    def steps_before(self) -> slice:
        """Up to 80 healthy steps before the fault, to count the alarms that occur by chance."""
        return slice(self.start - min(self.length, HEALTHY_MARGIN_STEPS - 20) - 10, self.start - 10)


def place_faults(slots: int, sensors: int, rng: np.random.Generator) -> list[PlacedFault]:
    """Draw a fault for each slot of each sensor; all kinds of faults are equally frequent."""
    kinds = list(FAULT_SIZES)
    kind_numbers = rng.permutation(np.arange(slots * sensors) % len(kinds)).tolist()
    placed_faults = []
    for slot_and_sensor, kind in enumerate(kinds[kind_number] for kind_number in kind_numbers):
        slot, sensor = divmod(slot_and_sensor, sensors)
        min_length, max_length = _FAULT_LENGTHS[kind]
        length = int(rng.integers(min_length, max_length + 1))
        last_start = SLOT_STEPS - HEALTHY_MARGIN_STEPS - length
        start = slot * SLOT_STEPS + int(rng.integers(HEALTHY_MARGIN_STEPS, last_start + 1))
        placed_faults.append(PlacedFault(kind, sensor, start, length))
    return placed_faults


def inject_faults(
    values: NDArray[np.float64],
    faults: list[PlacedFault],
    *,
    scale: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return a copy of `values` (steps, sensors, signals) with faults, each in one signal."""
    faulty_values = values.copy()
    signals = values.shape[2]
    for fault in faults:
        faulty_signals = (
            None if fault.kind is FaultKind.BROKEN_CORRELATION else [int(rng.integers(signals))]
        )
        faulty_values[:, fault.sensor] = inject_fault(
            faulty_values[:, fault.sensor],
            fault.kind,
            first_row=fault.start,
            length=fault.length,
            size=FAULT_SIZES[fault.kind],
            scale=scale,
            rng=rng,
            signals=faulty_signals,
        )
    return faulty_values


def healthy_mask(faults: list[PlacedFault], steps: int, sensors: int) -> NDArray[np.bool_]:
    """Return the mask (steps, sensors) that excludes faults and the margins after them."""
    is_healthy = np.ones((steps, sensors), dtype=np.bool_)
    for fault in faults:
        is_healthy[
            fault.start : fault.start + fault.length + HEALTHY_MARGIN_STEPS, fault.sensor
        ] = False
    return is_healthy
