"""Anomaly events: JSON values with CloudEvents headers, named after the record they came from."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import msgspec
import numpy as np

from common.detection.detections import SEVERITIES
from common.detection.detector import Detector
from common.detection.explanation import signals_of_rows
from common.detection.processing import Outcome
from common.messaging.records import Headers, OutgoingMessage, Record, coordinates, header
from common.rows.instants import to_text

EVENT_TYPE = "io.sensorwatch.anomaly.detected.v1"
EVENT_SCHEMA_VERSION = 1
LONGEST_TRACE_BYTES = 256
"""W3C's form of today has 55. What is longer is no trace, and could make an event too large."""


def anomaly_events(
    outcome: Outcome, detector: Detector, records: Sequence[Record], *, topic: str, detected_at: str
) -> Iterator[OutgoingMessage]:
    """Make one event for each anomalous reading of the micro-batch, in the records' order.

    `records`: the micro-batch that `outcome` is of. `detected_at` (RFC 3339) goes into a header
    only: key and value do not depend on the clock or on how rows were batched.
    """
    rows = np.flatnonzero(outcome.detections.is_anomaly)
    readings = outcome.readings
    all_signals = signals_of_rows(detector, readings.values[rows])
    for row, signals in zip(rows, all_signals, strict=True):
        record = records[int(readings.index[row])]
        where = coordinates(record)
        sensor_id = readings.sensor_ids[readings.sensor[row]]
        event_time = to_text(readings.event_time[row])
        value = {
            "event_id": str(where),
            "schema_version": EVENT_SCHEMA_VERSION,
            "sensor_id": sensor_id,
            "event_time": event_time,
            "source": asdict(where),
            "model_version": detector.version,
            "anomaly_score": float(outcome.detections.anomaly_score[row]),
            "raw_score": float(outcome.detections.raw_score[row]),
            "threshold": detector.calibration.threshold,
            "p_value": float(outcome.detections.p_value[row]),
            "severity": SEVERITIES[outcome.detections.severity[row]],
            "signals": signals,
        }
        headers = _headers(record, str(where), where.topic, sensor_id, event_time, detected_at)
        yield OutgoingMessage(topic, sensor_id.encode(), msgspec.json.encode(value), headers)


def _headers(
    record: Record, event_id: str, source: str, sensor_id: str, event_time: str, detected_at: str
) -> Headers:
    headers: Headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", f"/kafka/{source}".encode()),
        ("ce_type", EVENT_TYPE.encode()),
        ("ce_time", event_time.encode()),
        ("ce_subject", sensor_id.encode()),
        ("content-type", b"application/json"),
        ("detected_at", detected_at.encode()),
    ]
    trace = header(record, "traceparent")
    if trace is not None and len(trace) <= LONGEST_TRACE_BYTES:
        headers.append(("traceparent", trace))
    return headers
