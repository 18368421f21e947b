"""Tests of the backtest of a stream: causal scores, one for each judged row."""

import numpy as np

from benchmarks.quality.backtest_runs import JudgedRows, RecordStream, backtest
from benchmarks.quality.compared_detectors import ComparedDetector
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from tests.benchmarks.test_baselines import a_stream

SETTINGS = TrainerSettings.model_validate({"trees": 20, "features": "plain"})


def flagging_every(rows: int) -> ComparedDetector:
    """Return a detector that alarms at every `rows`-th judged row, starting with the first."""

    def fit_and_score(stream: RecordStream) -> JudgedRows:
        is_anomaly = np.arange(stream.judged_rows) % rows == 0
        return JudgedRows(is_anomaly.astype(np.float64), is_anomaly, is_anomaly)

    return ComparedDetector("regular", fit_and_score)


def flagging_nothing() -> ComparedDetector:
    """Return a detector that never alarms."""

    def fit_and_score(stream: RecordStream) -> JudgedRows:
        no_alarms = np.zeros(stream.judged_rows, dtype=np.bool_)
        return JudgedRows(no_alarms.astype(np.float64), no_alarms, no_alarms)

    return ComparedDetector("quiet", fit_and_score)


def test_every_judged_row_has_a_score() -> None:
    results = backtest(a_stream(rejected_row=290), SETTINGS)

    assert (
        len(results.anomaly_score)
        == len(results.is_anomaly)
        == len(results.is_episode_start)
        == 100
    )
    assert results.anomaly_score[90] == 0.0
    assert not results.is_anomaly[90]
    assert results.is_anomaly[-8:].all()
    assert results.is_episode_start.sum() >= 1
    assert (results.is_anomaly | ~results.is_episode_start).all()


def test_scores_are_causal() -> None:
    complete_stream = a_stream()
    shorter_stream = RecordStream(
        "short", complete_stream.schema, complete_stream.records[:250], complete_stream.train_rows
    )

    complete_scores = backtest(complete_stream, SETTINGS).anomaly_score[:50]

    assert complete_scores.tobytes() == backtest(shorter_stream, SETTINGS).anomaly_score.tobytes()


def test_refitting_changes_only_scores_after_the_first_refit() -> None:
    results_of_one_fit = backtest(a_stream(), SETTINGS)
    refitted_results = backtest(a_stream(), SETTINGS, refit_every=40)

    assert len(refitted_results.anomaly_score) == 100
    assert (
        refitted_results.anomaly_score[:40].tobytes()
        == results_of_one_fit.anomaly_score[:40].tobytes()
    )
    assert (refitted_results.anomaly_score[40:] != results_of_one_fit.anomaly_score[40:]).any()
