"""Run detectors on SKAB: files of a water loop with 8 sensors.

A detector is fitted on the first 400 rows of a file, and judged on the other rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import published_results as published
from benchmarks.quality import quality_targets as goals
from benchmarks.quality.backtest_runs import JudgedRows, Record, RecordStream
from benchmarks.quality.baselines import CLOCK_ROWS, flag_clock_rows
from benchmarks.quality.compared_detectors import ComparedDetector
from benchmarks.quality.dataset_files import FileSelection, a_schema, records_of, select_files
from benchmarks.quality.skab_scoring import Counts, count, delays, sum_counts
from benchmarks.report.figures_table import Table
from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.schema import Schema

TRAIN_ROWS = 400
MAX_CUT_ROWS = 160
SEED_COUNT = 5
LABEL_COLUMN, CHANGEPOINT_COLUMN, TIME_COLUMN = "anomaly", "changepoint", "datetime"
_FAULTY_FOLDERS = ("other", "valve1", "valve2")


@dataclass(frozen=True, slots=True)
class SkabFile:
    """One file of the SKAB benchmark with its labels."""

    name: str
    schema: Schema
    records: list[Record]
    faulty: NDArray[np.bool_]
    """Shape (n,). True for rows that are labelled as faulty."""

    def stream(self, cut: int = 0) -> RecordStream:
        """Return the file without its first `cut` rows."""
        return RecordStream(self.name, self.schema, self.records[cut:], TRAIN_ROWS)

    def judged_labels(self, cut: int = 0) -> NDArray[np.bool_]:
        """Return the labels of the judged rows of `stream(cut)`."""
        return self.faulty[cut + TRAIN_ROWS :]


@dataclass(frozen=True, slots=True)
class SkabRun:
    """Results of one detector on the uncut files, and on the cut files of each seed."""

    name: str
    results: list[JudgedRows]
    counts: list[Counts]
    """For each uncut file, its counts."""
    counts_by_seed: list[Counts]
    """For each seed of the cuts, the counts over all files."""
    delays: list[int | None]


def load(selection: FileSelection) -> list[SkabFile]:
    """Read the benchmark's files; raises DataError if they are missing."""
    folder = selection.data / "skab"
    names = [
        f"{part}/{path.name}" for part in _FAULTY_FOLDERS for path in (folder / part).glob("*.csv")
    ]
    return [_read_file(name, path) for name, path in select_files(folder, names, selection)]


def cut_of(name: str, seed: int) -> int:
    """Return the number of rows to cut from a file's start, from the file name and the seed."""
    return int(np.random.default_rng([seed, crc32(name.encode())]).integers(0, MAX_CUT_ROWS + 1))


def with_cuts(files: Sequence[SkabFile], seeds: int) -> list[tuple[SkabFile, int]]:
    """Return pairs (file, cut rows): first all uncut files, then all cut files of each seed."""
    uncut_files = [(file, 0) for file in files]
    return uncut_files + [
        (file, cut_of(file.name, seed)) for seed in range(seeds) for file in files
    ]


def measure(
    files: Sequence[SkabFile],
    detector: ComparedDetector,
    *,
    seeds: int = SEED_COUNT,
    processes: int = 1,
) -> SkabRun:
    """Run a detector on the uncut and on the cut files, and return its results."""
    cuts = with_cuts(files, seeds)
    streams = [file.stream(cut) for file, cut in cuts]
    results = detector.fit_and_score_all(streams, processes=processes)
    labels_of_streams = [file.judged_labels(cut) for file, cut in cuts]
    counts = [
        count(judged_labels, rows.is_anomaly)
        for judged_labels, rows in zip(labels_of_streams, results, strict=True)
    ]
    file_count = len(files)
    uncut_delays = [
        delay
        for judged_labels, rows in zip(
            labels_of_streams[:file_count], results[:file_count], strict=True
        )
        for delay in delays(judged_labels, rows.is_anomaly)
    ]
    counts_by_seed = [
        sum_counts(counts[first : first + file_count])
        for first in range(file_count, len(counts), file_count)
    ]
    return SkabRun(
        detector.name, results[:file_count], counts[:file_count], counts_by_seed, uncut_delays
    )


def clock_rule() -> ComparedDetector:
    """Return the rule that raises alarms at fixed row numbers; it is used only for SKAB."""
    return ComparedDetector("clock: rows {}-{}".format(*CLOCK_ROWS), flag_clock_rows)


def tables(skab_runs: Sequence[SkabRun]) -> list[Table]:
    """Return three tables: results on uncut files, results on cut files, and delays."""
    return [
        _uncut_table(skab_runs),
        *([_cut_table(skab_runs)] if skab_runs[0].counts_by_seed else []),
        _delay_table(skab_runs),
    ]


def _uncut_table(skab_runs: Sequence[SkabRun]) -> Table:
    f1, far, mar = goals.SKAB
    rows = [(run.name, *_figure_texts(sum_counts(run.counts))) for run in skab_runs]
    rows += [("wanted", f"{f1:.2f}", f"{far:g}", f"{mar:g}")]
    rows += [
        (f"published: {name}", f"{f1:.2f}", f"{far:.1f}", f"{mar:.1f}")
        for name, (f1, far, mar) in published.SKAB.items()
    ]
    files = len(skab_runs[0].counts)
    return Table(
        f"SKAB, {files} files: fitted on 400 rows, the rest judged causally",
        ("", "F1", "FAR %", "MAR %"),
        rows,
        f"Pooled over all judged rows. Published: {published.SKAB_SOURCE}.",
    )


def _cut_table(skab_runs: Sequence[SkabRun]) -> Table:
    rows: list[tuple[str, ...]] = []
    for run in skab_runs:
        pooled_counts = sum_counts(run.counts_by_seed)
        ranges_by_seed = (
            _range_text([counts.f1 for counts in run.counts_by_seed], 3),
            _range_text([counts.far for counts in run.counts_by_seed], 1),
            _range_text([counts.mar for counts in run.counts_by_seed], 1),
        )
        rows.append((run.name, *_figure_texts(pooled_counts), *ranges_by_seed))
    f1, far, mar = goals.SKAB_CUT
    rows.append(("wanted", f"{f1:.2f}", f"{far:g}", f"{mar:g}", "", "", ""))
    return Table(
        f"SKAB, 0-{MAX_CUT_ROWS} rows cut at random from each file's start, "
        f"{len(skab_runs[0].counts_by_seed)} seeds",
        ("", "F1", "FAR %", "MAR %", "F1 by seed", "FAR by seed", "MAR by seed"),
        rows,
        "Pooled over all files and seeds; by seed: lowest to highest of the seeds' pooled figures.",
    )


def _delay_table(skab_runs: Sequence[SkabRun]) -> Table:
    rows = []
    for run in skab_runs:
        found_delays = [delay for delay in run.delays if delay is not None]
        delay_text = f"{median(found_delays):g}" if found_delays else "-"
        episodes = sum(int(results.is_episode_start.sum()) for results in run.results)
        rows.append(
            (run.name, f"{len(found_delays)} of {len(run.delays)}", delay_text, str(episodes))
        )
    return Table(
        "SKAB, uncut: runs of faulty rows, and how soon they were found",
        ("", "found", "median delay, rows", "alarm episodes"),
        rows,
    )


def _figure_texts(counts: Counts) -> tuple[str, str, str]:
    return f"{counts.f1:.3f}", f"{counts.far:.1f}", f"{counts.mar:.1f}"


def _range_text(values: Sequence[float], digits: int) -> str:
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def _read_file(name: str, path: Path) -> SkabFile:
    with path.open(encoding="utf-8") as file:
        header = file.readline().strip().split(";")
    signals = [
        column for column in header if column not in (TIME_COLUMN, LABEL_COLUMN, CHANGEPOINT_COLUMN)
    ]
    schema = a_schema("skab", time=TIME_COLUMN, signals=signals, delimiter=";")
    records = records_of(path, schema)
    faulty = [_is_faulty(name, record) for record in records]
    return SkabFile(name, schema, records, np.asarray(faulty, dtype=np.bool_))


def _is_faulty(name: str, record: Record) -> bool:
    # The label column is not in the schema. Such columns remain in the record as text.
    if not isinstance(record, dict):
        raise DataError(f"{name} has a line that cannot be read: {record}")
    return float(record[LABEL_COLUMN]) > 0
