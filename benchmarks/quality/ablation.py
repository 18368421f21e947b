"""What each part of the detector is worth: the same figures with one part changed at a time."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from benchmarks.quality import nab_benchmark as nab
from benchmarks.quality import skab_benchmark as skab
from benchmarks.quality.ablated_detectors import Variant, judge
from benchmarks.quality.backtest_runs import Judged, Stream
from benchmarks.quality.compared_detectors import Contestant
from benchmarks.quality.simulated_fleet import ALL, Plant
from benchmarks.quality.simulated_fleet import measure as measure_plant
from benchmarks.quality.skab_scoring import Counts, pooled
from benchmarks.report.figures_table import Table
from sensorwatch.common.runtime.setting_keys import TrainerSettings


@dataclass(frozen=True, slots=True)
class Bench:
    """What the variants are measured on."""

    skab_files: Sequence[skab.SkabFile]
    nab_files: Sequence[nab.NabFile]
    plant: Plant
    seeds: int = skab.SEEDS
    processes: int = 1

    def streams(self) -> Iterator[Stream]:
        """Yield every stream, the largest first; some may come twice."""
        yield self.plant.stream
        yield from (file.stream for file in self.nab_files)
        yield from (file.stream(cut) for file, cut in skab.cuts_of(self.skab_files, self.seeds))


def contestants(
    variants: Sequence[Variant], bench: Bench, how: TrainerSettings
) -> list[Contestant]:
    """Judge every stream by all variants, so that each is fitted on once; look it up later."""
    streams = list({_key(stream): stream for stream in bench.streams()}.values())
    by_all = partial(judge, variants=variants, how=how)
    if bench.processes == 1:
        found = [by_all(stream) for stream in streams]
    else:
        with ProcessPoolExecutor(bench.processes, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(by_all, streams))
    keys = [_key(stream) for stream in streams]
    return [
        Contestant(variant.name, _Known(dict(zip(keys, judged, strict=True))))
        for variant, judged in zip(variants, zip(*found, strict=True), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Known:
    """Judgements that were made before."""

    found: dict[tuple[str, int], Judged]

    def __call__(self, stream: Stream) -> Judged:
        return self.found[_key(stream)]


def _key(stream: Stream) -> tuple[str, int]:
    return stream.name, len(stream.records)


def ablation(variants: Sequence[Contestant], bench: Bench) -> Table:
    """Measure every variant on everything."""
    return Table(
        "Ablation",
        (
            "",
            "SKAB F1 / FAR / MAR",
            "with starts cut",
            "NAB published",
            "NAB own",
            "simulator events",
            "delay",
            "alert rate",
        ),
        [_line(one, bench) for one in variants],
        "Each variant is calibrated anew on the same looks at the same rows.",
    )


def _line(one: Contestant, bench: Bench) -> tuple[str, ...]:
    water = skab.measure(bench.skab_files, one, seeds=bench.seeds)
    streams = nab.measure(bench.nab_files, one)
    plant = measure_plant(bench.plant, one)
    sudden = plant.kinds[ALL]
    return (
        one.name,
        _three(pooled(water.counts)),
        _three(pooled(water.cut)) if water.cut else "-",
        f"{streams.published.score:.1f}",
        f"{streams.own:.1f}",
        f"{100 * sudden.recall:.1f} %",
        "-" if sudden.delay is None else f"{sudden.delay:g}",
        f"{plant.alert_rate:.4f}",
    )


def _three(counts: Counts) -> str:
    return f"{counts.f1:.3f} / {counts.far:.1f} / {counts.mar:.1f}"
