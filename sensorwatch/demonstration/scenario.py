"""What the demonstration plays: which sensors, which faults, how fast and for how long."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from sensorwatch.common.errors import UsageError
from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.common.simulation.stream import Chunk, Simulation, simulate

SECONDS_VARIABLE = "DEMO_SECONDS"
DEFAULT_SECONDS = 60.0
LONGEST_SECONDS = 3_600.0
"""Above it the simulated time would come too near to the real one (see `START`)."""

SENSORS = 50
RATE = 1_000.0
"""Rows per second: what is in the embedded broker at a time is far below what it keeps."""
INTERVAL_SECONDS = 600.0
TRAINING_DAYS = 14
TRAINING_ROWS = SENSORS * TRAINING_DAYS * 144
START = 1_704_067_200_000_000
"""2024-01-01T00:00:00Z. A second of the demonstration is 200 simulated minutes, so that days pass
by; the longest one ends in May 2025, and no row is from the future."""
FAULT_KINDS = tuple(kind for kind in FaultKind if kind is not FaultKind.DROPOUT)
"""Not dropout: silence leaves no row that a label could stand on."""
FAULTS = FaultPlan(rate=0.001, kinds=FAULT_KINDS, size=10.0)
SEED = 1

_CHUNK_ROWS = 1_000  # a divisor of TRAINING_ROWS: training and stream are cut at a chunk's end


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run; the same seed plays the same rows."""

    seconds: float = DEFAULT_SECONDS
    rate: float = RATE
    seed: int = SEED


def scenario_of(environ: Mapping[str, str]) -> Scenario:
    """Read DEMO_SECONDS; raises UsageError where it is no number of seconds."""
    text = environ.get(SECONDS_VARIABLE, "")
    try:
        seconds = float(text or DEFAULT_SECONDS)
    except ValueError:
        seconds = -1.0
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise UsageError(
            f'{SECONDS_VARIABLE}: found "{text}", wanted seconds from 1 to {LONGEST_SECONDS:g}'
        )
    return Scenario(seconds=seconds)


def healthy_rows(scenario: Scenario) -> Iterator[Chunk]:
    """Yield what the model is trained on: the sensors' first two weeks, without any fault."""
    return simulate(_simulation(scenario, None, TRAINING_ROWS))


def live_rows(scenario: Scenario) -> Iterator[Chunk]:
    """Yield what comes after those weeks, without end and with labelled faults."""
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
