"""The aggregates of a micro-batch are those of its rows, and of its events."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import expected_and_band, explain_rows
from sensorwatch.common.scoring.processing import Outcome, process, score_readings
from sensorwatch.common.scoring.score_aggregates import merge_aggregates
from sensorwatch.common.scoring.score_aggregation import aggregate_scores
from tests.detection.detection_streams import score_in_batches
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES, a_detector, some_readings
from tests.scoring.detectors import a_forecast_detector
from tests.scoring.plain_aggregates import (
    NO_BAND,
    Band,
    ScoredRow,
    assert_same_aggregates,
    plain_aggregates,
)
from tests.scoring.test_angles import a_wind_detector, northerly, wind_readings
from tests.scoring.test_processing import a_payload


def faulty_readings() -> Readings:
    """Return rows with missing values, with a spike, and with a long shift of a level."""
    readings = some_readings(500, seed=11, sensors=3)
    readings.values[100:400:3, 0] += 9.0
    readings.values[50] = 30.0
    readings.values[200:220, 1] = np.nan
    return readings


def wind_rows() -> Readings:
    directions = northerly(300, seed=5)
    directions[200:240] = [180.0] * 40
    directions[10] = np.nan
    return wind_readings(directions, 800)


CASES: dict[str, tuple[Callable[[], Detector], Callable[[], Readings]]] = {
    "forecast": (a_forecast_detector, faulty_readings),
    "plain": (a_detector, lambda: some_readings(300, seed=3)),
    "angle": (a_wind_detector, wind_rows),
}


def scored_rows(detector: Detector, outcome: Outcome) -> list[ScoredRow]:
    """Return the scored rows of an outcome; rows in alarms have the bands of their events."""
    readings, detections = outcome.readings, outcome.detections
    rows = np.arange(len(readings))
    # Without the level guard, each band is that of the forecast.
    forecast_bands = expected_and_band(replace(detector, guard=None), outcome, rows)
    event_signals = explain_rows(detector, outcome, rows)
    names, columns = detector.schema.signal_names, detector.model_schema.signal_names

    def band(row: int, name: str) -> Band:
        if name not in columns:
            return NO_BAND
        if detections.is_anomaly[row]:
            (signal,) = (signal for signal in event_signals[row] if signal.name == name)
            return signal.expected, signal.expected_low, signal.expected_high
        expected, low, high = (end[row, columns.index(name)] for end in forecast_bands)
        return float(expected), float(low), float(high)

    held = [{signal.name for signal in signals if signal.held} for signals in event_signals]
    return [
        ScoredRow(
            sensor_id=readings.sensor_ids[readings.sensor[row]],
            time=int(readings.event_time[row]),
            offset=int(outcome.positions[readings.index[row]]),
            score=float(max(detections.anomaly_score[row], detections.episode_peak[row]))
            if detections.is_anomaly[row]
            else float(detections.anomaly_score[row]),
            severity=int(detections.severity[row]),
            values=tuple(
                np.nan if name in held[row] else float(readings.values[row, signal])
                for signal, name in enumerate(names)
            ),
            bands=tuple(band(row, name) for name in names),
        )
        for row in rows.tolist()
    ]


@pytest.mark.parametrize("case", CASES)
def test_the_aggregates_are_those_of_the_scored_rows(case: str) -> None:
    detector, readings = CASES[case][0](), CASES[case][1]()
    outcome = score_readings(readings, [], detector, detector.empty_memory())
    assert outcome.detections.is_anomaly.any()
    assert not outcome.detections.is_anomaly.all()

    aggregates = aggregate_scores(detector, outcome)

    names = tuple(detector.schema.signal_names)
    rows = scored_rows(detector, outcome)
    assert_same_aggregates(aggregates, plain_aggregates(rows, names, angles={"direction"}))


@pytest.mark.parametrize("case", CASES)
def test_the_merge_does_not_depend_on_the_micro_batches(case: str) -> None:
    detector, readings = CASES[case][0](), CASES[case][1]()
    cuts = (0, 1, 2, 60, 61, 150, 211, 290)
    (outcome,) = score_in_batches(readings, detector, detector.empty_memory())
    outcomes = score_in_batches(readings, detector, detector.empty_memory(), cuts)
    assert len(outcomes) == len(cuts) + 1

    merged = merge_aggregates([aggregate_scores(detector, part) for part in outcomes])

    assert_same_aggregates(merged, aggregate_scores(detector, outcome))


def test_rejected_records_and_their_sensors_are_not_in_the_aggregates() -> None:
    detector = a_detector()
    payloads = [
        a_payload(NORMAL_VALUES, sensor_id="a"),
        b"{",
        a_payload(ANOMALOUS_VALUES, sensor_id="b"),
        a_payload(sensor_id="c", x1="text"),
        a_payload(NORMAL_VALUES, sensor_id="a"),
    ]
    outcome = process(
        payloads, detector, detector.empty_memory(), positions=np.asarray([7, 8, 9, 10, 20])
    )

    aggregates = aggregate_scores(detector, outcome)

    assert aggregates.sensor_ids == ("a", "b")
    assert aggregates.rows.tolist() == [2, 1]
    assert aggregates.anomalous_rows.tolist() == [0, 1]
    assert aggregates.first_offset.tolist() == [7, 9]
    assert aggregates.last_offset.tolist() == [20, 9]
    assert aggregates.worst_score[1] > 1.0 > aggregates.worst_score[0]


def test_a_micro_batch_without_scored_rows_has_no_aggregates() -> None:
    detector = a_detector()

    outcome = process([b"{"], detector, detector.empty_memory())

    assert len(aggregate_scores(detector, outcome)) == 0
