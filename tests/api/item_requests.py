"""Requests whose items are records of other forms than one flat row, and their answers."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sensorwatch.api.predict_response import OnError, Signals, encode_response
from sensorwatch.api.prediction import predict
from sensorwatch.api.problem_details import Problem
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome
from tests.scoring.detectors import a_forecast_detector

START_SECONDS = 1_735_689_600
RECEIVED = (START_SECONDS + 3_600) * 1_000_000
SIGNALS = [{"name": name, "missing": "hold_last"} for name in ("x1", "x2", "x3")]
ARRAYS = {"rows": "values[*]", "key": {"field": "pump"}}
LONG_FORM = {
    "key": {"field": "pump"},
    "long_form": {"name": "metric", "value": "v", "bucket_seconds": 60},
}


def a_detector_with(**schema: Any) -> Detector:
    """Return a small detector with memory; `schema`: parts of its schema as plain values."""
    return replace(a_forecast_detector(), schema=a_schema_with(**schema))


def a_schema_with(**schema: Any) -> Schema:
    time = {"field": "at", "format": "epoch_s", "max_future_seconds": 1e9}
    return schema_from_plain({"time": time, "signals": SIGNALS} | schema)


def row(second: float, x1: object = 0.5, **fields: object) -> dict[str, object]:
    return {"at": START_SECONDS + second, "x1": x1, "x2": 0.1, "x3": -0.3} | fields


def value(second: float, metric: object, number: object, pump: str = "s0") -> dict[str, object]:
    return {"at": START_SECONDS + second, "pump": pump, "metric": metric, "v": number}


def answer_of(
    detector: Detector,
    items: Sequence[object],
    *,
    history: Sequence[object] = (),
    on_error: OnError = OnError.SKIP,
    max_rows: int = 10_000,
) -> dict[str, Any]:
    """Return the answer to a request. Raises Problem."""
    body = json.dumps({"history": history, "rows": items}).encode()
    prediction = predict(body, detector, received=RECEIVED, max_rows=max_rows)
    content = encode_response(prediction, detector, on_error=on_error, signals=Signals.ALL)
    answer: dict[str, Any] = json.loads(content)
    return answer


def problem_of(detector: Detector, items: Sequence[object], **options: Any) -> dict[str, Any]:
    """Return the problem details of a request that is refused."""
    with pytest.raises(Problem) as error_info:
        answer_of(detector, items, **{"on_error": OnError.REJECT, **options})
    problem: dict[str, Any] = json.loads(bytes(error_info.value.response().body))
    return problem


def payloads_of(items: Sequence[object]) -> list[bytes]:
    return [json.dumps(item).encode() for item in items]


def scored_entries(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in answer["rows"] if "raw_score" in entry]


def scores_in_answer(answer: dict[str, Any]) -> list[tuple[object, ...]]:
    """Return sensor, status, and the bits of the scores of each scored row, in order."""
    return [
        (
            entry["sensor_id"],
            entry["status"],
            *(
                int(np.float64(entry[name]).view(np.uint64))
                for name in ("raw_score", "anomaly_score", "p_value")
            ),
        )
        for entry in scored_entries(answer)
    ]


def scores_in_topic(outcome: Outcome) -> list[tuple[object, ...]]:
    """Return the same as `scores_in_answer` for records of a topic."""
    from sensorwatch.common.scoring.status import STATUSES

    readings, detections = outcome.readings, outcome.detections
    scores = (detections.raw_score, detections.anomaly_score, detections.p_value)
    return [
        (readings.sensor_ids[sensor], STATUSES[status].value, *bits)
        for sensor, status, *bits in zip(
            readings.sensor.tolist(),
            detections.status.tolist(),
            *(score.view(np.uint64).tolist() for score in scores),
            strict=True,
        )
    ]
