"""Simple rules that a useful detector must beat."""

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from benchmarks.quality.backtest_runs import JudgedRows, RecordStream
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.common.scoring.features import day_of_week, hour

CLOCK_ROWS = (570, 975)
"""First and last row of the range that contains the labelled faults of the SKAB files."""
EWMA_SPAN = 10
IN_SAMPLE_RATE = 0.01
"""`contamination` of the plain recipe; the first measurements of this project used it."""


def flag_everything(stream: RecordStream) -> JudgedRows:
    """Alarm at every row; every row begins an episode."""
    all_rows = np.ones(stream.judged_rows, dtype=np.bool_)
    return JudgedRows(np.full(stream.judged_rows, 2.0), all_rows, all_rows)


def flag_clock_rows(stream: RecordStream) -> JudgedRows:
    """Alarm at the rows of CLOCK_ROWS, without reading any value."""
    row = np.arange(stream.train_rows, len(stream.records))
    is_anomaly = (row >= CLOCK_ROWS[0]) & (row <= CLOCK_ROWS[1])
    return JudgedRows(
        np.where(is_anomaly, 2.0, 0.0), is_anomaly, alarm_starts(is_anomaly, np.zeros_like(row))
    )


def forest_in_sample(
    stream: RecordStream, *, rate: float = IN_SAMPLE_RATE, trees: int = 100, seed: int = 0
) -> JudgedRows:
    """Alarm with an isolation forest whose threshold is learned from the forest's training rows.

    The forest is scikit-learn's with `contamination=rate`. Its features are the raw signals, the
    hour and the day of the week.
    """
    readings, _ = collect_rows(stream.records, stream.schema)
    raw_scores, threshold = forest_scores(
        readings, stream.train_rows, rate=rate, trees=trees, seed=seed
    )
    score, sensor = _judged_rows(stream, readings, raw_scores)
    return JudgedRows(score, score > threshold, alarm_starts(score > threshold, sensor))


def forest_scores(
    readings: Readings,
    train_rows: int,
    *,
    rate: float = IN_SAMPLE_RATE,
    trees: int = 100,
    seed: int = 0,
) -> tuple[NDArray[np.float64], float]:
    """Return the scores (n,) of the forest of `forest_in_sample`, and its threshold.

    `train_rows`: the forest is fitted on the rows whose index is below this number.
    """
    time_features = (hour(readings.event_time), day_of_week(readings.event_time))
    matrix = np.column_stack([readings.values, *time_features])
    forest = IsolationForest(n_estimators=trees, contamination=rate, random_state=seed)
    forest.fit(matrix[readings.index < train_rows])
    return -forest.score_samples(matrix), -float(forest.offset_)


def ewma_of_z(stream: RecordStream, *, rate: float, span: int = EWMA_SPAN) -> JudgedRows:
    """Alarm if the mean absolute z-score of a row, smoothed per sensor, exceeds a threshold.

    The z-score of a signal uses the sensor's mean and standard deviation in the training rows. The
    threshold is the quantile at 1 - `rate` of the smoothed value, over the training rows of all
    sensors.
    """
    readings, _ = collect_rows(stream.records, stream.schema)
    is_training = readings.index < stream.train_rows
    smoothed = smoothed_z(readings, stream.train_rows, span=span)
    threshold = float(np.quantile(smoothed[is_training], 1.0 - rate))
    smoothed /= max(threshold, float(np.finfo(np.float64).tiny))
    score, sensor = _judged_rows(stream, readings, smoothed)
    return JudgedRows(score, score > 1.0, alarm_starts(score > 1.0, sensor))


def _judged_rows(
    stream: RecordStream, readings: Readings, score: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return score and sensor number of each judged row; 0 and -1 for a rejected row."""
    score_of_row, sensor = np.zeros(len(stream.records)), np.full(len(stream.records), -1)
    score_of_row[readings.index], sensor[readings.index] = score, readings.sensor
    return score_of_row[stream.train_rows :], sensor[stream.train_rows :]


def smoothed_z(
    readings: Readings, train_rows: int, *, span: int = EWMA_SPAN
) -> NDArray[np.float64]:
    """Return the exponentially smoothed mean (n,) of the signals' absolute z-scores.

    The smoothing starts at 1 for each sensor.
    """
    mean_z = absolute_z(readings, train_rows).mean(axis=1)
    smoothed, weight = np.empty(len(readings)), 2.0 / (span + 1.0)
    for sensor_number in range(len(readings.sensor_ids)):
        sensor_rows, smoothed_value = np.flatnonzero(readings.sensor == sensor_number), 1.0
        for row, value in zip(sensor_rows.tolist(), mean_z[sensor_rows].tolist(), strict=True):
            smoothed_value += weight * (value - smoothed_value)
            smoothed[row] = smoothed_value
    return smoothed


def absolute_z(readings: Readings, train_rows: int) -> NDArray[np.float64]:
    """Return each value's absolute z-score (n, signals), from the sensor's training rows.

    The mean of a sensor without training rows is its first row. A signal that never changed has the
    standard deviation 1.
    """
    z = np.empty_like(readings.values)
    is_training = readings.index < train_rows
    for sensor_number in range(len(readings.sensor_ids)):
        sensor_rows = np.flatnonzero(readings.sensor == sensor_number)
        values = readings.values[sensor_rows]
        training_values = values[is_training[sensor_rows]]
        if len(training_values) == 0:
            training_values = values[:1]
        deviation = training_values.std(axis=0)
        z[sensor_rows] = np.abs(values - training_values.mean(axis=0)) / np.where(
            deviation > 0, deviation, 1.0
        )
    return z


def alarm_starts(is_anomaly: NDArray[np.bool_], sensor: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return a mask (n,) of the rows that alarm while the sensor's previous row does not."""
    row_order = np.argsort(sensor, kind="stable")
    alarmed, sensor_of_row = is_anomaly[row_order], sensor[row_order]
    is_continued = alarmed[:-1] & alarmed[1:] & (sensor_of_row[:-1] == sensor_of_row[1:])
    is_start = np.empty_like(is_anomaly)
    is_start[row_order] = alarmed & ~np.concatenate(([False], is_continued))
    return is_start
