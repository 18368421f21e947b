"""Tests of the streams with a sharp hour, and of the counts of alarms in their faulty hours."""

import numpy as np

from benchmarks.quality.backtest_runs import JudgedRows, RecordStream
from benchmarks.quality.compared_detectors import ComparedDetector
from benchmarks.quality.seasonal_stream import (
    ROWS_PER_DAY,
    SHARP_HOUR,
    TRAIN_DAYS,
    draw_stream,
    table,
)

HIGH_VALUE = 12.0


def test_only_the_faulty_hours_differ_from_the_daily_pattern() -> None:
    for rows_per_day in ROWS_PER_DAY:
        sharp_stream = draw_stream(rows_per_day, 1)
        stream = sharp_stream.stream
        assert stream.train_rows == TRAIN_DAYS * rows_per_day
        values = np.asarray([float(record["x1"]) for record in stream.records])  # type: ignore[index, arg-type]
        is_high = (
            values.reshape(-1, rows_per_day // 24).mean(axis=1)[TRAIN_DAYS * 24 :] > HIGH_VALUE
        )
        is_sharp = np.arange(len(is_high)) % 24 == SHARP_HOUR
        assert is_high[sharp_stream.wrong_hours].all()
        assert not is_sharp[sharp_stream.wrong_hours].any()
        assert is_sharp[sharp_stream.missing_hours].all()
        assert not is_high[sharp_stream.missing_hours].any()
        is_sharp[sharp_stream.wrong_hours], is_sharp[sharp_stream.missing_hours] = True, False
        np.testing.assert_array_equal(is_high, is_sharp)
        times = [record["timestamp"] for record in stream.records[:2]]  # type: ignore[index]
        assert times[1] - times[0] == 86_400_000 // rows_per_day  # type: ignore[operator]


def test_alarms_are_counted_by_hour() -> None:
    """A detector that alarms on high values finds all wrong hours and no missing hour."""

    def fit_and_score(stream: RecordStream) -> JudgedRows:
        rows = stream.records[stream.train_rows :]
        is_high = np.asarray([float(row["x1"]) > HIGH_VALUE for row in rows])  # type: ignore[index, arg-type]
        return JudgedRows(is_high.astype(float), is_high, is_high)

    streams = [draw_stream(rows_per_day, 1) for rows_per_day in ROWS_PER_DAY]
    hours_table = table(streams, [ComparedDetector("height", fit_and_score)], processes=1)

    assert hours_table.rows[0][0] == "height"
    for cell in hours_table.rows[0][1:]:
        wrong_hours, missing_hours, rate = cell.removesuffix(" %").split(" / ")
        assert (wrong_hours, missing_hours) == ("100", "0")
        assert 4.0 < float(rate) < 4.4
