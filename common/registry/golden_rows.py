"""Golden rows: readings stored with their scores, to be scored again before a model is used."""

import numpy as np

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.registry.archive import Arrays
from sensorwatch.common.registry.candidate import MAX_GOLDEN_ROWS
from sensorwatch.common.rows.field_declarations import MissingPolicy
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.detector import Detector

TOLERANCE = 1e-9
"""Largest allowed difference between a new raw score and the recorded raw score."""

_DTYPES = {"event_time": "<i8", "sensor": "<i4", "values": "<f8", "context": "<f8"} | {
    "raw_score": "<f8",
    "anomaly_score": "<f8",
    "is_anomaly": "|b1",
}


def golden_arrays(detector: Detector, readings: Readings) -> Arrays:
    """Score 1 to MAX_GOLDEN_ROWS readings with a cold memory; return readings and scores as arrays.

    Raises ValueError for any other number of readings.
    """
    if not 1 <= len(readings) <= MAX_GOLDEN_ROWS:
        raise ValueError(f"{len(readings)} golden rows, wanted 1 to {MAX_GOLDEN_ROWS}")
    used_sensors, sensor = np.unique(readings.sensor, return_inverse=True)
    detections = detector.detect(readings, detector.empty_memory()).detections
    context = {"context": readings.context} if detector.schema.context else {}
    return context | {
        "event_time": readings.event_time,
        "sensor": sensor.astype(np.int32),
        "sensor_ids": np.asarray([readings.sensor_ids[number] for number in used_sensors]),
        "values": readings.values,
        "raw_score": detections.raw_score,
        "anomaly_score": detections.anomaly_score,
        "is_anomaly": detections.is_anomaly,
    }


def check_golden_rows(detector: Detector, stored_rows: Arrays) -> None:
    """Score the golden rows again, and compare the results with the stored scores.

    Raises ModelRefused unless every decision equals the recorded decision, and every score differs
    from the recorded score by at most TOLERANCE.
    """
    readings = _readings(stored_rows, detector.schema)
    detections = detector.detect(readings, detector.empty_memory()).detections
    calibration = detector.calibration
    # An anomaly score is a raw score divided by `threshold - centre`. A difference between anomaly
    # scores is divided by `scale`, so that TOLERANCE, which has the unit of a raw score, applies to
    # it.
    scale = 1.0 / min(1.0, calibration.threshold - calibration.centre)
    difference = np.maximum(
        np.abs(detections.raw_score - stored_rows["raw_score"]),
        np.abs(detections.anomaly_score - stored_rows["anomaly_score"]) / scale,
    )
    # The decision of a row is not compared if its raw score is the threshold: the last bit of the
    # score then decides, and this bit may differ on another kind of CPU.
    is_at_threshold = np.abs(stored_rows["raw_score"] - calibration.threshold) <= TOLERANCE
    # This is not written as `difference > TOLERANCE`, which is false for NaN.
    is_different = ~(difference <= TOLERANCE) | (
        (detections.is_anomaly != stored_rows["is_anomaly"]) & ~is_at_threshold
    )
    if np.any(is_different):
        raise ModelRefused(
            f"{np.count_nonzero(is_different)} of {len(readings)} golden rows get a different "
            "score or decision from that at training (largest difference "
            f"{np.max(difference):.3g}, allowed {TOLERANCE:g})"
        )


def _readings(stored_rows: Arrays, schema: Schema) -> Readings:
    row_count = len(stored_rows["event_time"]) if "event_time" in stored_rows else 0
    if not 1 <= row_count <= MAX_GOLDEN_ROWS:
        raise ModelRefused(f"{row_count} golden rows, wanted 1 to {MAX_GOLDEN_ROWS}")
    # Context is stored only if the schema has context columns.
    empty_context: Arrays = {"context": np.empty((row_count, 0))}
    stored_rows = empty_context | stored_rows
    columns = {"values": schema.signals, "context": schema.context}
    for name, dtype in _DTYPES.items():
        shape = (row_count, len(columns[name])) if name in columns else (row_count,)
        stored_array = stored_rows.get(name)
        if stored_array is None or stored_array.dtype.str != dtype or stored_array.shape != shape:
            raise ModelRefused(f"the golden rows' {name} is not {dtype} of shape {shape}")
    _check_finite(stored_rows, schema)
    sensor_ids, sensor = stored_rows.get("sensor_ids"), stored_rows["sensor"]
    if (
        sensor_ids is None
        or sensor_ids.ndim != 1
        or np.any((sensor < 0) | (sensor >= len(sensor_ids)))
    ):
        raise ModelRefused("the golden rows name sensors that are missing from their sensor ids")
    return Readings(
        np.arange(row_count, dtype=np.int64),
        stored_rows["event_time"],
        sensor,
        tuple(str(name) for name in sensor_ids),
        stored_rows["values"],
        stored_rows["context"],
    )


def _check_finite(stored_rows: Arrays, schema: Schema) -> None:
    values_and_context = np.concatenate([stored_rows["values"], stored_rows["context"]], axis=1)
    may_be_missing = np.asarray(
        [column.missing is MissingPolicy.HOLD_LAST for column in schema.columns]
    )
    if not np.all(
        np.isfinite(values_and_context) | (np.isnan(values_and_context) & may_be_missing)
    ):
        raise ModelRefused("the golden rows contain values that no reading can have")
