"""The backtest of a stream gives causal scores, one for each judged row."""

import numpy as np

from benchmarks.quality.backtest_runs import JudgedRows, RecordStream, backtest
from benchmarks.quality.compared_detectors import ComparedDetector
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from tests.benchmarks.test_baselines import a_stream

SETTINGS = TrainerSettings.model_validate({"trees": 20, "features": "plain"})


def flagging_every(rows: int) -> ComparedDetector:
    """Return a detector that alarms at the first judged row and at every `rows`-th row after it."""

    def judge(stream: RecordStream) -> JudgedRows:
        alarmed = np.arange(stream.judged_rows) % rows == 0
        return JudgedRows(alarmed.astype(np.float64), alarmed, alarmed)

    return ComparedDetector("regular", judge)


def flagging_nothing() -> ComparedDetector:
    """Return a detector that never alarms."""

    def judge(stream: RecordStream) -> JudgedRows:
        no_alarms = np.zeros(stream.judged_rows, dtype=np.bool_)
        return JudgedRows(no_alarms.astype(np.float64), no_alarms, no_alarms)

    return ComparedDetector("quiet", judge)


def test_every_judged_row_has_a_score() -> None:
    judged = backtest(a_stream(rejected_row=290), SETTINGS)

    assert (
        len(judged.anomaly_score) == len(judged.is_anomaly) == len(judged.is_episode_start) == 100
    )
    assert judged.anomaly_score[90] == 0.0
    assert not judged.is_anomaly[90]
    assert judged.is_anomaly[-8:].all()
    assert judged.is_episode_start.sum() >= 1
    assert (judged.is_anomaly | ~judged.is_episode_start).all()


def test_scores_are_causal() -> None:
    complete_stream = a_stream()
    shorter_stream = RecordStream(
        "short", complete_stream.schema, complete_stream.records[:250], complete_stream.train_rows
    )

    complete_scores = backtest(complete_stream, SETTINGS).anomaly_score[:50]

    assert complete_scores.tobytes() == backtest(shorter_stream, SETTINGS).anomaly_score.tobytes()


def test_refitting_changes_only_scores_after_the_first_refit() -> None:
    fitted_once = backtest(a_stream(), SETTINGS)
    refitted = backtest(a_stream(), SETTINGS, refit_every=40)

    assert len(refitted.anomaly_score) == 100
    assert refitted.anomaly_score[:40].tobytes() == fitted_once.anomaly_score[:40].tobytes()
    assert (refitted.anomaly_score[40:] != fitted_once.anomaly_score[40:]).any()
