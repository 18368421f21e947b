"""Run detectors on NAB, a benchmark of streams with one signal, and score the results."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.quality import published_results as published
from benchmarks.quality import quality_targets as goals
from benchmarks.quality.backtest_runs import JudgedRows, Record, RecordStream
from benchmarks.quality.compared_detectors import ComparedDetector
from benchmarks.quality.dataset_files import FileSelection, a_schema, records_of, select_files
from benchmarks.quality.nab_scoring import (
    Labels,
    ThresholdScore,
    best_threshold_score,
    probation,
    score_of_alarms,
)
from benchmarks.report.figures_table import Table
from sensorwatch.common.errors import DataError

LABELS_FILE = "combined_windows.json"
SCHEMA = a_schema("nab", time="timestamp", signals=["value"], delimiter=",")
_TIMESTAMP_LENGTH = len("2014-04-10 07:15:00")


@dataclass(frozen=True, slots=True)
class NabFile:
    """One file of the NAB benchmark with its labelled windows."""

    name: str
    stream: RecordStream
    labels: Labels


@dataclass(frozen=True, slots=True)
class NabRun:
    """Results of one detector on all files."""

    name: str
    results: list[JudgedRows]
    published: ThresholdScore
    """Score by NAB's published protocol, with the threshold that the protocol selects."""
    own_threshold_score: float
    """Score with the detector's own threshold. Only the start of an episode counts as an alarm."""
    windows_found: int
    windows: int
    alarms: int
    false_alarms: int


def load(selection: FileSelection) -> list[NabFile]:
    """Read the benchmark's files; raises DataError if they are missing."""
    folder = selection.data / "nab"
    try:
        windows = json.loads((folder / LABELS_FILE).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{folder / LABELS_FILE} cannot be read: {error.strerror}") from error
    existing_files = [name for name in windows if (folder / name).is_file()]
    return [
        _read_file(name, path, windows[name])
        for name, path in select_files(folder, existing_files, selection)
    ]


def measure(files: Sequence[NabFile], detector: ComparedDetector, *, processes: int = 1) -> NabRun:
    """Score all files with a detector, and count its alarms."""
    results = detector.fit_and_score_all([file.stream for file in files], processes=processes)
    labels = [file.labels for file in files]
    episode_starts = [file_results.is_episode_start for file_results in results]
    windows_found_count = alarms = alarms_in_windows = 0
    for file, rows in zip(labels, episode_starts, strict=True):
        alarm_rows = np.flatnonzero(rows) + probation(file.rows)
        alarms_by_window = [
            int(((alarm_rows >= first) & (alarm_rows <= last)).sum())
            for first, last in file.windows
        ]
        windows_found_count += sum(window_alarms > 0 for window_alarms in alarms_by_window)
        alarms_in_windows += sum(alarms_by_window)
        alarms += len(alarm_rows)
    return NabRun(
        detector.name,
        results,
        best_threshold_score(labels, [file_results.anomaly_score for file_results in results]),
        score_of_alarms(labels, episode_starts),
        windows_found_count,
        sum(len(file.windows) for file in labels),
        alarms,
        alarms - alarms_in_windows,
    )


def table(runs: Sequence[NabRun]) -> Table:
    """Return a table of all runs, with the targets and other detectors' published results."""
    rows: list[tuple[str, ...]] = [
        (
            run.name,
            f"{run.published.score:.1f}",
            f"{run.published.threshold:.3f}",
            f"{run.own_threshold_score:.1f}",
            f"{run.windows_found} of {run.windows}",
            str(run.false_alarms),
        )
        for run in runs
    ]
    target_cells = f"{goals.NAB_PUBLISHED:.0f}", "", f"{goals.NAB_OWN:.0f}", "", ""
    rows += [("wanted", *target_cells)]
    rows += [
        (f"published: {name}", f"{score:.1f}", *("" for _ in range(4)))
        for name, score in published.NAB.items()
    ]
    return Table(
        f"NAB, {len(runs[0].results)} files, standard profile",
        (
            "",
            "published protocol",
            "its threshold",
            "own threshold",
            "windows found",
            "false alarms",
        ),
        rows,
        "The published protocol uses one threshold on the anomaly score, the best one for these "
        "labels. With the own threshold of a detector, an alarm is the start of an episode. "
        "Windows found and false alarms count these alarms. Scores are scaled over these files. "
        f"The published scores are from {published.NAB_SOURCE}.",
    )


def _read_file(name: str, path: Path, windows: Sequence[Sequence[str]]) -> NabFile:
    records = records_of(path, SCHEMA)
    row_by_time: dict[str, int] = {}
    for row, record in enumerate(records):
        row_by_time.setdefault(_time_text(record), row)
    try:
        window_bounds = tuple(
            (row_by_time[first[:_TIMESTAMP_LENGTH]], row_by_time[last[:_TIMESTAMP_LENGTH]])
            for first, last in windows
        )
    except KeyError as error:
        raise DataError(
            f"{name} has no row at {error}, but {LABELS_FILE} has a window that ends there"
        ) from error
    stream = RecordStream(name, SCHEMA, records, probation(len(records)))
    return NabFile(name, stream, Labels(len(records), window_bounds))


def _time_text(record: Record) -> str:
    return str(record["timestamp"])[:_TIMESTAMP_LENGTH] if isinstance(record, dict) else ""
