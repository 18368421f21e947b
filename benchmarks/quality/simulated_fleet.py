"""Measure which faults of a simulated fleet are found, and with which delay."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.backtest_runs import RecordStream
from benchmarks.quality.compared_detectors import ComparedDetector
from benchmarks.quality.fault_slots import (
    FAULT_SIZES,
    SLOT_STEPS,
    PlacedFault,
    healthy_mask,
    inject_faults,
    place_faults,
)
from benchmarks.quality.quality_targets import SIMULATED_DELAY, SIMULATED_RECALL
from benchmarks.quality.sensor_grid import MINUTES_PER_DAY, SensorGrid
from benchmarks.report.figures_table import Table
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.common.simulation.sensors import noise_scale
from sensorwatch.common.simulation.stream import Simulation, simulate

SENSORS = 50
SLOTS = 8
ALL_BUT_DRIFT = "all but drift"


@dataclass(frozen=True, slots=True)
class FaultyFleet:
    """A simulated fleet: clean rows for training, followed by rows with faults."""

    grid: SensorGrid
    stream: RecordStream
    faults: list[PlacedFault]
    parse_seconds: float
    """Time to parse the judged rows; the measured time to score includes this time."""


@dataclass(frozen=True, slots=True)
class KindResult:
    """Detection results of one kind of fault."""

    episodes: int
    recall: float
    """Share of the faults with an alarm in their rows."""
    recall_by_chance: float
    """Share of the faults with an alarm in the healthy rows just before the fault."""
    delay: float | None
    """Median number of rows from a found fault's first row to its first alarm."""


@dataclass(frozen=True, slots=True)
class FleetRun:
    """Results of one detector on the fleet."""

    name: str
    kinds: dict[str, KindResult]
    """Results by kind of fault; ALL_BUT_DRIFT is the result over all kinds except drift."""
    alert_rate: float
    """Share of the healthy rows with an alarm."""
    fit_seconds: float
    microseconds: float
    """Time to score one row, in microseconds, without the time to parse it."""


def load(*, seed: int = 0, sensors: int = SENSORS, slots: int = SLOTS) -> FaultyFleet:
    """Simulate a clean day, followed by slots with one fault each."""
    train_steps, judged_steps = MINUTES_PER_DAY, slots * SLOT_STEPS
    rows = (train_steps + judged_steps) * sensors
    simulation = Simulation(sensors=sensors, rows=rows, seed=seed, interval_seconds=60)
    values = np.concatenate([chunk.values for chunk in simulate(simulation)])
    values = values.reshape(train_steps + judged_steps, sensors, -1)
    rng = np.random.default_rng([seed, sensors, slots])
    faults = place_faults(slots, sensors, rng)
    values[train_steps:] = inject_faults(values[train_steps:], faults, scale=noise_scale(), rng=rng)
    grid = SensorGrid("simulated", values, train_steps)
    stream = grid.stream()
    start_time = perf_counter()
    collect_rows(stream.records[stream.train_rows :], stream.schema)
    return FaultyFleet(grid, stream, faults, perf_counter() - start_time)


def measure(fleet: FaultyFleet, detector: ComparedDetector) -> FleetRun:
    """Run a detector on the fleet, and return its results."""
    (judged_rows,) = detector.fit_and_score_all([fleet.stream])
    alarmed = fleet.grid.as_steps(judged_rows.is_anomaly)
    is_healthy = healthy_mask(fleet.faults, *alarmed.shape)
    kinds = {
        kind.value: result_of_kind([fault for fault in fleet.faults if fault.kind is kind], alarmed)
        for kind in FAULT_SIZES
    }
    sudden_faults = [fault for fault in fleet.faults if fault.kind is not FaultKind.DRIFT]
    scoring_seconds = (
        judged_rows.score_seconds - fleet.parse_seconds if judged_rows.score_seconds else 0.0
    )
    return FleetRun(
        detector.name,
        {ALL_BUT_DRIFT: result_of_kind(sudden_faults, alarmed), **kinds},
        float(alarmed[is_healthy].mean()),
        judged_rows.fit_seconds,
        1e6 * max(scoring_seconds, 0.0) / fleet.stream.judged_rows,
    )


def result_of_kind(faults: Sequence[PlacedFault], alarmed: NDArray[np.bool_]) -> KindResult:
    """Return the results for faults of one kind; `alarmed` has shape (steps, sensors)."""
    rows = [alarmed[fault.steps, fault.sensor] for fault in faults]
    healthy_rows_before = [alarmed[fault.steps_before, fault.sensor] for fault in faults]
    delays = [int(np.argmax(row)) for row in rows if row.any()]
    return KindResult(
        len(faults),
        float(np.mean([row.any() for row in rows])) if rows else 0.0,
        float(np.mean([row.any() for row in healthy_rows_before])) if healthy_rows_before else 0.0,
        float(median(delays)) if delays else None,
    )


def tables(runs: Sequence[FleetRun], fleet: FaultyFleet) -> list[Table]:
    """Return two tables: the results by kind of fault, and the run times."""
    return [_kind_table(runs, fleet), _time_table(runs)]


def _kind_table(runs: Sequence[FleetRun], fleet: FaultyFleet) -> Table:
    rows: list[tuple[str, ...]] = [
        (f"{kind} ({result.episodes})", *(_cell_text(run.kinds[kind]) for run in runs))
        for kind, result in runs[0].kinds.items()
    ]
    sizes = ", ".join(f"{kind} {size:g}" for kind, size in FAULT_SIZES.items() if size)
    return Table(
        f"Simulator, {fleet.grid.sensors} sensors: events found / by chance (median delay, rows)",
        ("", *(run.name for run in runs)),
        [*rows, ("alert rate", *(f"{100 * run.alert_rate:.2f} %" for run in runs))],
        "The detectors are trained on a clean day with one row per minute. Every fault is in one "
        "signal of one sensor. The sizes, in standard deviations of the sensor's own noise "
        f"(common/simulation), are: {sizes}. A stuck value lasts for 30 rows, and a drift for 200. "
        "A fault is found if one of its rows has an alarm. It is found by chance if one of as many "
        "healthy rows before it has an alarm. The alert rate is the share of healthy rows with an "
        f"alarm. The goal for all faults but drift is: at least {100 * SIMULATED_RECALL:.0f} % are "
        f"found, with a delay of at most {SIMULATED_DELAY:g} rows.",
    )


def _cell_text(kind: KindResult) -> str:
    delay = "-" if kind.delay is None else f"{kind.delay:g}"
    return f"{100 * kind.recall:.1f} / {100 * kind.recall_by_chance:.0f} % ({delay})"


def _time_table(runs: Sequence[FleetRun]) -> Table:
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
