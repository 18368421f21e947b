"""The aggregation of a micro-batch's scored rows by sensor."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.model.angles import model_positions
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import BAND_SPREADS, expected_and_band
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.score_aggregates import ScoreAggregates
from sensorwatch.common.scoring.sensor_level import expand_outlier
from sensorwatch.common.scoring.status import STATUSES, Status

_SCORED = STATUSES.index(Status.SCORED)


def aggregate_scores(detector: Detector, outcome: Outcome) -> ScoreAggregates:
    """Return the aggregates of all scored rows of an outcome, by sensor.

    The expected band of a row in an alarm is that of its event. The expected band of any other row
    is that of the forecast.
    """
    readings, signals = outcome.readings, detector.schema.signals
    totals = _empty_totals(len(readings.sensor_ids), len(signals))
    columns = np.asarray(model_positions(signals), dtype=np.int64)
    is_angle = np.asarray([signal.wrap is not None for signal in signals])
    _aggregate_rows(_rows(outcome), _forecast_band(detector), columns, is_angle, totals)
    bands = _mean_bands(detector, outcome, columns, totals)
    if is_angle.any():
        for means in (totals.total, *bands):
            means[:, is_angle] = np.nan
    aggregates = _aggregates(detector, outcome, totals, bands)
    has_rows = totals.rows > 0
    return aggregates if has_rows.all() else aggregates.take(np.flatnonzero(has_rows))


class _Rows(NamedTuple):
    """The kernel's input of n rows; see `Readings`, `Detections` and `ScoreEvidence`."""

    sensor: NDArray[np.int32]
    event_time: NDArray[np.int64]
    offset: NDArray[np.int64]
    """Shape (n,). Offset of the row's record."""
    values: NDArray[np.float64]
    imputed: NDArray[np.bool_]
    anomaly_score: NDArray[np.float64]
    is_anomaly: NDArray[np.bool_]
    severity: NDArray[np.int8]
    episode_peak: NDArray[np.float64]
    status: NDArray[np.int8]
    location: NDArray[np.float64]
    scale: NDArray[np.float64]
    expected: NDArray[np.float64]


class _ForecastBand(NamedTuple):
    """Half the width of the forecast's band, and the limits of its ends, by model signal."""

    half_scored: NDArray[np.float64]
    """Of a row with a forecast, in scales."""
    half_other: NDArray[np.float64]
    """Of a row without memory, in scales."""
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]


class _Totals(NamedTuple):
    """The kernel's output for each sensor, and for each sensor and signal."""

    rows: NDArray[np.int32]
    anomalous_rows: NDArray[np.int32]
    severity: NDArray[np.int32]
    first_time: NDArray[np.int64]
    last_time: NDArray[np.int64]
    first_offset: NDArray[np.int64]
    last_offset: NDArray[np.int64]
    worst_score: NDArray[np.float32]
    worst_time: NDArray[np.int64]
    missing: NDArray[np.int32]
    """Shape (sensors, signals). Number of missing values."""
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    total: NDArray[np.float64]
    """Shape (sensors, signals). Sum of the values."""
    band: NDArray[np.float64]
    """Shape (sensors, signals, 3). Sums of the expected values, and of the lower and upper ends of
    the bands, of rows outside alarms."""


def _empty_totals(sensors: int, signals: int) -> _Totals:
    shape = (sensors, signals)
    return _Totals(
        rows=np.zeros(sensors, np.int32),
        anomalous_rows=np.zeros(sensors, np.int32),
        severity=np.zeros(sensors, np.int32),
        first_time=np.zeros(sensors, np.int64),
        last_time=np.zeros(sensors, np.int64),
        first_offset=np.zeros(sensors, np.int64),
        last_offset=np.zeros(sensors, np.int64),
        worst_score=np.zeros(sensors, np.float32),
        worst_time=np.zeros(sensors, np.int64),
        missing=np.zeros(shape, np.int32),
        minimum=np.full(shape, np.inf),
        maximum=np.full(shape, -np.inf),
        total=np.zeros(shape),
        band=np.zeros((*shape, 3)),
    )


def _rows(outcome: Outcome) -> _Rows:
    readings, detections = outcome.readings, outcome.detections
    evidence = detections.evidence
    return _Rows(
        sensor=readings.sensor,
        event_time=readings.event_time,
        offset=outcome.positions[readings.index],
        values=np.ascontiguousarray(readings.values),
        imputed=evidence.imputed,
        anomaly_score=detections.anomaly_score,
        is_anomaly=detections.is_anomaly,
        severity=detections.severity,
        episode_peak=detections.episode_peak,
        status=detections.status,
        location=evidence.location,
        scale=evidence.scale,
        expected=evidence.expected,
    )


def _forecast_band(detector: Detector) -> _ForecastBand:
    """Return the parameters of the forecast's band; see `expected_and_band`."""
    signals = detector.model_schema.signals
    spread = np.zeros(len(signals)) if detector.forecast is None else detector.forecast.spread
    lowest, highest = np.asarray([signal.bounds for signal in signals], dtype=np.float64).T.copy()
    return _ForecastBand(
        half_scored=BAND_SPREADS * spread,
        half_other=np.full(len(signals), BAND_SPREADS),
        lowest=lowest,
        highest=highest,
    )


def _mean_bands(
    detector: Detector, outcome: Outcome, columns: NDArray[np.int64], totals: _Totals
) -> list[NDArray[np.float64]]:
    """Return means (sensors, signals) of expected values, lower and upper ends of the bands."""
    shape = totals.total.shape
    if detector.forecast is None:
        ranges = detector.ranges
        return [
            np.broadcast_to(ends[columns], shape).copy()
            for ends in (ranges.expected, ranges.low, ranges.high)
        ]
    band = totals.band
    rows = np.flatnonzero(outcome.detections.is_anomaly)
    if len(rows):
        ends = np.stack(expected_and_band(detector, outcome, rows), axis=2)
        np.add.at(band, outcome.readings.sensor[rows], ends[:, columns])
    means = band / np.maximum(totals.rows, 1)[:, np.newaxis, np.newaxis]
    return [means[:, :, end] for end in range(3)]


def _aggregates(
    detector: Detector,
    outcome: Outcome,
    totals: _Totals,
    bands: list[NDArray[np.float64]],
) -> ScoreAggregates:
    values = totals.rows[:, np.newaxis] - totals.missing
    has_values = values > 0
    minimum, maximum, mean = (
        np.where(has_values, column, np.nan)
        for column in (totals.minimum, totals.maximum, totals.total / np.maximum(values, 1))
    )
    expected, expected_low, expected_high = map(_rounded, bands)
    return ScoreAggregates(
        signal_names=tuple(detector.schema.signal_names),
        sensor_ids=outcome.readings.sensor_ids,
        rows=totals.rows,
        anomalous_rows=totals.anomalous_rows,
        severity=totals.severity,
        first_time=totals.first_time,
        last_time=totals.last_time,
        first_offset=totals.first_offset,
        last_offset=totals.last_offset,
        worst_score=totals.worst_score,
        worst_time=totals.worst_time,
        values=values,
        minimum=_rounded(minimum),
        maximum=_rounded(maximum),
        mean=_rounded(mean),
        expected=expected,
        expected_low=expected_low,
        expected_high=expected_high,
    )


def _rounded(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return values as float32; a value outside the range of float32 becomes infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


@kernel
def _aggregate_rows(rows, forecast_band, columns, is_angle, totals):  # type: ignore[no-untyped-def]
    (
        sensors, event_time, offset, values, imputed, anomaly_score, is_anomaly, severity,
        episode_peak, status, location, scale, expected,
    ) = rows  # fmt: skip
    half_scored, half_other, lowest, highest = forecast_band
    (
        row_counts, anomalous_rows, top_severity, first_time, last_time, first_offset, last_offset,
        worst_score, worst_time, missing, minimum, maximum, total, band,
    ) = totals  # fmt: skip
    has_forecast = expected.shape[1] > 0
    for row in range(len(sensors)):
        sensor, time, in_alarm = sensors[row], event_time[row], is_anomaly[row]
        score = anomaly_score[row]
        if in_alarm:
            score = max(score, episode_peak[row])
        # The scores are compared as they are stored, so that the worst row does not depend on how
        # the rows are divided into micro-batches.
        score = np.float32(score)
        if row_counts[sensor] == 0:
            first_offset[sensor] = offset[row]
            first_time[sensor] = time
            last_time[sensor] = time
            worst_score[sensor] = score
            worst_time[sensor] = time
        row_counts[sensor] += 1
        if in_alarm:
            anomalous_rows[sensor] += 1
            top_severity[sensor] = max(top_severity[sensor], severity[row])
        last_offset[sensor] = offset[row]
        first_time[sensor] = min(first_time[sensor], time)
        last_time[sensor] = max(last_time[sensor], time)
        if score > worst_score[sensor] or (
            score == worst_score[sensor] and time < worst_time[sensor]
        ):
            worst_score[sensor] = score
            worst_time[sensor] = time
        has_band = has_forecast and not in_alarm
        is_scored = status[row] == _SCORED
        for signal in range(len(columns)):
            column = columns[signal]
            if imputed[row, column]:
                missing[sensor, signal] += 1
            else:
                value = values[row, signal]
                minimum[sensor, signal] = min(minimum[sensor, signal], value)
                maximum[sensor, signal] = max(maximum[sensor, signal], value)
                total[sensor, signal] += value
            if has_band and not is_angle[signal]:
                middle = expected[row, column]
                half = half_scored[column] if is_scored else half_other[column]
                for end in range(3):
                    value = location[row, column] + scale[row, column] * expand_outlier(
                        middle + (end == 2) * half - (end == 1) * half
                    )
                    band[sensor, signal, end] += min(max(value, lowest[column]), highest[column])
