"""What each part of the detector is worth: the same figures with one part changed at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.quality import nab, skab
from benchmarks.quality.contestants import Contestant, variant
from benchmarks.quality.simulated import ALL, Plant
from benchmarks.quality.simulated import measure as measure_plant
from benchmarks.quality.skab_scoring import Counts, pooled
from benchmarks.quality.streams import Transform
from benchmarks.quality.table import Table
from common.runtime.keys import TrainerSettings

TRANSFORMS: Mapping[str, Transform] = {}
"""By name: what is done to the fitted default detector."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What the variants are measured on."""

    skab_files: Sequence[skab.SkabFile]
    nab_files: Sequence[nab.NabFile]
    plant: Plant
    seeds: int = skab.SEEDS
    processes: int = 1


def transformed(transforms: Mapping[str, Transform], how: TrainerSettings) -> list[Contestant]:
    """Return the whole detector, then it with each change by itself."""
    changed = [variant(name, how, transform) for name, transform in transforms.items()]
    return [variant("whole", how), *changed]


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
            "µs a row",
        ),
        [_line(one, bench) for one in variants],
    )


def _line(one: Contestant, bench: Bench) -> tuple[str, ...]:
    water = skab.measure(bench.skab_files, one, seeds=bench.seeds, processes=bench.processes)
    streams = nab.measure(bench.nab_files, one, processes=bench.processes)
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
        f"{plant.microseconds:.1f}",
    )


def _three(counts: Counts) -> str:
    return f"{counts.f1:.3f} / {counts.far:.1f} / {counts.mar:.1f}"
