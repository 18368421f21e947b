"""Training of a candidate: its split, calibration, reproducibility and errors."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from sensorwatch.common.errors import DataError
from sensorwatch.common.model.calibration import calibrate, to_anomaly_scores
from sensorwatch.common.model.forest import score
from sensorwatch.common.registry.candidate import MAX_GOLDEN_ROWS
from sensorwatch.common.rows.record_declarations import RowOrder
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.features import compute_features
from sensorwatch.trainer.dataset import sort_by_time
from sensorwatch.trainer.level_fitting import schema_max_gap
from sensorwatch.trainer.training import few_rows_warning, rows_needed, split_by_time, train
from sensorwatch.trainer.unregistered_model import fit_with_memory
from tests.reading_builders import a_schema, some_readings
from tests.trainer.training_builders import (
    PLAIN_SETTINGS,
    TRAINER_SETTINGS,
    a_dataset,
    a_trained_candidate,
    simulated_readings,
)

DIGEST_SCRIPT = """
import hashlib
from tests.trainer.training_builders import a_trained_candidate
arrays = a_trained_candidate().detector("v").arrays()
digest = hashlib.sha256()
for name in sorted(arrays):
    digest.update(name.encode() + arrays[name].tobytes())
print(digest.hexdigest())
"""


def test_the_rows_to_fit_are_older_than_the_calibration_rows() -> None:
    shuffled_readings = simulated_readings().take(np.random.default_rng(0).permutation(4_000))

    split = split_by_time(replace(shuffled_readings, index=np.arange(4_000)), 0.3)

    assert split.fit.event_time.max() < split.calibration.event_time.min()
    assert len(split.fit) == 2_800


def test_no_instant_is_on_both_sides_of_the_split() -> None:
    readings = replace(some_readings(100), event_time=np.arange(100) // 7 * 1_000_000)

    split = split_by_time(readings, 0.3)

    assert split.fit.event_time.max() < split.calibration.event_time.min()
    assert len(split.fit) + len(split.calibration) == 100


def test_rows_of_one_instant_are_split_by_row_number() -> None:
    split = split_by_time(replace(some_readings(100), event_time=np.zeros(100, np.int64)), 0.3)

    assert (len(split.fit), len(split.calibration)) == (70, 30)


@pytest.mark.parametrize(("seconds", "microseconds"), [(1e-9, 1), (0.5, 500_000), (1e12, 10**18)])
def test_the_gap_limit_is_taken_from_the_schema(seconds: float, microseconds: int) -> None:
    """A tiny limit is rounded up, because 0 means no limit. A long limit fits into 64 bits."""
    schema = a_schema().model_copy(update={"order": RowOrder(max_gap_seconds=seconds)})

    assert schema_max_gap(schema) == microseconds


def test_the_threshold_comes_from_rows_the_forest_was_not_fitted_on() -> None:
    """The newer rows have more noise. Most of them would exceed a threshold from the older rows."""
    readings = some_readings(2_000)
    values = readings.values.copy()
    values[1_400:] *= 3.0
    noisy_readings = replace(readings, values=values)
    dataset = a_dataset(noisy_readings)

    candidate = train(noisy_readings, a_schema(), dataset.source, PLAIN_SETTINGS)

    split = split_by_time(noisy_readings, TRAINER_SETTINGS.calibration_share)
    calibration_scores = score(
        candidate.forest, compute_features(split.calibration, candidate.plan)
    )
    fit_scores = score(candidate.forest, compute_features(split.fit, candidate.plan))
    calibration_from_fit_scores = calibrate(fit_scores, TRAINER_SETTINGS.target_alert_rate)
    assert (
        to_anomaly_scores(calibration_scores, calibration_from_fit_scores).above.mean()
        > 10 * TRAINER_SETTINGS.target_alert_rate
    )
    assert (
        to_anomaly_scores(calibration_scores, candidate.calibration).above.mean()
        <= TRAINER_SETTINGS.target_alert_rate
    )
    np.testing.assert_array_equal(candidate.calibration.scores, np.sort(calibration_scores))


@pytest.mark.parametrize(
    "trainer_settings", [TRAINER_SETTINGS, PLAIN_SETTINGS], ids=["forecast", "plain"]
)
@pytest.mark.parametrize("target_rate", [0.01, 0.05])
def test_clean_later_rows_alarm_at_about_the_target_rate(
    target_rate: float, trainer_settings: TrainerSettings
) -> None:
    """After 20,000 training rows, the alert rate is within a factor of two of the target."""
    readings = simulated_readings(30_000, interval=1.0)
    training_rows = readings.take(slice(0, 20_000))
    trainer_settings = trainer_settings.model_copy(update={"target_alert_rate": target_rate})

    detector, memory = fit_with_memory(training_rows, a_schema(), trainer_settings)

    detections = detector.detect(readings.take(slice(20_000, None)), memory).detections
    assert target_rate / 2 <= detections.is_anomaly.mean() <= target_rate * 2


@pytest.mark.slow
def test_the_same_data_and_seed_give_the_same_arrays_in_every_process() -> None:
    command = [sys.executable, "-c", DIGEST_SCRIPT]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    digests = [process.communicate(timeout=120)[0].strip() for process in processes]

    assert len(digests[0]) == 64
    assert digests[0] == digests[1]


def test_the_detector_has_the_refractory_rows_of_the_settings() -> None:
    candidate = a_trained_candidate(TRAINER_SETTINGS.model_copy(update={"refractory_rows": 60}))

    decision = candidate.detector("v").decision
    assert decision is not None
    assert decision.refractory_rows == 60


def test_another_seed_gives_another_forest() -> None:
    other_candidate = a_trained_candidate(TRAINER_SETTINGS.model_copy(update={"seed": 1}))

    assert not np.array_equal(
        other_candidate.forest.threshold, a_trained_candidate().forest.threshold
    )


def test_the_order_of_the_rows_in_the_file_does_not_matter() -> None:
    readings = simulated_readings()
    shuffled_order = np.random.default_rng(3).permutation(len(readings))
    reversed_ids = tuple(reversed(readings.sensor_ids))
    reversed_sensor_numbers = len(reversed_ids) - 1 - readings.sensor
    shuffled_readings = replace(
        readings.take(shuffled_order),
        index=np.arange(len(readings)),
        sensor=reversed_sensor_numbers[shuffled_order],
        sensor_ids=reversed_ids,
    )

    candidate = train(
        shuffled_readings, a_schema(), a_dataset(shuffled_readings).source, TRAINER_SETTINGS
    )

    expected_arrays = a_trained_candidate().detector("v").arrays()
    for name, array in candidate.detector("v").arrays().items():
        np.testing.assert_array_equal(array, expected_arrays[name], err_msg=name)


def test_too_few_rows_are_an_error_with_the_minimum_number() -> None:
    readings = some_readings(12)

    with pytest.raises(DataError, match=r"12 valid rows .* at least 34 are needed"):
        train(readings, a_schema(), a_dataset(readings).source, TRAINER_SETTINGS)


@pytest.mark.parametrize("calibration_share", [0.01, 0.3, 0.5, 0.9])
def test_the_minimum_number_of_rows_is_enough(calibration_share: float) -> None:
    trainer_settings = TRAINER_SETTINGS.model_copy(update={"calibration_share": calibration_share})
    readings = some_readings(rows_needed(calibration_share))

    candidate = train(readings, a_schema(), a_dataset(readings).source, trainer_settings)

    assert candidate.split["fit_rows"] >= 20
    assert candidate.split["calibration_rows"] >= 10


@pytest.mark.parametrize(
    "trainer_settings", [TRAINER_SETTINGS, PLAIN_SETTINGS], ids=["forecast", "plain"]
)
def test_golden_rows_are_the_newest_consecutive_rows(trainer_settings: TrainerSettings) -> None:
    newest_rows = sort_by_time(simulated_readings()).take(slice(-MAX_GOLDEN_ROWS, None))
    golden_rows = a_trained_candidate(trainer_settings).golden

    np.testing.assert_array_equal(golden_rows.event_time, newest_rows.event_time)
    np.testing.assert_array_equal(golden_rows.values, newest_rows.values)


def test_too_few_rows_for_the_target_rate_give_a_note() -> None:
    assert few_rows_warning(200, 0.005, extrapolates=False) is None
    assert "wanted 200 rows" in (few_rows_warning(199, 0.005, extrapolates=False) or "")


def test_the_note_contains_the_share_from_which_scores_are_extrapolated() -> None:
    """The tail is fitted to the highest 40 of 400 scores, which include a target rate of 0.5 %."""
    note = few_rows_warning(400, 0.005, extrapolates=True) or ""

    assert "400 calibration rows are too few for a target alert rate of 0.005" in note
    assert "scores rarer than 10.0% of rows are extrapolated" in note
    assert "wanted 8000 rows" in note
    assert few_rows_warning(8_000, 0.005, extrapolates=True) is None


def test_a_forecast_detector_uses_all_rows_for_fit_and_calibration() -> None:
    assert (
        a_trained_candidate().split["fit_rows"]
        == a_trained_candidate().split["calibration_rows"]
        == 4_000
    )
    assert a_trained_candidate().split["blocks"] == 10
    assert a_trained_candidate(PLAIN_SETTINGS).split["fit_rows"] < 2_801
    assert a_trained_candidate(PLAIN_SETTINGS).decision is None


def test_the_same_rows_and_seed_give_the_same_arrays() -> None:
    readings = some_readings(600)

    first_candidate, second_candidate = (
        train(readings, a_schema(), a_dataset(readings).source, TRAINER_SETTINGS) for _ in range(2)
    )

    expected_arrays = first_candidate.detector("v").arrays()
    for name, array in second_candidate.detector("v").arrays().items():
        assert array.tobytes() == expected_arrays[name].tobytes(), name
