"""Training on a sample of the rows; the tests lower MAX_FIT_ROWS so that small tables exceed it."""

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import Layout
from sensorwatch.common.scoring.recall import RecalledRows, recall
from sensorwatch.trainer import cross_validation
from sensorwatch.trainer.cross_validation import out_of_fold_scores
from sensorwatch.trainer.level_fitting import fit_levels
from sensorwatch.trainer.recall_rows import recall_selected
from sensorwatch.trainer.row_subsampling import (
    ROW_RANGE_ROWS,
    WARM_UP_ROWS,
    SensorRows,
    sample_rows,
)
from sensorwatch.trainer.scorer_fitting import FitResult, fit_and_recall
from sensorwatch.trainer.training import train
from sensorwatch.trainer.unregistered_model import fit_with_memory
from tests.reading_builders import a_schema
from tests.trainer.training_builders import TRAINER_SETTINGS, a_dataset, simulated_readings

PATCHED_MAX_ROWS = 5_000
HOUR = 3_600_000_000


@pytest.fixture(autouse=True)
def patched_max_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensorwatch.trainer.row_subsampling.MAX_FIT_ROWS", PATCHED_MAX_ROWS)
    monkeypatch.setattr("sensorwatch.trainer.level_fitting.MAX_FIT_ROWS", PATCHED_MAX_ROWS)


def interleaved_rows(rows: int, sensors: int) -> SensorRows:
    return SensorRows((np.arange(rows) % sensors).astype(np.int32))


def readings_of_many_sensors(sensors: int, rows: int = 30_000, *, seed: int = 0) -> Readings:
    """Return interleaved rows of sensors with different levels and autocorrelated noise."""
    rng = np.random.default_rng(seed)
    steps = -(-rows // sensors)
    values = rng.normal(size=(steps, sensors, 3))
    for step in range(1, steps):
        values[step] = 0.6 * values[step - 1] + 0.8 * values[step]
    values += 10.0 * rng.normal(size=(1, sensors, 3))
    row_numbers = np.arange(rows, dtype=np.int64)
    return Readings(
        row_numbers,
        1_735_689_600_000_000 + 1_000_000 * (row_numbers // sensors),
        (row_numbers % sensors).astype(np.int32),
        tuple(f"s{sensor:05d}" for sensor in range(sensors)),
        values.reshape(-1, 3)[:rows],
        np.empty((rows, 0)),
    )


@pytest.mark.parametrize("sensors", [1, 7, 100, 5_000])
def test_about_max_fit_rows_are_sampled_evenly_over_time(sensors: int) -> None:
    is_sampled = sample_rows(interleaved_rows(100_000, sensors), seed=0)

    rows_by_fifth = is_sampled.reshape(5, -1).sum(axis=1)
    assert 0.9 * PATCHED_MAX_ROWS <= is_sampled.sum() <= 1.1 * PATCHED_MAX_ROWS
    assert rows_by_fifth.min() >= 0.7 * PATCHED_MAX_ROWS / 5


def test_all_sensors_have_the_same_share_of_the_sample() -> None:
    sensor_rows = interleaved_rows(100_000, 5)

    sampled_rows_by_sensor = np.bincount(sensor_rows.sensor[sample_rows(sensor_rows, seed=0)])

    assert sampled_rows_by_sensor.min() >= 0.5 * PATCHED_MAX_ROWS / 5


def test_whole_row_ranges_of_a_sensor_are_sampled() -> None:
    sensor_rows = interleaved_rows(100_000, 5)
    is_sampled = sample_rows(sensor_rows, seed=0)

    for sensor in range(5):
        row_ranges = is_sampled[sensor_rows.sensor == sensor].reshape(-1, ROW_RANGE_ROWS)
        assert (row_ranges.all(axis=1) == row_ranges.any(axis=1)).all()


def test_up_to_max_fit_rows_every_row_is_sampled() -> None:
    assert sample_rows(interleaved_rows(PATCHED_MAX_ROWS, 5), seed=0).all()
    assert not sample_rows(interleaved_rows(PATCHED_MAX_ROWS + 1_000, 5), seed=0).all()


def test_the_sample_depends_on_the_seed_but_not_on_sensor_numbers() -> None:
    sensor_rows = interleaved_rows(50_000, 5)
    is_sampled = sample_rows(sensor_rows, seed=0)

    np.testing.assert_array_equal(
        sample_rows(SensorRows(4 - sensor_rows.sensor), seed=0), is_sampled
    )
    assert not np.array_equal(sample_rows(sensor_rows, seed=1), is_sampled)


def test_a_row_range_is_warmed_up_by_the_previous_rows_of_its_sensor() -> None:
    sensor_rows = interleaved_rows(600, 3)
    rows = np.zeros(600, dtype=np.bool_)
    rows[300:330:3] = True

    warm_up_rows = np.flatnonzero(sensor_rows.warm_up_mask(rows))

    np.testing.assert_array_equal(warm_up_rows, 300 - 3 * np.arange(WARM_UP_ROWS, 0, -1))


def test_a_sampled_row_is_recalled_with_its_actual_previous_rows() -> None:
    """Sampling does not change the columns that `recall` computes for a sampled row."""
    readings = readings_of_many_sensors(7, 45_000)
    sampled = sample_rows(SensorRows(readings.sensor), seed=0)
    levels = fit_levels(readings, a_schema(), min_rows=100)
    expected = recall(readings, levels, levels.level_by_sensor, a_memory())

    actual = recall_selected(readings, sampled, levels, a_memory())

    for name in {field.name for field in fields(RecalledRows)} - {"evicted", "new_sensor_level"}:
        np.testing.assert_array_equal(
            getattr(actual, name), getattr(expected, name)[sampled], err_msg=name
        )


def test_smoothing_starts_at_the_first_sampled_row_of_each_sensor() -> None:
    readings = readings_of_many_sensors(7)
    sampled = np.ones(len(readings), dtype=np.bool_)
    sampled[:700] = False
    levels = fit_levels(readings, a_schema(), min_rows=100)

    new_sensor_level = recall_selected(readings, sampled, levels, a_memory()).new_sensor_level

    np.testing.assert_array_equal(np.flatnonzero(new_sensor_level >= 0), np.arange(7))


def a_memory() -> Memory:
    return Memory(Layout(("x1", "x2", "x3"), (), 100))


@pytest.mark.parametrize(("sensors", "period"), [(10, 0), (10, HOUR), (1_000, 0)])
def test_no_row_is_scored_by_a_model_that_was_fitted_on_that_row_or_its_neighbour(
    sensors: int, period: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are two folds. With a season or with many sensors, there is one fold per block."""
    fits: list[tuple[NDArray[np.bool_], FitResult]] = []

    def recording_fit(
        readings: Readings,
        fitting: NDArray[np.bool_],
        sampled: NDArray[np.bool_],
        schema: Schema,
        trainer_settings: TrainerSettings,
    ) -> FitResult:
        fits.append((fitting, fit_and_recall(readings, fitting, sampled, schema, trainer_settings)))
        return fits[-1][1]

    monkeypatch.setattr(cross_validation, "fit_and_recall", recording_fit)
    raw_scores = out_of_fold_scores(
        readings_of_many_sensors(sensors), a_schema(), TRAINER_SETTINGS, period=period
    )

    rows = len(fits[0][0])
    block_numbers = np.arange(rows) * 10 // rows
    for fold, (fitting, _) in enumerate(fits):
        is_scored_row = block_numbers % len(fits) == fold
        assert not (fitting & is_scored_row).any()
        assert not (fitting[1:] & is_scored_row[:-1]).any()
        assert fitting.sum() >= 0.25 * rows
    assert len(fits) == (2 if sensors == 10 and period == 0 else 10)
    assert set(raw_scores.block.tolist()) == set(range(10))
    assert raw_scores.warm_up_only.any()
    assert 0.9 * PATCHED_MAX_ROWS <= (~raw_scores.warm_up_only).sum() <= 1.1 * PATCHED_MAX_ROWS


@pytest.mark.parametrize(
    ("readings", "target"),
    [
        (simulated_readings(60_000, interval=1.0), 0.005),
        (readings_of_many_sensors(1, 60_000), 0.01),
        (readings_of_many_sensors(300, 60_000), 0.01),
    ],
    ids=["simulated", "one sensor", "many sensors"],
)
def test_clean_later_rows_alarm_at_about_the_target_rate(readings: Readings, target: float) -> None:
    """After training on 1 in 8 rows, the alert rate is within a factor of 3 of the target."""
    training_rows, later_rows = readings.take(slice(0, 40_000)), readings.take(slice(40_000, None))

    detector, memory = fit_with_memory(training_rows, a_schema(), settings_for_target(target))

    detections = detector.detect(later_rows, memory).detections
    assert target / 3 <= detections.is_anomaly.mean() <= target * 3


def settings_for_target(target: float) -> TrainerSettings:
    return TRAINER_SETTINGS.model_copy(update={"target_alert_rate": target})


def test_the_order_of_the_rows_in_the_file_does_not_matter() -> None:
    readings = readings_of_many_sensors(10, 12_000)
    shuffled_order = np.random.default_rng(3).permutation(len(readings))
    shuffled_readings = replace(
        readings.take(shuffled_order),
        index=np.arange(len(readings)),
        sensor=9 - readings.sensor[shuffled_order],
        sensor_ids=tuple(reversed(readings.sensor_ids)),
    )

    first_candidate, second_candidate = (
        train(training_readings, a_schema(), a_dataset(training_readings).source, TRAINER_SETTINGS)
        for training_readings in (readings, shuffled_readings)
    )

    expected = first_candidate.detector("v").arrays()
    for name, array in second_candidate.detector("v").arrays().items():
        assert array.tobytes() == expected[name].tobytes(), name


def test_a_manifest_contains_the_number_of_calibration_rows() -> None:
    readings = readings_of_many_sensors(10, 12_000)

    candidate = train(readings, a_schema(), a_dataset(readings).source, TRAINER_SETTINGS)

    split, scores = candidate.split, candidate.calibration.scores
    assert split["fit_rows"] == 12_000
    assert 0.9 * PATCHED_MAX_ROWS <= split["calibration_rows"] <= 1.1 * PATCHED_MAX_ROWS
    # `scores` has no score for a calibration row that is in the warm-up of its sensor.
    assert 0.9 * split["calibration_rows"] <= len(scores) <= split["calibration_rows"]


@pytest.mark.parametrize("sensors", [12_000, 3_000])
def test_sensors_with_one_or_a_few_rows_can_be_trained_on(sensors: int) -> None:
    readings = readings_of_many_sensors(sensors, 12_000)

    candidate = train(readings, a_schema(), a_dataset(readings).source, TRAINER_SETTINGS)

    assert np.isfinite(candidate.calibration.scores).all()


def test_subsampling_a_sensors_rows_hardly_changes_its_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings = readings_of_many_sensors(2, 40_000)
    levels_of_sample = fit_levels(readings, a_schema(), min_rows=100)
    monkeypatch.setattr("sensorwatch.trainer.level_fitting.MAX_FIT_ROWS", len(readings))
    levels_of_all_rows = fit_levels(readings, a_schema(), min_rows=100)

    assert not np.array_equal(levels_of_sample.location, levels_of_all_rows.location)
    location_difference = (
        levels_of_sample.location - levels_of_all_rows.location
    ) / levels_of_all_rows.scale
    assert np.abs(location_difference)[1:].max() < 0.15
    assert np.abs(levels_of_sample.scale / levels_of_all_rows.scale - 1.0)[1:].max() < 0.1


def test_cadences_are_learned_from_consecutive_rows() -> None:
    """A cadence from sampled rows would be too long, because their intervals are longer."""
    levels = fit_levels(readings_of_many_sensors(2, 40_000), a_schema(), min_rows=100)

    assert levels.cadence.tolist() == [0, 1_000_000, 1_000_000]
    assert levels.gap_factor.tolist() == [10, 10, 10]


def test_a_daily_season_does_not_hide_faults_if_there_are_few_days() -> None:
    """With only two folds, each fit would miss half of the daily peaks and raise the threshold."""
    days, steps_per_day, sensors = 7, 288, 7
    rows, training_length = days * steps_per_day * sensors, 4 * steps_per_day * sensors
    readings = readings_of_many_sensors(sensors, rows)
    time = 1_735_689_600_000_000 + 24 * HOUR // steps_per_day * (np.arange(rows) // sensors)
    values = readings.values.copy()
    values[np.isin(time // (HOUR // 4) % 96, (21, 33, 41, 60))] += 12.0  # short daily peaks
    spike_rows = np.arange(training_length + 100, rows, 101)
    values[spike_rows, 0] += 8.0
    readings = replace(readings, event_time=time, values=values)

    training_rows, later_rows = (
        readings.take(slice(0, training_length)),
        readings.take(slice(training_length, None)),
    )
    detector, memory = fit_with_memory(training_rows, a_schema(), TRAINER_SETTINGS)
    detections = detector.detect(later_rows, memory).detections

    assert detector.forecast is not None
    assert detector.forecast.season.is_present
    assert detections.is_anomaly[spike_rows - training_length].mean() > 0.9
