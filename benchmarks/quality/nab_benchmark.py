"""NAB: univariate streams, scored by its published protocol and by our own threshold."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.quality import published_results as published
from benchmarks.quality import quality_targets as goals
from benchmarks.quality.backtest_runs import Judged, Record, Stream
from benchmarks.quality.compared_detectors import Contestant
from benchmarks.quality.dataset_files import Choice, a_schema, chosen, records_of
from benchmarks.quality.nab_scoring import Labels, Result, best, of_alarms, probation
from benchmarks.report.figures_table import Table
from sensorwatch.common.errors import DataError

LABELS = "combined_windows.json"
SCHEMA = a_schema("nab", time="timestamp", signals=["value"], delimiter=",")
_SECONDS = len("2014-04-10 07:15:00")


@dataclass(frozen=True, slots=True)
class NabFile:
    """A file of the benchmark."""

    name: str
    stream: Stream
    labels: Labels


@dataclass(frozen=True, slots=True)
class Run:
    """One contestant on all files."""

    name: str
    judged: list[Judged]
    published: Result
    """By the published protocol."""
    own: float
    """By the contestant's own threshold, an alarm being the start of an episode."""
    windows_found: int
    windows: int
    alarms: int
    false_alarms: int


def load(choice: Choice) -> list[NabFile]:
    """Read the benchmark's files; raises DataError where they are not there."""
    folder = choice.data / "nab"
    try:
        windows = json.loads((folder / LABELS).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{folder / LABELS} cannot be read: {error.strerror}") from error
    there = [name for name in windows if (folder / name).is_file()]
    return [_read(name, path, windows[name]) for name, path in chosen(folder, there, choice)]


def measure(files: Sequence[NabFile], contestant: Contestant, *, processes: int = 1) -> Run:
    """Run a contestant over the files."""
    judged = contestant.over([file.stream for file in files], processes=processes)
    labels = [file.labels for file in files]
    starts = [one.starts for one in judged]
    found = alarms = inside = 0
    for file, rows in zip(labels, starts, strict=True):
        at = np.flatnonzero(rows) + probation(file.rows)
        hits = [int(((at >= first) & (at <= last)).sum()) for first, last in file.windows]
        found += sum(hit > 0 for hit in hits)
        inside += sum(hits)
        alarms += len(at)
    return Run(
        contestant.name,
        judged,
        best(labels, [one.anomaly_score for one in judged]),
        of_alarms(labels, starts),
        found,
        sum(len(file.windows) for file in labels),
        alarms,
        alarms - inside,
    )


def table(found: Sequence[Run]) -> Table:
    """Write the figures."""
    rows: list[tuple[str, ...]] = [
        (
            run.name,
            f"{run.published.score:.1f}",
            f"{run.published.threshold:.3f}",
            f"{run.own:.1f}",
            f"{run.windows_found} of {run.windows}",
            str(run.false_alarms),
        )
        for run in found
    ]
    wanted = f"{goals.NAB_PUBLISHED:.0f}", "", f"{goals.NAB_OWN:.0f}", "", ""
    rows += [("wanted", *wanted)]
    rows += [
        (f"published: {name}", f"{score:.1f}", *("" for _ in range(4)))
        for name, score in published.NAB.items()
    ]
    return Table(
        f"NAB, {len(found[0].judged)} files, standard profile",
        (
            "",
            "published protocol",
            "its threshold",
            "own threshold",
            "windows found",
            "false alarms",
        ),
        rows,
        "Published protocol: the one threshold on the anomaly score that is best for these labels. "
        "Own threshold: an alarm is the start of an episode; windows found and false alarms are "
        f"counted so too. Scaled over these files. Published: {published.NAB_SOURCE}.",
    )


def _read(name: str, path: Path, windows: Sequence[Sequence[str]]) -> NabFile:
    records = records_of(path, SCHEMA)
    row_of: dict[str, int] = {}
    for row, record in enumerate(records):
        row_of.setdefault(_time(record), row)
    try:
        ends = tuple((row_of[a[:_SECONDS]], row_of[b[:_SECONDS]]) for a, b in windows)
    except KeyError as error:
        raise DataError(f"{name} has no row at {error}, where a window of {LABELS} ends") from error
    stream = Stream(name, SCHEMA, records, probation(len(records)))
    return NabFile(name, stream, Labels(len(records), ends))


def _time(record: Record) -> str:
    return str(record["timestamp"])[:_SECONDS] if isinstance(record, dict) else ""
