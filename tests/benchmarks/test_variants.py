"""Tests of the default detector with one part removed."""

import numpy as np
import pytest

from benchmarks.quality.ablated_detectors import FULL_DETECTOR, VARIANTS, Variant, judge
from benchmarks.quality.backtest_runs import RecordStream, backtest
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from tests.benchmarks.test_baselines import a_stream

SETTINGS = TrainerSettings.model_validate({"trees": 20})
VARIANTS_BY_NAME = {variant.name: variant for variant in VARIANTS}


def a_two_sensor_stream() -> RecordStream:
    """Return a stream of two sensors that take turns."""
    stream = a_stream()
    return RecordStream(stream.name, stream.schema, stream.records, stream.train_rows, sensors=2)


def test_the_full_detector_scores_as_the_backtest_does() -> None:
    stream = a_two_sensor_stream()

    (full,) = judge(stream, [FULL_DETECTOR], SETTINGS)
    expected = backtest(stream, SETTINGS)

    assert full.anomaly_score.tobytes() == expected.anomaly_score.tobytes()
    assert full.is_anomaly.tolist() == expected.is_anomaly.tolist()
    assert full.is_episode_start.tolist() == expected.is_episode_start.tolist()


def test_every_variant_changes_scores_and_finds_a_large_fault() -> None:
    full, *judged_variants = judge(a_two_sensor_stream(), VARIANTS, SETTINGS)

    for variant, judged in zip(VARIANTS[1:], judged_variants, strict=True):
        # This stream's training rows have no outliers, and none of its rows repeat.
        is_same = judged.anomaly_score.tobytes() == full.anomaly_score.tobytes()
        assert is_same == (
            variant.include_outlier_blocks or variant.name == "without exact repeats"
        )
        assert judged.is_anomaly[-18:].any(), variant.name


def test_the_memory_is_edited_before_every_row() -> None:
    stream = a_two_sensor_stream()
    stream_of_single_rows = RecordStream(
        stream.name, stream.schema, stream.records, stream.train_rows, sensors=1
    )
    editing_variants = [variant for variant in VARIANTS if variant.edit_memory]

    all_sensors_at_once, one_row_at_once = (
        judge(stream, editing_variants, SETTINGS),
        judge(stream_of_single_rows, editing_variants, SETTINGS),
    )

    for first, second in zip(all_sensors_at_once, one_row_at_once, strict=True):
        assert first.anomaly_score.tobytes() == second.anomaly_score.tobytes()


@pytest.mark.parametrize("name", ["without exact repeats", "forest alone"])
def test_a_stuck_signal_is_missed_without_the_part_that_finds_it(name: str) -> None:
    stream = a_two_sensor_stream()
    records = [dict(record) for record in stream.records if isinstance(record, dict)]
    for row in range(240, 280, 2):
        records[row]["x1"] = 0.01  # the usual value of that sensor
    stuck_stream = RecordStream(stream.name, stream.schema, records, stream.train_rows, sensors=2)

    full, reduced = judge(stuck_stream, [FULL_DETECTOR, VARIANTS_BY_NAME[name]], SETTINGS)

    rows = np.arange(44, 80, 2)
    assert full.is_anomaly[rows].mean() > 0.8
    assert reduced.is_anomaly[rows].mean() < 0.5


def test_a_variant_without_changes_is_the_full_detector() -> None:
    full, is_same = judge(a_two_sensor_stream(), [FULL_DETECTOR, Variant("same")], SETTINGS)

    assert full.anomaly_score.tobytes() == is_same.anomaly_score.tobytes()
