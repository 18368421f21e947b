"""The simulator's fleet with faults of known size: which are found, and how soon."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.backtest_runs import Stream
from benchmarks.quality.compared_detectors import Contestant
from benchmarks.quality.fault_slots import SIZES, SLOT_STEPS, Placed, healthy, place, with_faults
from benchmarks.quality.quality_targets import SIMULATED_DELAY, SIMULATED_RECALL
from benchmarks.quality.sensor_grid import MINUTES_PER_DAY, Grid
from benchmarks.report.figures_table import Table
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.common.simulation.sensors import noise_scale
from sensorwatch.common.simulation.stream import Simulation, simulate

SENSORS = 50
SLOTS = 8
ALL = "all but drift"


@dataclass(frozen=True, slots=True)
class Plant:
    """A fleet of which clean rows are for training, and which then fails."""

    grid: Grid
    stream: Stream
    faults: list[Placed]
    parse_seconds: float
    """To read the judged rows into columns, which scoring does first."""


@dataclass(frozen=True, slots=True)
class Found:
    """How one kind of fault was found."""

    episodes: int
    recall: float
    """Share of them with an alarm in their rows."""
    by_chance: float
    """Share of as many healthy rows before each with an alarm."""
    delay: float | None
    """Median over those found: rows of the sensor from the first faulty to the first alarmed."""


@dataclass(frozen=True, slots=True)
class Run:
    """One contestant on the plant."""

    name: str
    kinds: dict[str, Found]
    """By kind, and all but drift under ALL."""
    alert_rate: float
    """Alarmed share of the rows apart from faults."""
    fit_seconds: float
    microseconds: float
    """To score a row, without parsing it."""


def load(*, seed: int = 0, sensors: int = SENSORS, slots: int = SLOTS) -> Plant:
    """Simulate a clean day, then slots of which each holds one fault."""
    train, judged = MINUTES_PER_DAY, slots * SLOT_STEPS
    rows = (train + judged) * sensors
    clean = Simulation(sensors=sensors, rows=rows, seed=seed, interval_seconds=60)
    values = np.concatenate([chunk.values for chunk in simulate(clean)])
    values = values.reshape(train + judged, sensors, -1)
    rng = np.random.default_rng([seed, sensors, slots])
    faults = place(slots, sensors, rng)
    values[train:] = with_faults(values[train:], faults, scale=noise_scale(), rng=rng)
    grid = Grid("simulated", values, train)
    stream = grid.stream()
    begun = perf_counter()
    collect_rows(stream.records[stream.train_rows :], stream.schema)
    return Plant(grid, stream, faults, perf_counter() - begun)


def measure(plant: Plant, contestant: Contestant) -> Run:
    """Run a contestant over the plant."""
    (judged,) = contestant.over([plant.stream])
    alarmed = plant.grid.by_step(judged.is_anomaly)
    apart = healthy(plant.faults, *alarmed.shape)
    kinds = {
        kind.value: found([fault for fault in plant.faults if fault.kind is kind], alarmed)
        for kind in SIZES
    }
    sudden = [fault for fault in plant.faults if fault.kind is not FaultKind.DRIFT]
    scoring = judged.score_seconds - plant.parse_seconds if judged.score_seconds else 0.0
    return Run(
        contestant.name,
        {ALL: found(sudden, alarmed), **kinds},
        float(alarmed[apart].mean()),
        judged.fit_seconds,
        1e6 * max(scoring, 0.0) / plant.stream.judged_rows,
    )


def found(faults: Sequence[Placed], alarmed: NDArray[np.bool_]) -> Found:
    """Say how faults were found by alarms (steps, sensors)."""
    rows = [alarmed[fault.steps, fault.sensor] for fault in faults]
    chance = [alarmed[fault.steps_before, fault.sensor] for fault in faults]
    delays = [int(np.argmax(row)) for row in rows if row.any()]
    return Found(
        len(faults),
        float(np.mean([row.any() for row in rows])) if rows else 0.0,
        float(np.mean([row.any() for row in chance])) if chance else 0.0,
        float(median(delays)) if delays else None,
    )


def tables(runs: Sequence[Run], plant: Plant) -> list[Table]:
    """Write the figures: by kind, and the time that it took."""
    return [_by_kind(runs, plant), _times(runs)]


def _by_kind(runs: Sequence[Run], plant: Plant) -> Table:
    rows: list[tuple[str, ...]] = [
        (f"{kind} ({one.episodes})", *(_cell(run.kinds[kind]) for run in runs))
        for kind, one in runs[0].kinds.items()
    ]
    sizes = ", ".join(f"{kind} {size:g}" for kind, size in SIZES.items() if size)
    return Table(
        f"Simulator, {plant.grid.sensors} sensors: events found / by chance (median delay, rows)",
        ("", *(run.name for run in runs)),
        [*rows, ("alert rate", *(f"{100 * run.alert_rate:.2f} %" for run in runs))],
        "Trained on a clean day, one row a minute. Every fault is in one signal of one sensor. "
        f"Sizes, in the standard deviation of that sensor's own noise (common/simulation): {sizes};"
        " stuck for 30 rows, drift over 200. Found: an alarm in the faulty rows; by chance: in as "
        "many healthy rows before. Alert rate: alarmed share of the rows apart from faults. "
        f"Wanted, all but drift: {100 * SIMULATED_RECALL:.0f} %, {SIMULATED_DELAY:g} rows.",
    )


def _cell(kind: Found) -> str:
    delay = "-" if kind.delay is None else f"{kind.delay:g}"
    return f"{100 * kind.recall:.1f} / {100 * kind.by_chance:.0f} % ({delay})"


def _times(runs: Sequence[Run]) -> Table:
    return Table(
        "Time on one core, the simulator's rows",
        ("", "fit, s", "score a row, µs"),
        [
            (run.name, f"{run.fit_seconds:.1f}", f"{run.microseconds:.1f}")
            for run in runs
            if run.fit_seconds
        ],
        "Without the time to read a row's fields into columns.",
    )
