"""The trivial rules do what their names say, causally."""

import numpy as np

from benchmarks.quality.backtest_runs import Record, RecordStream
from benchmarks.quality.baselines import alarm_starts, ewma_of_z, flag_everything, forest_in_sample
from tests.reading_builders import a_schema


def a_stream(rows: int = 300, *, train_rows: int = 200, bad: int | None = None) -> RecordStream:
    """Two sensors of different levels taking turns; the last 20 rows of both are far off."""
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
    if bad is not None:
        records[bad] = {"timestamp": "never"}
    return RecordStream("two", a_schema(), records, train_rows)


def test_flagging_everything_flags_every_judged_row() -> None:
    assert flag_everything(a_stream()).is_anomaly.tolist() == [True] * 100


def test_the_ewma_looks_at_each_sensor_by_its_own_level() -> None:
    judged = ewma_of_z(a_stream(), rate=0.01)

    assert judged.is_anomaly[-18:].all()
    assert judged.is_anomaly[:80].mean() < 0.1
    assert (judged.is_anomaly == (judged.anomaly_score > 1)).all()


def test_the_ewma_does_not_look_ahead() -> None:
    complete, shorter = a_stream(300), a_stream(300)
    shorter = RecordStream("short", shorter.schema, shorter.records[:250], 200)

    ahead = ewma_of_z(complete, rate=0.01).anomaly_score[:50]

    assert ahead.tolist() == ewma_of_z(shorter, rate=0.01).anomaly_score.tolist()


def test_a_rejected_row_is_no_alarm_and_moves_no_other() -> None:
    complete, broken = a_stream(), a_stream(bad=290)

    for judge in (lambda stream: ewma_of_z(stream, rate=0.01), forest_in_sample):
        judged = judge(broken)
        assert len(judged.is_anomaly) == 100
        assert not judged.is_anomaly[90]
        assert judged.anomaly_score[90] == 0.0
        assert judged.anomaly_score[91] == judge(complete).anomaly_score[91]  # the other sensor's


def test_an_episode_begins_where_its_own_sensor_was_quiet() -> None:
    alarmed = np.asarray([1, 1, 1, 0, 0, 1, 1, 1], dtype=np.bool_)
    sensor = np.asarray([0, 1, 0, 1, 0, 1, 0, 0])

    assert alarm_starts(alarmed, sensor).astype(int).tolist() == [1, 1, 0, 0, 0, 1, 1, 0]
