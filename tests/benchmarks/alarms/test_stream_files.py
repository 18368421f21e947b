"""Tests of the reader of labelled streams, and of the results."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from benchmarks.quality.alarms.stream_files import read, result_of


def a_file(folder: Path, first_times: list[object]) -> Path:
    """Write a file of 400 rows with two value columns, and with an event in the rows 300 to 319."""
    rows = np.arange(400)
    path = folder / "a.parquet"
    table = {
        "timestamp": pa.array([*first_times, *[first_times[-1]] * (400 - len(first_times))]),
        "value-0": pa.array(rows * 1.0),
        "value-1": pa.array(rows * 2.0),
        "is_anomaly": pa.array(((rows >= 300) & (rows < 320)).astype(np.int64)),
    }
    parquet.write_table(pa.table(table), path)
    return path


def test_the_last_column_is_the_label_and_at_least_200_rows_train(tmp_path: Path) -> None:
    stream = read(a_file(tmp_path, [0, 1]))

    assert stream.rows.train_rows == 200
    assert stream.rows.readings.values[:3].tolist() == [[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]
    assert np.flatnonzero(stream.judged_labels).tolist() == list(range(100, 120))
    assert np.unique(np.diff(stream.rows.readings.event_time)).tolist() == [60_000_000]


def test_rows_with_dates_start_at_the_first_date_and_are_a_second_apart(tmp_path: Path) -> None:
    stream = read(a_file(tmp_path, ["2018-05-27 18:21:59"]), max_rows=310)

    times = stream.rows.readings.event_time
    assert times[:2].tolist() == [1_527_445_319_000_000, 1_527_445_320_000_000]
    assert len(times) == len(stream.is_faulty) == 310


def test_an_event_is_found_by_an_alarm_of_the_severity_in_its_rows() -> None:
    is_faulty = np.array([False, True, True, False, True, False])
    severity = np.array([0, 0, 3, 2, 0, 0], dtype=np.int8)
    alarmed = {"any": severity >= 1, "critical": severity >= 3}

    result = result_of("a", "default", np.array([0, 3, 4, 1, 2, 0.5]), alarmed, is_faulty)

    assert (result.events, result.events_found["any"], result.events_found["critical"]) == (2, 1, 1)
    assert result.normal_alarmed["any"] == pytest.approx(1 / 3)
    assert result.normal_alarmed["critical"] == 0.0
    assert result.roc_auc == 1.0
