"""Tests of the trivial rules with which detectors are compared."""

import numpy as np

from benchmarks.quality.backtest_runs import Record, RecordStream
from benchmarks.quality.baselines import alarm_starts, ewma_of_z, flag_everything, forest_in_sample
from tests.reading_builders import a_schema


def a_stream(
    rows: int = 300, *, train_rows: int = 200, rejected_row: int | None = None
) -> RecordStream:
    """Return a stream of two sensors with different levels; its last 20 rows are outliers."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(rows, 3)) + 100.0 * (np.arange(rows) % 2)[:, np.newaxis]
    values[-20:] += 30.0
    records: list[Record] = [
        {
            "timestamp": f"2025-01-01T{row // 60:02d}:{row % 60:02d}:00Z",
            "sensor_id": f"s{row % 2}",
            **dict(zip(("x1", "x2", "x3"), values[row].tolist(), strict=True)),
        }
        for row in range(rows)
    ]
    if rejected_row is not None:
        records[rejected_row] = {"timestamp": "never"}
    return RecordStream("two", a_schema(), records, train_rows)


def test_flagging_everything_flags_every_judged_row() -> None:
    assert flag_everything(a_stream()).is_anomaly.tolist() == [True] * 100


def test_the_ewma_uses_the_level_of_each_sensor() -> None:
    results = ewma_of_z(a_stream(), rate=0.01)

    assert results.is_anomaly[-18:].all()
    assert results.is_anomaly[:80].mean() < 0.1
    assert (results.is_anomaly == (results.anomaly_score > 1)).all()


def test_the_ewma_does_not_look_ahead() -> None:
    complete_stream, shorter_stream = a_stream(300), a_stream(300)
    shorter_stream = RecordStream("short", shorter_stream.schema, shorter_stream.records[:250], 200)

    complete_scores = ewma_of_z(complete_stream, rate=0.01).anomaly_score[:50]

    assert complete_scores.tolist() == ewma_of_z(shorter_stream, rate=0.01).anomaly_score.tolist()


def test_a_rejected_row_does_not_alarm_and_does_not_change_other_scores() -> None:
    complete_stream, stream_with_rejection = a_stream(), a_stream(rejected_row=290)

    for fit_and_score in (lambda stream: ewma_of_z(stream, rate=0.01), forest_in_sample):
        results = fit_and_score(stream_with_rejection)
        assert len(results.is_anomaly) == 100
        assert not results.is_anomaly[90]
        assert results.anomaly_score[90] == 0.0
        # The rejected row is row 90 of these results. Row 91 is of the other sensor.
        assert results.anomaly_score[91] == fit_and_score(complete_stream).anomaly_score[91]


def test_an_alarm_starts_if_the_sensors_previous_row_has_no_alarm() -> None:
    alarmed = np.asarray([1, 1, 1, 0, 0, 1, 1, 1], dtype=np.bool_)
    sensor = np.asarray([0, 1, 0, 1, 0, 1, 0, 0])

    assert alarm_starts(alarmed, sensor).astype(int).tolist() == [1, 1, 0, 0, 0, 1, 1, 0]
