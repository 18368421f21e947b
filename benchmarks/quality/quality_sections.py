"""The parts of the measuring: from what was asked for to a section of the document."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.quality import alert_rates as rates
from benchmarks.quality import nab_benchmark as nab
from benchmarks.quality import seasonal_stream as seasonal
from benchmarks.quality import simulated_fleet as simulated
from benchmarks.quality import skab_benchmark as skab
from benchmarks.quality.ablated_detectors import VARIANTS
from benchmarks.quality.ablation import Bench, ablation, contestants
from benchmarks.quality.compared_detectors import OURS, Contestant, ours, trivial
from benchmarks.quality.dataset_files import Choice
from benchmarks.quality.quality_plots import nab_plots, rate_plots, simulated_plots, skab_plots
from benchmarks.report.document import Section
from sensorwatch.common.runtime.setting_keys import TrainerSettings


class Part(StrEnum):
    """What can be measured by itself."""

    SKAB = "skab"
    NAB = "nab"
    SIMULATED = "simulated"
    RATES = "rates"
    SEASON = "season"
    ABLATION = "ablation"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command was asked for."""

    choice: Choice
    alone: bool = False
    """The default detector only."""
    seeds: int = skab.SEEDS
    refit_every: int | None = None
    processes: int = 1

    @property
    def compared(self) -> list[Contestant]:
        """Who is measured."""
        found = ours(refit_every=self.refit_every)
        return found[:1] if self.alone else [*found, *trivial()]


def section(part: Part, asked: Asked) -> Section:
    """Measure one part."""
    return _MEASURES[part](asked)


def _skab(asked: Asked) -> Section:
    files = skab.load(asked.choice)
    runs = [
        skab.measure(files, contestant, seeds=asked.seeds, processes=asked.processes)
        for contestant in [*asked.compared, skab.the_clock()]
    ]
    return Section("SKAB", skab.tables(runs), skab_plots(files, runs))


def _nab(asked: Asked) -> Section:
    files = nab.load(asked.choice)
    runs = [nab.measure(files, one, processes=asked.processes) for one in asked.compared]
    return Section("NAB", [nab.table(runs)], nab_plots(files, runs))


def _simulated(asked: Asked) -> Section:
    plant = simulated.load()
    runs = [simulated.measure(plant, contestant) for contestant in asked.compared]
    return Section("Simulated faults", simulated.tables(runs, plant), simulated_plots(runs))


def _rates(asked: Asked) -> Section:
    streams = rates.load()
    found = [
        one
        for rate in rates.RATES
        for contestant in rates.compared(rate, alone=asked.alone)
        for one in rates.measure(streams, contestant, rate, processes=asked.processes)
    ]
    return Section("Alert rate", [rates.table(found)], rate_plots(found))


def _season(asked: Asked) -> Section:
    compared = [*asked.compared[:1], seasonal.without_season(), *asked.compared[1:]]
    return Section("A season", [seasonal.table(seasonal.load(), compared, asked.processes)])


def _ablation(asked: Asked) -> Section:
    files = skab.load(asked.choice), nab.load(asked.choice)
    bench = Bench(*files, simulated.load(), seeds=asked.seeds, processes=asked.processes)
    found = contestants(VARIANTS, bench, TrainerSettings())
    return Section(f"What each part of the {OURS} detector is worth", [ablation(found, bench)])


_MEASURES: dict[Part, Callable[[Asked], Section]] = {
    Part.SKAB: _skab,
    Part.NAB: _nab,
    Part.SIMULATED: _simulated,
    Part.RATES: _rates,
    Part.SEASON: _season,
    Part.ABLATION: _ablation,
}
