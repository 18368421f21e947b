"""A stream goes through the public backtest path, and comes back row by row."""

import numpy as np

from benchmarks.quality.backtest_runs import JudgedRows, RecordStream, backtest
from benchmarks.quality.compared_detectors import ComparedDetector
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from tests.benchmarks.test_baselines import a_stream

HOW = TrainerSettings.model_validate({"trees": 20, "features": "plain"})


def flagging_every(rows: int) -> ComparedDetector:
    """Alarm at the first judged row and at each that many rows later."""

    def judge(stream: RecordStream) -> JudgedRows:
        alarmed = np.arange(stream.judged_rows) % rows == 0
        return JudgedRows(alarmed.astype(np.float64), alarmed, alarmed)

    return ComparedDetector("regular", judge)


def flagging_nothing() -> ComparedDetector:
    """Never alarm."""

    def judge(stream: RecordStream) -> JudgedRows:
        never = np.zeros(stream.judged_rows, dtype=np.bool_)
        return JudgedRows(never.astype(np.float64), never, never)

    return ComparedDetector("quiet", judge)


def test_every_judged_row_has_its_place() -> None:
    judged = backtest(a_stream(bad=290), HOW)

    assert (
        len(judged.anomaly_score) == len(judged.is_anomaly) == len(judged.is_episode_start) == 100
    )
    assert judged.anomaly_score[90] == 0.0
    assert not judged.is_anomaly[90]
    assert judged.is_anomaly[-8:].all()
    assert judged.is_episode_start.sum() >= 1
    assert (judged.is_anomaly | ~judged.is_episode_start).all()


def test_scores_are_causal() -> None:
    complete = a_stream()
    shorter = RecordStream("short", complete.schema, complete.records[:250], complete.train_rows)

    ahead = backtest(complete, HOW).anomaly_score[:50]

    assert ahead.tobytes() == backtest(shorter, HOW).anomaly_score.tobytes()


def test_refitting_changes_only_what_comes_after_the_first_refit() -> None:
    once = backtest(a_stream(), HOW)
    often = backtest(a_stream(), HOW, refit_every=40)

    assert len(often.anomaly_score) == 100
    assert often.anomaly_score[:40].tobytes() == once.anomaly_score[:40].tobytes()
    assert (often.anomaly_score[40:] != once.anomaly_score[40:]).any()
