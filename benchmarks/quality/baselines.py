"""Simple rules that a useful detector must beat."""

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from benchmarks.quality.backtest_runs import JudgedRows, RecordStream
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.common.scoring.features import day_of_week, hour

CLOCK_ROWS = (570, 975)
"""First and last row between which the faults of a SKAB file lie, according to its labels."""
EWMA_SPAN = 10
IN_SAMPLE_RATE = 0.01
"""Contamination with which the plain recipe gave the first figures of this project."""


def flag_everything(stream: RecordStream) -> JudgedRows:
    """Alarm at every row; every row begins an episode."""
    all_rows = np.ones(stream.judged_rows, dtype=np.bool_)
    return JudgedRows(np.full(stream.judged_rows, 2.0), all_rows, all_rows)


def flag_clock_rows(stream: RecordStream) -> JudgedRows:
    """Alarm at fixed row numbers, without reading any sensor."""
    row = np.arange(stream.train_rows, len(stream.records))
    is_anomaly = (row >= CLOCK_ROWS[0]) & (row <= CLOCK_ROWS[1])
    return JudgedRows(
        np.where(is_anomaly, 2.0, 0.0), is_anomaly, alarm_starts(is_anomaly, np.zeros_like(row))
    )


def forest_in_sample(
    stream: RecordStream, *, rate: float = IN_SAMPLE_RATE, trees: int = 100, seed: int = 0
) -> JudgedRows:
    """Alarm as the textbook recipe does, with a threshold from the forest's training rows.

    The forest is scikit-learn's, on raw signals, hour and day of week; `contamination` is `rate`.
    """
    readings, _ = collect_rows(stream.records, stream.schema)
    time_features = (hour(readings.event_time), day_of_week(readings.event_time))
    matrix = np.column_stack([readings.values, *time_features])
    is_training = readings.index < stream.train_rows
    forest = IsolationForest(n_estimators=trees, contamination=rate, random_state=seed)
    forest.fit(matrix[is_training])
    raw = -forest.score_samples(matrix)
    score, sensor = _judged_rows(stream, readings, raw)
    return JudgedRows(score, score > -forest.offset_, alarm_starts(score > -forest.offset_, sensor))


def ewma_of_z(stream: RecordStream, *, rate: float, span: int = EWMA_SPAN) -> JudgedRows:
    """Alarm if a sensor's smoothed mean of abs z exceeds its quantile in training.

    The z-score of a signal uses the sensor's mean and standard deviation in the training rows. The
    quantile at 1 - `rate` is taken over the training rows of all sensors.
    """
    readings, _ = collect_rows(stream.records, stream.schema)
    is_training = readings.index < stream.train_rows
    smoothed = np.zeros(len(readings))
    for number in range(len(readings.sensor_ids)):
        sensor_rows = np.flatnonzero(readings.sensor == number)
        smoothed[sensor_rows] = _smoothed_z(
            readings.values[sensor_rows], is_training[sensor_rows], span
        )
    threshold = float(np.quantile(smoothed[is_training], 1.0 - rate))
    smoothed /= max(threshold, float(np.finfo(np.float64).tiny))
    score, sensor = _judged_rows(stream, readings, smoothed)
    return JudgedRows(score, score > 1.0, alarm_starts(score > 1.0, sensor))


def _judged_rows(
    stream: RecordStream, readings: Readings, score: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return score and sensor of each judged row; 0 and -1 for a rejected row."""
    score_of_row, sensor = np.zeros(len(stream.records)), np.full(len(stream.records), -1)
    score_of_row[readings.index], sensor[readings.index] = score, readings.sensor
    return score_of_row[stream.train_rows :], sensor[stream.train_rows :]


def _smoothed_z(
    values: NDArray[np.float64], is_training: NDArray[np.bool_], span: int
) -> NDArray[np.float64]:
    training_values = values[is_training] if is_training.any() else values[:1]
    deviation = training_values.std(axis=0)
    z = np.abs(values - training_values.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    smoothed, level, weight = np.empty(len(values)), 1.0, 2.0 / (span + 1.0)
    for row, value in enumerate(z.mean(axis=1).tolist()):
        level += weight * (value - level)
        smoothed[row] = level
    return smoothed


def alarm_starts(is_anomaly: NDArray[np.bool_], sensor: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each row (n,) alarms and the sensor's previous row, if any, does not."""
    order = np.argsort(sensor, kind="stable")
    alarmed, sensor_of_row = is_anomaly[order], sensor[order]
    continues_alarm = alarmed[:-1] & alarmed[1:] & (sensor_of_row[:-1] == sensor_of_row[1:])
    is_start = np.empty_like(is_anomaly)
    is_start[order] = alarmed & ~np.concatenate(([False], continues_alarm))
    return is_start
