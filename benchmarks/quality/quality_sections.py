"""Run a quality benchmark, and return its section of the document."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.quality import alert_rates as rates
from benchmarks.quality import nab_benchmark as nab
from benchmarks.quality import seasonal_stream as seasonal
from benchmarks.quality import simulated_fleet as simulated
from benchmarks.quality import skab_benchmark as skab
from benchmarks.quality.ablated_detectors import VARIANTS
from benchmarks.quality.ablation import AblationData, ablation_table, detectors_of_variants
from benchmarks.quality.alarms import alarm_sections as alarms
from benchmarks.quality.alarms.alarm_sections import AlarmOptions, AlarmPart
from benchmarks.quality.compared_detectors import (
    DEFAULT_NAME,
    ComparedDetector,
    default_detectors,
    trivial_rules,
)
from benchmarks.quality.dataset_files import FileSelection
from benchmarks.quality.quality_plots import nab_plots, rate_plots, simulated_plots, skab_plots
from benchmarks.report.document import Section
from sensorwatch.common.runtime.setting_keys import TrainerSettings


class Benchmark(StrEnum):
    """Names of the quality benchmarks."""

    SKAB = "skab"
    NAB = "nab"
    SIMULATED = "simulated"
    RATES = "rates"
    SEASON = "season"
    ABLATION = "ablation"
    ALARMS = "alarms"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of the command."""

    selection: FileSelection
    is_default_only: bool = False
    """True: measure only the default detector."""
    seeds: int = skab.SEED_COUNT
    refit_every: int | None = None
    processes: int = 1
    is_quick: bool = False
    """True: measure alarms with few seeds, sensors and rows."""
    alarm_parts: tuple[AlarmPart, ...] = tuple(AlarmPart)
    """Sub-parts of the benchmark of alarms to run."""

    @property
    def detectors(self) -> list[ComparedDetector]:
        """Detectors to measure."""
        all_detectors = default_detectors(refit_every=self.refit_every)
        return all_detectors[:1] if self.is_default_only else [*all_detectors, *trivial_rules()]


def section(benchmark: Benchmark, options: RunOptions) -> Section:
    """Run one benchmark, and return its section."""
    return _SECTION_FUNCTIONS[benchmark](options)


def _skab_section(options: RunOptions) -> Section:
    files = skab.load(options.selection)
    runs = [
        skab.measure(files, detector, seeds=options.seeds, processes=options.processes)
        for detector in [*options.detectors, skab.clock_rule()]
    ]
    return Section("SKAB", skab.tables(runs), skab_plots(files, runs))


def _nab_section(options: RunOptions) -> Section:
    files = nab.load(options.selection)
    runs = [
        nab.measure(files, detector, processes=options.processes) for detector in options.detectors
    ]
    return Section("NAB", [nab.table(runs)], nab_plots(files, runs))


def _simulated_section(options: RunOptions) -> Section:
    fleet = simulated.load()
    runs = [simulated.measure(fleet, detector) for detector in options.detectors]
    return Section("Simulated faults", simulated.tables(runs, fleet), simulated_plots(runs))


def _rates_section(options: RunOptions) -> Section:
    streams = rates.load()
    results = [
        measured_rate
        for rate in rates.CONFIGURED_RATES
        for detector in rates.detectors_for_rate(rate, is_default_only=options.is_default_only)
        for measured_rate in rates.measure(streams, detector, rate, processes=options.processes)
    ]
    return Section("Alert rate", [rates.table(results)], rate_plots(results))


def _season_section(options: RunOptions) -> Section:
    detectors = [*options.detectors[:1], seasonal.detector_without_season(), *options.detectors[1:]]
    table = seasonal.table(seasonal.load_streams(), detectors, options.processes)
    return Section("A season", [table])


def _ablation_section(options: RunOptions) -> Section:
    files = skab.load(options.selection), nab.load(options.selection)
    data = AblationData(*files, simulated.load(), seeds=options.seeds, processes=options.processes)
    results = detectors_of_variants(VARIANTS, data, TrainerSettings())
    return Section(
        f"What each part of the {DEFAULT_NAME} detector is worth", [ablation_table(results, data)]
    )


def _alarms_section(options: RunOptions) -> Section:
    return alarms.section(
        AlarmOptions(
            options.selection, options.is_default_only, options.is_quick, options.alarm_parts
        )
    )


_SECTION_FUNCTIONS: dict[Benchmark, Callable[[RunOptions], Section]] = {
    Benchmark.SKAB: _skab_section,
    Benchmark.NAB: _nab_section,
    Benchmark.SIMULATED: _simulated_section,
    Benchmark.RATES: _rates_section,
    Benchmark.SEASON: _season_section,
    Benchmark.ABLATION: _ablation_section,
    Benchmark.ALARMS: _alarms_section,
}
