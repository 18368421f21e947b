"""Measure the detector and the plain recipe on public labelled streams in Parquet files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet
from sklearn.metrics import roc_auc_score

from benchmarks.quality.alarms.scored_rows import ANY, LEVELS, fit_and_score
from benchmarks.quality.alarms.sensor_rows import SECOND_US, SensorRows, rows_of_grid
from benchmarks.quality.baselines import forest_scores
from benchmarks.quality.compared_detectors import DEFAULT_NAME, IN_SAMPLE_NAME
from benchmarks.quality.dataset_files import FileSelection, select_files
from benchmarks.report.figures_table import Table
from benchmarks.report.true_ranges import true_ranges
from sensorwatch.common.simulation.stream import START_TIME

TRAIN_SHARE = 0.1
TRAIN_ROWS = (200, 2_000)
"""Smallest and largest number of training rows."""
QUICK_ROWS = 15_000
"""Largest number of rows that are read from a file in quick mode."""


@dataclass(frozen=True, slots=True)
class LabelledStream:
    """A file's rows, and the label of each row."""

    rows: SensorRows
    is_faulty: NDArray[np.bool_]
    """Shape (n,)."""

    @property
    def judged_labels(self) -> NDArray[np.bool_]:
        """Return the labels (m,) of the judged rows."""
        return self.is_faulty[self.rows.train_rows :]


@dataclass(frozen=True, slots=True)
class StreamResult:
    """Results of one detector on one file."""

    stream: str
    detector: str
    events: int
    roc_auc: float
    events_found: dict[str, int]
    """For each level that the detector knows, the number of events with an alarm in their rows."""
    normal_alarmed: dict[str, float]
    """For each level, the share of the normal rows with an alarm."""


def load(selection: FileSelection, *, max_rows: int | None = None) -> list[LabelledStream]:
    """Read the selected files of the folder `streams`. `max_rows`: read only the first rows."""
    folder = selection.data / "streams"
    names = [path.name for path in folder.glob("*.parquet")]
    return [read(path, max_rows) for _, path in select_files(folder, names, selection)]


def read(path: Path, max_rows: int | None = None) -> LabelledStream:
    """Read a file with the columns `timestamp`, the values, and `is_anomaly` last.

    The rows remain in the order of the file. If the times are numbers, they only count the rows,
    and the rows get an interval of one minute. Rows with dates get an interval of one second.
    `max_rows`: read only the first rows. The number of training rows is computed from the size of
    the complete file.
    """
    table = parquet.read_table(path)
    columns = [column.to_numpy() for column in table.itercolumns()]
    values, is_faulty = np.column_stack(columns[1:-1]), columns[-1] != 0
    train_rows = int(np.clip(TRAIN_SHARE * len(values), *TRAIN_ROWS))
    has_dates = isinstance(columns[0][0], str)
    rows = rows_of_grid(
        path.stem,
        values[:max_rows, np.newaxis, :].astype(np.float64),
        train_steps=train_rows,
        interval_seconds=1.0 if has_dates else 60.0,
        start=_microseconds(columns[0][0]) if has_dates else START_TIME,
        decimals=None,
    )
    return LabelledStream(rows, is_faulty[:max_rows])


def measure(stream: LabelledStream, *, is_default_only: bool) -> list[StreamResult]:
    """Fit on the first tenth of a stream, and score the other rows causally."""
    rows = stream.rows
    _, scored = fit_and_score(rows)
    alarmed = {level: scored.alarmed(level) for level in LEVELS}
    labels = stream.judged_labels
    results = [result_of(rows.name, DEFAULT_NAME, scored.raw_score, alarmed, labels)]
    if not is_default_only:
        forest_score, threshold = forest_scores(rows.readings, rows.train_rows)
        score = forest_score[rows.train_rows :]
        results.append(
            result_of(rows.name, IN_SAMPLE_NAME, score, {ANY: score > threshold}, labels)
        )
    return results


def result_of(
    stream: str,
    detector: str,
    score: NDArray[np.float64],
    alarmed: Mapping[str, NDArray[np.bool_]],
    is_faulty: NDArray[np.bool_],
) -> StreamResult:
    """Return the results for scores and labels (m,). `alarmed`: a mask (m,) for each level."""
    events = true_ranges(is_faulty)
    return StreamResult(
        stream,
        detector,
        len(events),
        float(roc_auc_score(is_faulty, score)),
        {
            level: sum(bool(mask[first:end].any()) for first, end in events)
            for level, mask in alarmed.items()
        },
        {level: float(mask[~is_faulty].mean()) for level, mask in alarmed.items()},
    )


def table(results: Sequence[StreamResult]) -> Table:
    """Return the table of all results, with a last row for each detector over all streams."""
    rows = [
        (result.stream, result.detector, f"{result.roc_auc:.3f}", *_cells([result]))
        for result in results
    ]
    for name in dict.fromkeys(result.detector for result in results):
        results_of_detector = [result for result in results if result.detector == name]
        mean_auc = np.mean([result.roc_auc for result in results_of_detector])
        rows.append(("all", name, f"{mean_auc:.3f}", *_cells(results_of_detector)))
    levels = " / ".join(LEVELS)
    return Table(
        "Public streams: ROC-AUC of the raw score, events found, normal rows alarmed",
        ("", "detector", "ROC-AUC", f"events found: {levels}", f"normal rows: {levels}"),
        rows,
        f"The first tenth of each file ({TRAIN_ROWS[0]} to {TRAIN_ROWS[1]:,} rows) trains, and the "
        "rest is judged causally. Found: events with an alarm of at least this severity in their "
        "rows. Normal rows: their alarmed share. The last rows have the means over the streams, "
        "and the sums of the events. The plain recipe has one threshold, from its training rows.",
    )


def _cells(results: Sequence[StreamResult]) -> tuple[str, str]:
    """Return the events found, and the mean share of alarmed normal rows."""
    levels = [level for level in LEVELS if level in results[0].events_found]
    events_found = [sum(result.events_found[level] for result in results) for level in levels]
    shares = [
        100 * float(np.mean([result.normal_alarmed[level] for result in results]))
        for level in levels
    ]
    events = sum(result.events for result in results)
    return (
        f"{' / '.join(map(str, events_found))} of {events}",
        f"{' / '.join(f'{share:.2f}' for share in shares)} %",
    )


def _microseconds(first_time: str) -> int:
    """Return the time of a file's first row, microseconds UTC."""
    return round(datetime.fromisoformat(f"{first_time}+00:00").timestamp() * SECOND_US)
