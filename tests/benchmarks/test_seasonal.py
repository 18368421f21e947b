"""The stream with one sharp hour has its wrong rows at the hours that are measured."""

import numpy as np

from benchmarks.quality.backtest_runs import JudgedRows, RecordStream
from benchmarks.quality.compared_detectors import ComparedDetector
from benchmarks.quality.seasonal_stream import PER_DAY, SHARP_HOUR, TRAIN_DAYS, draw_stream, table

HIGH = 12.0


def test_hours_are_sharp_wrong_or_missing_as_told() -> None:
    for per_day in PER_DAY:
        sharp = draw_stream(per_day, 1)
        stream = sharp.stream
        assert stream.train_rows == TRAIN_DAYS * per_day
        values = np.asarray([float(record["x1"]) for record in stream.records])  # type: ignore[index, arg-type]
        high = values.reshape(-1, per_day // 24).mean(axis=1)[TRAIN_DAYS * 24 :] > HIGH
        usual = np.arange(len(high)) % 24 == SHARP_HOUR
        assert high[sharp.wrong_hours].all()
        assert not usual[sharp.wrong_hours].any()
        assert usual[sharp.missing_hours].all()
        assert not high[sharp.missing_hours].any()
        usual[sharp.wrong_hours], usual[sharp.missing_hours] = True, False
        np.testing.assert_array_equal(high, usual)
        times = [record["timestamp"] for record in stream.records[:2]]  # type: ignore[index]
        assert times[1] - times[0] == 86_400_000 // per_day  # type: ignore[operator]


def test_alarms_are_counted_by_hour() -> None:
    """A detector that alarms on high values finds the wrong rows, and no missing ones."""

    def judge(stream: RecordStream) -> JudgedRows:
        rows = stream.records[stream.train_rows :]
        high = np.asarray([float(row["x1"]) > HIGH for row in rows])  # type: ignore[index, arg-type]
        return JudgedRows(high.astype(float), high, high)

    sharps = [draw_stream(per_day, 1) for per_day in PER_DAY]
    counts = table(sharps, [ComparedDetector("height", judge)], processes=1)

    assert counts.rows[0][0] == "height"
    for cell in counts.rows[0][1:]:
        wrong_hours, missing_hours, rate = cell.removesuffix(" %").split(" / ")
        assert (wrong_hours, missing_hours) == ("100", "0")
        assert 4.0 < float(rate) < 4.4
