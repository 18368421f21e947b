"""The aggregation of a micro-batch's scored rows by sensor."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
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
    # The mean of no values is NaN, and a value beyond the range of float32 becomes infinite.
    with np.errstate(invalid="ignore", over="ignore"):
        bands = _mean_bands(detector, outcome, columns, totals)
        if is_angle.any():
            bands[:, is_angle] = np.nan
            totals.floats[:, is_angle, _FloatTotal.SUM] = np.nan
        aggregates = _aggregates(detector, outcome, totals, bands)
    has_rows = aggregates.rows > 0
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


class _IntTotal(IntEnum):
    """The columns of `_Totals.ints`; one column per signal with its missing values follows."""

    ROWS = 0
    ANOMALOUS_ROWS = 1
    SEVERITY = 2
    FIRST_TIME = 3
    LAST_TIME = 4
    WORST_TIME = 5
    FIRST_OFFSET = 6
    LAST_OFFSET = 7
    MISSING = 8


class _FloatTotal(IntEnum):
    """The entries of a signal in `_Totals.floats`."""

    MINIMUM = 0
    MAXIMUM = 1
    SUM = 2
    BAND = 3
    """Sums of the expected values, of the lower and of the upper ends of the bands, in this and in
    the next two entries, of rows outside alarms."""


class _Totals(NamedTuple):
    """The kernel's output.

    The numbers of a sensor are consecutive, because a row changes nearly all of them.
    """

    ints: NDArray[np.int64]
    """Shape (sensors, _IntTotal.MISSING + signals)."""
    worst_score: NDArray[np.float32]
    """Shape (sensors,)."""
    floats: NDArray[np.float64]
    """Shape (sensors, signals, 6); see _FloatTotal."""


def _empty_totals(sensors: int, signals: int) -> _Totals:
    totals = _Totals(
        np.zeros((sensors, _IntTotal.MISSING + signals), np.int64),
        np.zeros(sensors, np.float32),
        np.zeros((sensors, signals, _FloatTotal.BAND + 3)),
    )
    totals.floats[:, :, _FloatTotal.MINIMUM] = np.inf
    totals.floats[:, :, _FloatTotal.MAXIMUM] = -np.inf
    return totals


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
) -> NDArray[np.float64]:
    """Return the means (sensors, signals, 3) of expected values, lower and upper band ends."""
    band = totals.floats[:, :, _FloatTotal.BAND :]
    if detector.forecast is None:
        ranges = detector.ranges
        ends = np.stack([ranges.expected, ranges.low, ranges.high], axis=1)
        return np.broadcast_to(ends[columns], band.shape).copy()
    rows = np.flatnonzero(outcome.detections.is_anomaly)
    if len(rows):
        ends = np.stack(expected_and_band(detector, outcome, rows), axis=2)
        np.add.at(band, outcome.readings.sensor[rows], ends[:, columns])
    means: NDArray[np.float64] = band / totals.ints[:, _IntTotal.ROWS, np.newaxis, np.newaxis]
    return means


def _aggregates(
    detector: Detector, outcome: Outcome, totals: _Totals, bands: NDArray[np.float64]
) -> ScoreAggregates:
    ints, floats = totals.ints, totals.floats
    rows = ints[:, _IntTotal.ROWS]
    values = rows[:, np.newaxis] - ints[:, _IntTotal.MISSING :]
    means = floats[:, :, _FloatTotal.SUM] / values
    extremes = np.where(values[:, :, np.newaxis] > 0, floats[:, :, : _FloatTotal.SUM], np.nan)
    return ScoreAggregates(
        signal_names=tuple(detector.schema.signal_names),
        sensor_ids=outcome.readings.sensor_ids,
        rows=rows.astype(np.int32),
        anomalous_rows=ints[:, _IntTotal.ANOMALOUS_ROWS].astype(np.int32),
        severity=ints[:, _IntTotal.SEVERITY].astype(np.int32),
        first_time=ints[:, _IntTotal.FIRST_TIME],
        last_time=ints[:, _IntTotal.LAST_TIME],
        first_offset=ints[:, _IntTotal.FIRST_OFFSET],
        last_offset=ints[:, _IntTotal.LAST_OFFSET],
        worst_score=totals.worst_score,
        worst_time=ints[:, _IntTotal.WORST_TIME],
        values=values.astype(np.int32),
        minimum=extremes[:, :, _FloatTotal.MINIMUM].astype(np.float32),
        maximum=extremes[:, :, _FloatTotal.MAXIMUM].astype(np.float32),
        mean=means.astype(np.float32),
        expected=bands[:, :, 0].astype(np.float32),
        expected_low=bands[:, :, 1].astype(np.float32),
        expected_high=bands[:, :, 2].astype(np.float32),
    )


@kernel
def _aggregate_rows(rows, forecast_band, columns, is_angle, totals):  # type: ignore[no-untyped-def]
    (
        sensors, event_time, offset, values, imputed, anomaly_score, is_anomaly, severity,
        episode_peak, status, location, scale, expected,
    ) = rows  # fmt: skip
    half_scored, half_other, lowest, highest = forecast_band
    ints, worst_score, floats = totals
    has_forecast = expected.shape[1] > 0
    for row in range(len(sensors)):
        sensor, in_alarm, score = sensors[row], is_anomaly[row], anomaly_score[row]
        if in_alarm:
            score = max(score, episode_peak[row])
            ints[sensor, _IntTotal.ANOMALOUS_ROWS] += 1
            ints[sensor, _IntTotal.SEVERITY] = max(ints[sensor, _IntTotal.SEVERITY], severity[row])
        # The scores are compared as they are stored, so that the worst row does not depend on how
        # the rows are divided into micro-batches.
        worst_score[sensor] = _add_row(
            ints[sensor], worst_score[sensor], event_time[row], offset[row], np.float32(score)
        )
        _add_values(ints[sensor], floats[sensor], columns, values[row], imputed[row])
        if has_forecast and not in_alarm:
            half_band = half_scored if status[row] == _SCORED else half_other
            _add_bands(
                floats[sensor], columns, is_angle, half_band, lowest, highest, location[row],
                scale[row], expected[row],
            )  # fmt: skip


@inlined_kernel
def _add_row(ints, worst_score, time, offset, score):  # type: ignore[no-untyped-def]
    """Add time, offset and score of a row to a sensor's totals; return its highest score."""
    is_first = ints[_IntTotal.ROWS] == 0
    ints[_IntTotal.ROWS] += 1
    ints[_IntTotal.LAST_OFFSET] = offset
    if is_first:
        ints[_IntTotal.FIRST_OFFSET] = offset
    if is_first or time < ints[_IntTotal.FIRST_TIME]:
        ints[_IntTotal.FIRST_TIME] = time
    if is_first or time > ints[_IntTotal.LAST_TIME]:
        ints[_IntTotal.LAST_TIME] = time
    is_as_bad = score == worst_score and time < ints[_IntTotal.WORST_TIME]
    if is_first or score > worst_score or is_as_bad:
        ints[_IntTotal.WORST_TIME] = time
        return score
    return worst_score


@inlined_kernel
def _add_values(ints, floats, columns, values, imputed):  # type: ignore[no-untyped-def]
    """Add the measured values of a row to a sensor's totals."""
    for signal in range(len(columns)):
        if imputed[columns[signal]]:
            ints[_IntTotal.MISSING + signal] += 1
            continue
        value, totals = values[signal], floats[signal]
        totals[_FloatTotal.MINIMUM] = min(totals[_FloatTotal.MINIMUM], value)
        totals[_FloatTotal.MAXIMUM] = max(totals[_FloatTotal.MAXIMUM], value)
        totals[_FloatTotal.SUM] += value


@inlined_kernel
def _add_bands(  # type: ignore[no-untyped-def]
    floats, columns, is_angle, half_band, lowest, highest, location, scale, expected
):  # fmt: skip
    """Add the expected values of a row, and the ends of its bands, to a sensor's totals."""
    for signal in range(len(columns)):
        if is_angle[signal]:
            continue
        column, totals = columns[signal], floats[signal]
        for end in range(3):
            shift = (end == 2) * half_band[column] - (end == 1) * half_band[column]
            value = location[column] + scale[column] * expand_outlier(expected[column] + shift)
            totals[_FloatTotal.BAND + end] += min(max(value, lowest[column]), highest[column])
