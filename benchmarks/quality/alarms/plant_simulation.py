"""Simulate a plant: 50 signals that follow 8 factors and 4 control loops, with faults."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.alarms.sensor_rows import SensorRows, rows_of_grid

FACTORS, LOOPS, SIGNALS = 8, 4, 50
TRAIN_ROWS, CLEAN_ROWS = 500, 1_500
FAULT_ROWS = 300
INTERVAL_SECONDS = 60
DRIFT_SIZE = STEP_SIZE = 3.0
"""Size of a step, and final size of a drift, in spreads of the signal, factor or loop."""
NOISE_FACTOR = 3.0
"""In a variance fault, the noise has this multiple of its standard deviation."""
STICTION = 2.0
"""Smallest change of its command, in the command's spreads, at which a sticking valve moves."""
_WARM_UP_ROWS = 200
_FACTOR_DYNAMICS = np.linspace(0.7, 0.98, FACTORS)
_FACTORS_OF_SIGNAL = 3
_SIGNAL_NOISE, _LOOP_NOISE = 0.3, 0.1
_LOOP_MEMORY, _VALVE_GAIN, _LOAD = 0.8, 0.3, 0.3
_PROPORTIONAL_GAIN, _INTEGRAL_GAIN = 0.5, 0.05


class Place(StrEnum):
    """The place of a fault."""

    SIGNAL = "one signal"
    FACTOR = "one factor"
    LOOP = "one loop"


class PlantFault(StrEnum):
    """The effect of a fault."""

    STEP = "step"
    DRIFT = "drift"
    VARIANCE = "variance"
    STICKING = "sticking valve"


FAULTS = (
    *(
        (fault, place)
        for fault in PlantFault
        if fault is not PlantFault.STICKING
        for place in Place
    ),
    (PlantFault.STICKING, Place.LOOP),
)


@dataclass(frozen=True, slots=True)
class _Disturbances:
    """Changes of each row; a clean row has offset 0 and noise factor 1."""

    offset: NDArray[np.float64]
    """Shape (rows, columns). Offset of each signal, factor or loop, in its spreads."""
    noise: NDArray[np.float64]
    """Shape (rows, columns). Factor of the noise of each signal, factor or loop."""

    @staticmethod
    def none(rows: int, columns: int) -> "_Disturbances":
        return _Disturbances(np.zeros((rows, columns)), np.ones((rows, columns)))

    def add(self, fault: PlantFault, rows: slice, column: int) -> None:
        if fault is PlantFault.STEP:
            self.offset[rows, column] = STEP_SIZE
        elif fault is PlantFault.DRIFT:
            self.offset[rows, column] = np.linspace(0.0, DRIFT_SIZE, FAULT_ROWS)
        elif fault is PlantFault.VARIANCE:
            self.noise[rows, column] = NOISE_FACTOR


def simulate_plant(seed: int, fault: PlantFault, place: Place) -> SensorRows:
    """Simulate training rows, then CLEAN_ROWS clean rows, then FAULT_ROWS faulty rows.

    All faults of a seed have the same training rows and clean rows.
    """
    rng = np.random.default_rng([seed, SIGNALS])
    rows = _WARM_UP_ROWS + TRAIN_ROWS + CLEAN_ROWS + FAULT_ROWS
    columns = {Place.SIGNAL: SIGNALS - 2 * LOOPS, Place.FACTOR: FACTORS, Place.LOOP: LOOPS}
    column = {each_place: int(rng.integers(count)) for each_place, count in columns.items()}[place]
    disturbances = {
        each_place: _Disturbances.none(rows, count) for each_place, count in columns.items()
    }
    sticks = np.zeros((rows, LOOPS), dtype=np.bool_)
    fault_rows = slice(rows - FAULT_ROWS, rows)
    if fault is PlantFault.STICKING:
        sticks[fault_rows, column] = True
    else:
        disturbances[place].add(fault, fault_rows, column)
    factors = _simulate_factors(rng, disturbances[Place.FACTOR])
    measured = _measure_factors(rng, factors, disturbances[Place.SIGNAL])
    loops = _simulate_loops(rng, factors[:, :LOOPS], disturbances[Place.LOOP], sticks)
    values = np.concatenate([measured, loops], axis=1)[_WARM_UP_ROWS:]
    return rows_of_grid(
        "plant", values[:, np.newaxis], train_steps=TRAIN_ROWS, interval_seconds=INTERVAL_SECONDS
    )


def _simulate_factors(rng: np.random.Generator, disturbances: _Disturbances) -> NDArray[np.float64]:
    """Return AR(1) factors (rows, factors) of variance 1."""
    innovations = np.sqrt(1 - _FACTOR_DYNAMICS**2) * rng.standard_normal(disturbances.noise.shape)
    factors = np.empty_like(innovations)
    factor = np.zeros(FACTORS)
    for row, innovation in enumerate(disturbances.noise * innovations):
        factor = _FACTOR_DYNAMICS * factor + innovation
        factors[row] = factor
    return factors + disturbances.offset


def _measure_factors(
    rng: np.random.Generator, factors: NDArray[np.float64], disturbances: _Disturbances
) -> NDArray[np.float64]:
    """Return signals (rows, signals) of about variance 1; each follows three factors."""
    signals = disturbances.noise.shape[1]
    loadings = np.zeros((FACTORS, signals))
    for signal in range(signals):
        chosen = rng.choice(FACTORS, _FACTORS_OF_SIGNAL, replace=False)
        loadings[chosen, signal] = rng.standard_normal(_FACTORS_OF_SIGNAL)
    loadings /= np.sqrt((loadings**2).sum(axis=0))
    noise = _SIGNAL_NOISE * rng.standard_normal(disturbances.noise.shape)
    measured: NDArray[np.float64] = (
        factors @ loadings + disturbances.noise * noise + disturbances.offset
    )
    return measured


def _simulate_loops(
    rng: np.random.Generator,
    loads: NDArray[np.float64],
    disturbances: _Disturbances,
    sticks: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return the controlled values and the valve commands of all loops (rows, 2 * loops).

    A proportional-integral controller keeps the value at 0 in spite of the load. An offset of the
    loop changes its load.
    """
    rows, loops = loads.shape
    noise = _LOOP_NOISE * disturbances.noise * rng.standard_normal((rows, loops))
    value, valve, integral = np.zeros(loops), np.zeros(loops), np.zeros(loops)
    outputs = np.empty((rows, 2 * loops))
    for row in range(rows):
        load = _LOAD * (loads[row] + disturbances.offset[row])
        value = _LOOP_MEMORY * value + _VALVE_GAIN * valve + load + noise[row]
        integral = integral + _INTEGRAL_GAIN * value
        command = -_PROPORTIONAL_GAIN * value - integral
        holds = sticks[row] & (np.abs(command - valve) < STICTION)
        valve = np.where(holds, valve, command)
        outputs[row] = np.concatenate([value, command])
    return outputs
