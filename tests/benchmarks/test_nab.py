"""Tests of the reader of NAB's files and windows, and of the counts of alarms in windows."""

import json
from pathlib import Path

import pytest

from benchmarks.quality import nab_benchmark as nab
from benchmarks.quality.dataset_files import FileSelection
from sensorwatch.common.errors import DataError
from tests.benchmarks.test_streams import flagging_every, flagging_nothing


def write_files(folder: Path, *, window: tuple[str, str] = ("00:40", "00:49")) -> Path:
    """Write two NAB files of 100 rows, one row per minute; only the first file has a window."""
    window_ends = [f"2014-04-10 {end}:00.000000" for end in window]
    (folder / "nab" / "real").mkdir(parents=True)
    labels = {"real/a.csv": [window_ends], "real/b.csv": [], "real/not_there.csv": []}
    (folder / "nab" / nab.LABELS_FILE).write_text(json.dumps(labels), encoding="utf-8")
    for name in ("a", "b"):
        lines = ["timestamp,value"]
        lines += [f"2014-04-10 {row // 60:02d}:{row % 60:02d}:00,{row % 7}" for row in range(100)]
        (folder / "nab" / "real" / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_windows_are_converted_to_row_numbers(tmp_path: Path) -> None:
    first_file, second_file = nab.load(FileSelection(write_files(tmp_path)))

    assert (first_file.name, first_file.labels.rows, first_file.labels.windows) == (
        "real/a.csv",
        100,
        ((40, 49),),
    )
    assert (
        second_file.labels.windows,
        second_file.stream.train_rows,
        second_file.stream.judged_rows,
    ) == ((), 15, 85)


def test_a_window_that_ends_at_no_row_is_an_error(tmp_path: Path) -> None:
    write_files(tmp_path, window=("00:40", "03:00"))

    with pytest.raises(DataError, match="no row at '2014-04-10 03:00:00'"):
        nab.load(FileSelection(tmp_path))


def test_an_episode_counts_for_the_window_in_which_it_begins(tmp_path: Path) -> None:
    files = nab.load(FileSelection(write_files(tmp_path)))

    # From row 15 on every 5th row alarms. In the first file, the alarms at rows 40 and 45 are in
    # the window; its other 15 alarms and all 17 alarms of the second file are false.
    run = nab.measure(files, flagging_every(5))

    assert (run.windows_found, run.windows, run.alarms, run.false_alarms) == (1, 1, 34, 32)
    assert run.own_threshold_score < 0
    assert nab.measure(files, flagging_nothing()).own_threshold_score == 0.0
