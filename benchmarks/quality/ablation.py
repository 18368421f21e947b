"""Measure the default detector with one part changed at a time."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from benchmarks.quality import nab_benchmark as nab
from benchmarks.quality import skab_benchmark as skab
from benchmarks.quality.ablated_detectors import Variant, score_with_variants
from benchmarks.quality.backtest_runs import JudgedRows, RecordStream
from benchmarks.quality.compared_detectors import ComparedDetector
from benchmarks.quality.simulated_fleet import ALL_BUT_DRIFT, FaultyFleet
from benchmarks.quality.simulated_fleet import measure as measure_fleet
from benchmarks.quality.skab_scoring import Counts, sum_counts
from benchmarks.report.figures_table import Table
from sensorwatch.common.runtime.setting_keys import TrainerSettings


@dataclass(frozen=True, slots=True)
class AblationData:
    """The data sets on which every variant is measured."""

    skab_files: Sequence[skab.SkabFile]
    nab_files: Sequence[nab.NabFile]
    fleet: FaultyFleet
    seeds: int = skab.SEED_COUNT
    processes: int = 1

    def streams(self) -> Iterator[RecordStream]:
        """Yield the streams of all data sets by descending size; duplicates are possible."""
        yield self.fleet.stream
        yield from (file.stream for file in self.nab_files)
        yield from (file.stream(cut) for file, cut in skab.with_cuts(self.skab_files, self.seeds))


def detectors_of_variants(
    variants: Sequence[Variant], data: AblationData, trainer_settings: TrainerSettings
) -> list[ComparedDetector]:
    """Score every stream with all variants; return detectors that look up these results."""
    streams = list({_stream_key(stream): stream for stream in data.streams()}.values())
    score_stream = partial(
        score_with_variants, variants=variants, trainer_settings=trainer_settings
    )
    if data.processes == 1:
        results_by_stream = [score_stream(stream) for stream in streams]
    else:
        with ProcessPoolExecutor(data.processes, mp_context=get_context("spawn")) as pool:
            results_by_stream = list(pool.map(score_stream, streams))
    keys = [_stream_key(stream) for stream in streams]
    return [
        ComparedDetector(variant.name, _CachedResults(dict(zip(keys, stream_results, strict=True))))
        for variant, stream_results in zip(
            variants, zip(*results_by_stream, strict=True), strict=True
        )
    ]


@dataclass(frozen=True, slots=True)
class _CachedResults:
    """A detector that looks up results that are already computed."""

    results_by_stream: dict[tuple[str, int], JudgedRows]

    def __call__(self, stream: RecordStream) -> JudgedRows:
        return self.results_by_stream[_stream_key(stream)]


def _stream_key(stream: RecordStream) -> tuple[str, int]:
    return stream.name, len(stream.records)


def ablation_table(variants: Sequence[ComparedDetector], data: AblationData) -> Table:
    """Return a table of every variant's results on all data sets."""
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
        [_table_row(detector, data) for detector in variants],
        "Each variant is calibrated again, on the same scores of the same rows.",
    )


def _table_row(detector: ComparedDetector, data: AblationData) -> tuple[str, ...]:
    skab_run = skab.measure(data.skab_files, detector, seeds=data.seeds)
    nab_run = nab.measure(data.nab_files, detector)
    fleet_run = measure_fleet(data.fleet, detector)
    sudden_faults = fleet_run.kinds[ALL_BUT_DRIFT]
    return (
        detector.name,
        _f1_far_mar(sum_counts(skab_run.counts)),
        _f1_far_mar(sum_counts(skab_run.counts_by_seed)) if skab_run.counts_by_seed else "-",
        f"{nab_run.published.score:.1f}",
        f"{nab_run.own_threshold_score:.1f}",
        f"{100 * sudden_faults.recall:.1f} %",
        "-" if sudden_faults.delay is None else f"{sudden_faults.delay:g}",
        f"{fleet_run.alert_rate:.4f}",
    )


def _f1_far_mar(counts: Counts) -> str:
    return f"{counts.f1:.3f} / {counts.far:.1f} / {counts.mar:.1f}"
