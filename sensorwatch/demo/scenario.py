"""The simulated sensors of the demo: their number, faults, rate and duration."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.common.simulation.stream import Chunk, Simulation, simulate

SENSORS = 50
ROWS_PER_SECOND = 1_000.0
"""Rows per second. At this rate, the embedded broker deletes no row before the demo has read it."""
ROW_INTERVAL_SECONDS = 600.0
TRAINING_DAYS = 7
TRAINING_ROWS = SENSORS * TRAINING_DAYS * 144
FIRST_EVENT_TIME = 1_704_067_200_000_000
"""Event time of the first row: 2024-01-01T00:00:00Z in microseconds.

One second of the demo is 200 simulated minutes, so a run of one hour ends in May 2025. No event
time is in the future."""
FAULT_KINDS = tuple(kind for kind in FaultKind if kind is not FaultKind.DROPOUT)
"""All kinds of faults except dropout, because a missing row cannot have a label."""
FAULT_PLAN = FaultPlan(rate=0.001, kinds=FAULT_KINDS, size=10.0)
SEED = 1

_CHUNK_ROWS = 1_000  # a divisor of TRAINING_ROWS, so the live rows start at a chunk's start


@dataclass(frozen=True, slots=True)
class Scenario:
    """The parameters of one run. The same seed gives the same rows."""

    seconds: float
    rate: float = ROWS_PER_SECOND
    seed: int = SEED


def healthy_rows(scenario: Scenario) -> Iterator[Chunk]:
    """Yield the training data of all sensors, without faults."""
    return simulate(_simulation(scenario, None, TRAINING_ROWS))


def live_rows(scenario: Scenario) -> Iterator[Chunk]:
    """Yield endless rows with labelled faults; their times follow those of the training data."""
    chunks = simulate(_simulation(scenario, FAULT_PLAN, None))
    return islice(chunks, TRAINING_ROWS // _CHUNK_ROWS, None)


def _simulation(scenario: Scenario, faults: FaultPlan | None, rows: int | None) -> Simulation:
    return Simulation(
        sensors=SENSORS,
        rows=rows,
        seed=scenario.seed,
        start=FIRST_EVENT_TIME,
        interval_seconds=ROW_INTERVAL_SECONDS,
        faults=faults,
        chunk_rows=_CHUNK_ROWS,
    )
