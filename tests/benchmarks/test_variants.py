"""A variant is the default detector but for what it leaves out."""

import numpy as np
import pytest

from benchmarks.quality.ablated_detectors import FULL_DETECTOR, VARIANTS, Variant, judge
from benchmarks.quality.backtest_runs import RecordStream, backtest
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from tests.benchmarks.test_baselines import a_stream

HOW = TrainerSettings.model_validate({"trees": 20})
BY_NAME = {detector_with.name: detector_with for detector_with in VARIANTS}


def a_two_sensor_stream() -> RecordStream:
    """Sensors that take turns, one row each."""
    stream = a_stream()
    return RecordStream(stream.name, stream.schema, stream.records, stream.train_rows, sensors=2)


def test_the_whole_is_what_the_backtest_makes_of_the_stream() -> None:
    stream = a_two_sensor_stream()

    (full,) = judge(stream, [FULL_DETECTOR], HOW)
    expected = backtest(stream, HOW)

    assert full.anomaly_score.tobytes() == expected.anomaly_score.tobytes()
    assert full.is_anomaly.tolist() == expected.is_anomaly.tolist()
    assert full.is_episode_start.tolist() == expected.is_episode_start.tolist()


def test_every_variant_scores_rows_otherwise_and_finds_a_gross_fault() -> None:
    full, *others = judge(a_two_sensor_stream(), VARIANTS, HOW)

    for detector_with, judged in zip(VARIANTS[1:], others, strict=True):
        # This stream's training rows have no outliers, and none of its rows repeat.
        same = judged.anomaly_score.tobytes() == full.anomaly_score.tobytes()
        assert same == (
            detector_with.include_outlier_blocks or detector_with.name == "without exact repeats"
        )
        assert judged.is_anomaly[-18:].any(), detector_with.name


def test_what_is_forgotten_between_rows_is_forgotten_before_each_row() -> None:
    stream = a_two_sensor_stream()
    by_row = RecordStream(stream.name, stream.schema, stream.records, stream.train_rows, sensors=1)
    forgetful = [detector_with for detector_with in VARIANTS if detector_with.edit_memory]

    together, one_by_one = judge(stream, forgetful, HOW), judge(by_row, forgetful, HOW)

    for one, other in zip(together, one_by_one, strict=True):
        assert one.anomaly_score.tobytes() == other.anomaly_score.tobytes()


@pytest.mark.parametrize("name", ["without exact repeats", "forest alone"])
def test_a_stuck_signal_goes_unseen_without_what_sees_it(name: str) -> None:
    stream = a_two_sensor_stream()
    records = [dict(record) for record in stream.records if isinstance(record, dict)]
    for row in range(240, 280, 2):
        records[row]["x1"] = 0.01  # where that sensor usually is
    stuck = RecordStream(stream.name, stream.schema, records, stream.train_rows, sensors=2)

    full, without = judge(stuck, [FULL_DETECTOR, BY_NAME[name]], HOW)

    rows = np.arange(44, 80, 2)
    assert full.is_anomaly[rows].mean() > 0.8
    assert without.is_anomaly[rows].mean() < 0.5


def test_a_variant_is_the_whole_unless_told_otherwise() -> None:
    full, same = judge(a_two_sensor_stream(), [FULL_DETECTOR, Variant("same")], HOW)

    assert full.anomaly_score.tobytes() == same.anomaly_score.tobytes()
