"""Run the sub-parts of the benchmark of alarms, and return its section of the document."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter

from benchmarks.quality.alarms import budget_rates as budget
from benchmarks.quality.alarms import constant_cases as constants
from benchmarks.quality.alarms import fleet_alarms as fleet
from benchmarks.quality.alarms import pattern_shares as patterns
from benchmarks.quality.alarms import plant_faults as plant
from benchmarks.quality.alarms import pump_alarms as pump
from benchmarks.quality.alarms import seed_checks, simple_rule_faults
from benchmarks.quality.alarms import stream_files as streams
from benchmarks.quality.alarms.alarm_plots import budget_plots, fleet_plots
from benchmarks.quality.dataset_files import FileSelection
from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from sensorwatch.common.errors import SettingsError


class AlarmPart(StrEnum):
    """Names of the sub-parts."""

    FLEET = "fleet"
    STREAMS = "streams"
    PUMP = "pump"
    BUDGET = "budget"
    HOME = "home"
    PLANT = "plant"
    SEEDS = "seeds"
    PATTERNS = "patterns"


@dataclass(frozen=True, slots=True)
class AlarmOptions:
    """Options of the command."""

    selection: FileSelection
    is_default_only: bool = False
    """True: measure only the default detector, not the detectors to compare with."""
    is_quick: bool = False
    """True: use few seeds, sensors and rows."""
    parts: Sequence[AlarmPart] = field(default_factory=lambda: tuple(AlarmPart))


@dataclass(frozen=True, slots=True)
class PartResult:
    """Tables and plots of one sub-part."""

    tables: Sequence[Table]
    plots: dict[str, str] = field(default_factory=dict)
    """For each plot, its name and SVG text."""


def section(options: AlarmOptions) -> Section:
    """Run the selected sub-parts, and return their tables and plots."""
    tables: list[Table] = []
    plots: dict[str, str] = {}
    for part in options.parts:
        start_time = perf_counter()
        result = _PART_FUNCTIONS[part](options)
        tables += result.tables
        plots |= result.plots
        print(f"alarms, {part.value}: {perf_counter() - start_time:.1f} s", flush=True)
    return Section("Alarms", tables, plots)


def selected_parts(text: str) -> tuple[AlarmPart, ...]:
    """Return the sub-parts whose names are in a comma-separated text; an empty text selects all.

    Raises SettingsError if a name is not one of AlarmPart.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown_names = [name for name in names if name not in tuple(AlarmPart)]
    if unknown_names:
        raise SettingsError(
            f"--alarms names {', '.join(unknown_names)}: give one or more of {', '.join(AlarmPart)}"
        )
    return tuple(AlarmPart(name) for name in names) or tuple(AlarmPart)


def _fleet(options: AlarmOptions) -> PartResult:
    seeds = 1 if options.is_quick else 5
    runs = [fleet.measure(seed) for seed in range(seeds)]
    return PartResult(fleet.tables(runs), fleet_plots(runs))


def _streams(options: AlarmOptions) -> PartResult:
    max_rows = streams.QUICK_ROWS if options.is_quick else None
    results = [
        result
        for stream in streams.load(options.selection, max_rows=max_rows)
        for result in streams.measure(stream, is_default_only=options.is_default_only)
    ]
    return PartResult([streams.table(results)])


def _pump(options: AlarmOptions) -> PartResult:
    seeds = (7,) if options.is_quick else range(1, 11)
    return PartResult(pump.tables([pump.measure(seed) for seed in seeds]))


def _budget(options: AlarmOptions) -> PartResult:
    rates = [budget.measure(run) for run in budget.runs(is_quick=options.is_quick)]
    sensors = 100 if options.is_quick else 1_000
    short_training = budget.measure_short_training(sensors=sensors)
    rates = [*rates, *budget.pooled(rates), short_training]
    configured = budget.configured_rates()
    return PartResult([budget.table(rates, configured)], budget_plots(rates, configured))


def _home(options: AlarmOptions) -> PartResult:
    seeds = 1 if options.is_quick else 5
    return PartResult(
        [
            simple_rule_faults.table(seeds=seeds),
            constants.table(seeds=seeds),
            constants.scale_table(),
        ]
    )


def _plant(options: AlarmOptions) -> PartResult:
    return PartResult([plant.table(seeds=2 if options.is_quick else 5)])


def _seeds(options: AlarmOptions) -> PartResult:
    data_seeds = range(1 if options.is_quick else 5)
    fleets = seed_checks.QUICK_SENSORS if options.is_quick else seed_checks.SENSORS
    checks = [seed_checks.measure(sensors, seed=seed) for sensors in fleets for seed in data_seeds]
    return PartResult([seed_checks.table(checks)])


def _patterns(options: AlarmOptions) -> PartResult:
    seeds = 1 if options.is_quick else 5
    return PartResult([patterns.table([patterns.measure(seed) for seed in range(seeds)])])


_PART_FUNCTIONS: dict[AlarmPart, Callable[[AlarmOptions], PartResult]] = {
    AlarmPart.FLEET: _fleet,
    AlarmPart.STREAMS: _streams,
    AlarmPart.PUMP: _pump,
    AlarmPart.BUDGET: _budget,
    AlarmPart.HOME: _home,
    AlarmPart.PLANT: _plant,
    AlarmPart.SEEDS: _seeds,
    AlarmPart.PATTERNS: _patterns,
}
