"""Recall: the rules for row order, gaps, missing values and new sensors."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings, build_readings
from sensorwatch.common.rows.record_declarations import OutOfOrderPolicy, RowOrder
from sensorwatch.common.rows.rejection import Reason
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory_bytes import memory_to_bytes
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.sensor_level import LINEAR_SCALES, compress_outliers
from sensorwatch.common.scoring.status import STATUSES, Status
from tests.detection.detection_streams import score_in_batches
from tests.reading_builders import MINUTE_MICROSECONDS, START_TIME, some_readings
from tests.scoring.detectors import DETECTORS, a_forecast_detector

OUTLIER_VALUE = 25.0
"""A value far above every value of `normal_values`."""


def readings_at_minutes(
    minutes: list[float], values: NDArray[np.float64], sensor: str = "s0"
) -> Readings:
    return build_readings(
        index=range(len(minutes)),
        event_time=[START_TIME + round(minute * MINUTE_MICROSECONDS) for minute in minutes],
        sensor_ids=[sensor] * len(minutes),
        values=values.tolist(),
        signals=3,
    )


def normal_values(rows: int, seed: int = 3) -> NDArray[np.float64]:
    return np.clip(np.random.default_rng(seed).normal(size=(rows, 3)), -1.5, 1.5)


def statuses(outcome: Outcome) -> list[Status]:
    return [STATUSES[number] for number in outcome.detections.status]


def gap_limit_minutes(detector: Detector) -> float:
    """Return the longest interval of the sensor s0 that is not a gap."""
    levels, level = detector.levels, detector.levels.level_by_sensor["s0"]
    return float(levels.gap_factor[level] * levels.cadence[level] / MINUTE_MICROSECONDS)


def test_a_known_sensor_warms_up_until_it_has_lagged_rows() -> None:
    detector = a_forecast_detector()

    (outcome,) = score_in_batches(
        readings_at_minutes([0, 2, 4, 6], normal_values(4)), detector, detector.empty_memory()
    )

    assert statuses(outcome) == [Status.WARMING_UP] * 2 + [Status.SCORED] * 2


def test_an_unknown_sensor_has_its_own_level_after_the_warm_up() -> None:
    detector = a_forecast_detector()
    # These values are normal for the new sensor, but rare for the known sensors.
    values_of_new_sensor = normal_values(60) * 0.5 + 3.0

    (outcome,) = score_in_batches(
        readings_at_minutes(list(range(0, 120, 2)), values_of_new_sensor, "new"),
        detector,
        detector.empty_memory(),
    )

    assert statuses(outcome) == [Status.WARMING_UP] * 30 + [Status.SCORED] * 30
    assert not outcome.detections.is_anomaly[30:].any()
    location = outcome.detections.evidence.location[-1]
    assert np.all(np.abs(location - 3.0) < 0.3)


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_gross_outlier_is_anomalous_while_a_sensor_warms_up(kind: str) -> None:
    detector = DETECTORS[kind]()
    values = normal_values(10)
    values[5] = OUTLIER_VALUE

    (outcome,) = score_in_batches(
        readings_at_minutes(list(range(10)), values, "new"), detector, detector.empty_memory()
    )

    assert outcome.detections.is_anomaly.tolist() == [row == 5 for row in range(10)]


@pytest.mark.parametrize(("minute", "status"), [(3, Status.LATE), (4, Status.DUPLICATE)])
def test_a_late_row_is_scored_without_changing_the_memory(minute: int, status: Status) -> None:
    detector = a_forecast_detector()
    memory, expected_memory = detector.empty_memory(), detector.empty_memory()
    values = normal_values(3)
    score_in_batches(readings_at_minutes([0, 2, 4], values), detector, memory)
    score_in_batches(readings_at_minutes([0, 2, 4], values), detector, expected_memory)

    (outcome,) = score_in_batches(
        readings_at_minutes([minute], np.full((1, 3), OUTLIER_VALUE)), detector, memory
    )

    assert statuses(outcome) == [status]
    assert outcome.detections.is_anomaly.all()
    assert (outcome.detections.episode[0], outcome.detections.episode_rows[0]) == (0, 1)
    assert outcome.closed == []
    memory.position = expected_memory.position
    assert memory_to_bytes(memory) == memory_to_bytes(expected_memory)


def test_rows_out_of_order_are_dead_letters_if_the_schema_rejects_them() -> None:
    lenient_detector = a_forecast_detector()
    row_order = RowOrder(late=OutOfOrderPolicy.REJECT, duplicate=OutOfOrderPolicy.REJECT)
    detector = replace(
        lenient_detector, schema=lenient_detector.schema.model_copy(update={"order": row_order})
    )

    (outcome,) = score_in_batches(
        readings_at_minutes([0, 2, 1, 2, 4], normal_values(5)), detector, detector.empty_memory()
    )

    assert [(rejection.index, rejection.reason) for rejection in outcome.rejections] == [
        (2, Reason.LATE),
        (3, Reason.DUPLICATE),
    ]
    assert outcome.readings.index.tolist() == [0, 1, 4]
    assert outcome.records == 5


def test_a_gap_resets_the_lags_and_ends_an_open_episode() -> None:
    detector = a_forecast_detector()
    gap_minutes = gap_limit_minutes(detector)
    values = normal_values(6)
    values[3] = OUTLIER_VALUE
    minutes = [0, 2, 4, 6, 6 + gap_minutes + 1, 8 + gap_minutes + 1]

    (outcome,) = score_in_batches(
        readings_at_minutes(minutes, values), detector, detector.empty_memory()
    )

    assert statuses(outcome)[3:] == [Status.SCORED, Status.GAP, Status.WARMING_UP]
    assert not outcome.detections.is_anomaly[4:].any()
    (closed_episode,) = outcome.closed
    assert (closed_episode.index, closed_episode.rows, closed_episode.last_time) == (
        4,
        1,
        START_TIME + 6 * MINUTE_MICROSECONDS,
    )


def test_a_time_step_equal_to_the_gap_limit_is_not_a_gap() -> None:
    detector = a_forecast_detector()
    gap_minutes = gap_limit_minutes(detector)

    (outcome,) = score_in_batches(
        readings_at_minutes([0, gap_minutes, 2 * gap_minutes], normal_values(3)),
        detector,
        detector.empty_memory(),
    )

    assert Status.GAP not in statuses(outcome)


def test_the_gap_limit_of_the_schema_overrides_the_cadence() -> None:
    detector = a_forecast_detector()
    detector = replace(detector, levels=replace(detector.levels, max_gap=3 * MINUTE_MICROSECONDS))
    minutes = [0, 3, 6, 6 + 3.1]

    (outcome,) = score_in_batches(
        readings_at_minutes(minutes, normal_values(4)), detector, detector.empty_memory()
    )

    assert statuses(outcome) == [*[Status.WARMING_UP] * 2, Status.SCORED, Status.GAP]


def test_a_missing_value_is_taken_from_the_previous_row_and_marked() -> None:
    detector = a_forecast_detector()
    values = normal_values(4)
    values[0, 1] = values[2, 0] = np.nan

    (outcome,) = score_in_batches(
        readings_at_minutes([0, 2, 4, 6], values), detector, detector.empty_memory()
    )

    assert outcome.readings.values[2, 0] == values[1, 0]
    assert outcome.readings.values[0, 1] == detector.levels.location[1, 1]
    assert np.argwhere(outcome.detections.evidence.imputed).tolist() == [[0, 1], [2, 0]]


def test_an_imputed_value_is_not_counted_as_a_repeat() -> None:
    detector = a_forecast_detector()
    values = normal_values(12)
    values[2:, 0] = np.nan

    (outcome,) = score_in_batches(
        readings_at_minutes(list(range(0, 24, 2)), values), detector, detector.empty_memory()
    )

    assert not outcome.detections.evidence.repeats.any()


def test_a_stuck_signal_is_anomalous_even_if_its_value_is_normal() -> None:
    detector = a_forecast_detector()
    values = normal_values(40)
    values[20:, 2] = values[20, 2]

    (outcome,) = score_in_batches(
        readings_at_minutes(list(range(0, 80, 2)), values), detector, detector.empty_memory()
    )

    assert not outcome.detections.is_anomaly[:20].any()
    assert outcome.detections.is_anomaly[25:].all()


def test_a_location_changes_slowly_even_during_a_fault() -> None:
    detector = a_forecast_detector()
    memory = detector.empty_memory()
    values = normal_values(300)
    values[200:, 0] += 1_000.0

    (outcome,) = score_in_batches(readings_at_minutes(list(range(300)), values), detector, memory)

    location = outcome.detections.evidence.location[:, 0]
    scale = outcome.detections.evidence.scale[0, 0]
    assert abs(location[200] - location[0]) < 0.2 * scale
    # Each of the last 100 rows can move the location by at most 0.003 times the scale.
    assert abs(location[-1] - location[200]) < 0.31 * scale


def test_compression_is_linear_near_zero_and_logarithmic_above() -> None:
    small_values = [0.0, 1.5, -LINEAR_SCALES, LINEAR_SCALES]
    assert [compress_outliers(value) for value in small_values] == small_values
    assert compress_outliers(1e6) == pytest.approx(
        LINEAR_SCALES + np.log(1e6 - LINEAR_SCALES + 1.0)
    )
    assert compress_outliers(-1e6) == -compress_outliers(1e6)
    compressed_values = [compress_outliers(value) for value in np.linspace(-50, 50, 1_001)]
    assert np.all(np.diff(compressed_values) > 0)


def test_rows_of_one_sensor_do_not_change_the_scores_of_another() -> None:
    detector = a_forecast_detector()
    memory_of_two_sensors, memory_of_s0 = detector.empty_memory(), detector.empty_memory()
    rows = some_readings(60)
    readings = replace(
        rows, values=np.where((rows.sensor == 1)[:, None], OUTLIER_VALUE, rows.values)
    )

    (outcome_of_two_sensors,) = score_in_batches(readings, detector, memory_of_two_sensors)
    rows_of_s0 = readings.take(readings.sensor == 0)
    (outcome_of_s0,) = score_in_batches(rows_of_s0, detector, memory_of_s0)

    is_s0 = outcome_of_two_sensors.readings.sensor == 0
    assert (
        outcome_of_two_sensors.detections.raw_score[is_s0].tobytes()
        == outcome_of_s0.detections.raw_score.tobytes()
    )
