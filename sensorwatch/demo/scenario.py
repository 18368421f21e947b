"""The simulated sensors of the demo: how many, which faults, at which rate and for how long."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.common.simulation.stream import Chunk, Simulation, simulate

SENSORS = 50
RATE = 1_000.0
"""Rows per second; the embedded broker keeps far more rows than arrive between two reads."""
INTERVAL_SECONDS = 600.0
TRAINING_DAYS = 14
TRAINING_ROWS = SENSORS * TRAINING_DAYS * 144
START = 1_704_067_200_000_000
"""2024-01-01T00:00:00Z in microseconds. One second of the demo is 200 simulated minutes, so a run
of one hour ends in May 2025: no event time is in the future."""
KINDS = tuple(kind for kind in FaultKind if kind is not FaultKind.DROPOUT)
"""Without dropout: missing rows cannot carry a label."""
FAULTS = FaultPlan(rate=0.001, kinds=KINDS, size=10.0)
SEED = 1

_CHUNK_ROWS = 1_000  # divides TRAINING_ROWS, so the live rows begin with a whole chunk


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run of the demo; the same seed gives the same rows."""

    seconds: float
    rate: float = RATE
    seed: int = SEED


def healthy_rows(scenario: Scenario) -> Iterator[Chunk]:
    """Yield the training data: two weeks of all sensors without faults."""
    return simulate(_simulation(scenario, None, TRAINING_ROWS))


def live_rows(scenario: Scenario) -> Iterator[Chunk]:
    """Yield the rows that follow the training data, without end, with labelled faults."""
    chunks = simulate(_simulation(scenario, FAULTS, None))
    return islice(chunks, TRAINING_ROWS // _CHUNK_ROWS, None)


def _simulation(scenario: Scenario, faults: FaultPlan | None, rows: int | None) -> Simulation:
    return Simulation(
        sensors=SENSORS,
        rows=rows,
        seed=scenario.seed,
        start=START,
        interval_seconds=INTERVAL_SECONDS,
        faults=faults,
        chunk_rows=_CHUNK_ROWS,
    )
