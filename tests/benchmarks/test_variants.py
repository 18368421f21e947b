"""Tests of the variants of the default detector, each with one part removed."""

import numpy as np
import pytest

from benchmarks.quality.ablated_detectors import (
    FULL_DETECTOR,
    VARIANTS,
    Variant,
    score_with_variants,
)
from benchmarks.quality.backtest_runs import RecordStream, backtest
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from tests.benchmarks.test_baselines import a_stream

SETTINGS = TrainerSettings.model_validate({"trees": 20})
VARIANTS_BY_NAME = {variant.name: variant for variant in VARIANTS}


def a_two_sensor_stream() -> RecordStream:
    """Return a stream of two sensors, whose rows alternate."""
    stream = a_stream()
    return RecordStream(stream.name, stream.schema, stream.records, stream.train_rows, sensors=2)


def test_the_full_detector_gives_the_scores_of_the_backtest() -> None:
    stream = a_two_sensor_stream()

    (full_results,) = score_with_variants(stream, [FULL_DETECTOR], SETTINGS)
    backtest_results = backtest(stream, SETTINGS)

    assert full_results.anomaly_score.tobytes() == backtest_results.anomaly_score.tobytes()
    assert full_results.is_anomaly.tolist() == backtest_results.is_anomaly.tolist()
    assert full_results.is_episode_start.tolist() == backtest_results.is_episode_start.tolist()


def test_every_variant_changes_scores_and_finds_a_large_fault() -> None:
    full_results, *results_of_variants = score_with_variants(
        a_two_sensor_stream(), VARIANTS, SETTINGS
    )

    for variant, results in zip(VARIANTS[1:], results_of_variants, strict=True):
        # Three variants do not change these results: the training has no outliers, no row is
        # repeated, and the fault is short.
        is_same = results.anomaly_score.tobytes() == full_results.anomaly_score.tobytes()
        assert is_same == (
            variant.include_outlier_blocks
            or variant.name in {"without exact repeats", "without the level guard"}
        )
        assert results.is_anomaly[-18:].any(), variant.name


def test_the_memory_is_edited_before_every_row() -> None:
    stream = a_two_sensor_stream()
    stream_of_single_rows = RecordStream(
        stream.name, stream.schema, stream.records, stream.train_rows, sensors=1
    )
    editing_variants = [variant for variant in VARIANTS if variant.edit_memory]

    all_sensors_at_once, one_row_at_once = (
        score_with_variants(stream, editing_variants, SETTINGS),
        score_with_variants(stream_of_single_rows, editing_variants, SETTINGS),
    )

    for results_at_once, results_by_row in zip(all_sensors_at_once, one_row_at_once, strict=True):
        assert results_at_once.anomaly_score.tobytes() == results_by_row.anomaly_score.tobytes()


@pytest.mark.parametrize("name", ["without exact repeats", "forest alone"])
def test_a_stuck_signal_is_missed_without_the_part_that_finds_it(name: str) -> None:
    stream = a_two_sensor_stream()
    records = [dict(record) for record in stream.records if isinstance(record, dict)]
    for row in range(240, 280, 2):
        records[row]["x1"] = 0.01  # a usual value of the sensor
    stuck_stream = RecordStream(stream.name, stream.schema, records, stream.train_rows, sensors=2)

    full_results, variant_results = score_with_variants(
        stuck_stream, [FULL_DETECTOR, VARIANTS_BY_NAME[name]], SETTINGS
    )

    rows = np.arange(44, 80, 2)
    assert full_results.is_anomaly[rows].mean() > 0.8
    assert variant_results.is_anomaly[rows].mean() < 0.5


def test_a_variant_without_changes_is_the_full_detector() -> None:
    full_results, unchanged_results = score_with_variants(
        a_two_sensor_stream(), [FULL_DETECTOR, Variant("same")], SETTINGS
    )

    assert full_results.anomaly_score.tobytes() == unchanged_results.anomaly_score.tobytes()
